# SPDX-License-Identifier: Apache-2.0
"""`proportional`: shares of the band by bytes."""

from dataclasses import replace
from typing import ClassVar

from model_side.policies.policy import Policy
from model_side.selection import Layer, Selection


class Proportional(Policy):
    """Of what was chosen so far, each device gets the share of the band that it has of all bytes, down and up."""

    name: ClassVar[str] = "proportional"
    formula: ClassVar[str] = "share_d = bytes_d / sum of bytes"
    source: ClassVar[str] = "a usual baseline of bandwidth allocation"
    allocates: ClassVar[bool] = True

    def __call__(self, layer: Layer) -> Selection:
        tokens = layer.work.tokens  # each has as many bytes as any other
        if not tokens.any():
            return layer.selection
        return replace(layer.selection, shares=tokens / tokens.sum())
