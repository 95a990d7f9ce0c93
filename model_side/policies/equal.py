# SPDX-License-Identifier: Apache-2.0
"""`equal`: equal parts of the band."""

from dataclasses import replace
from typing import ClassVar

from model_side.policies.policy import Policy
from model_side.selection import Layer, Selection


class Equal(Policy):
    """Of what was chosen so far, each device that is asked gets an equal share of the band, down and up."""

    name: ClassVar[str] = "equal"
    formula: ClassVar[str] = "share_d = 1 / (number of devices that are asked)"
    source: ClassVar[str] = "the usual baseline of bandwidth allocation"
    allocates: ClassVar[bool] = True

    def __call__(self, layer: Layer) -> Selection:
        asked = layer.work.tokens > 0
        if not asked.any():
            return layer.selection
        return replace(layer.selection, shares=asked / asked.sum())
