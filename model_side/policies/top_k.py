# SPDX-License-Identifier: Apache-2.0
"""`top-k`: the model's own choice."""

from typing import ClassVar

from model_side.policies.policy import Policy
from model_side.selection import Layer, Selection


class TopK(Policy):
    """The router's own weights and indices, untouched, whatever the links do."""

    name: ClassVar[str] = "top-k"
    formula: ClassVar[str] = "the model's own k experts"
    source: ClassVar[str] = "the unmodified model"

    def __call__(self, layer: Layer) -> Selection:
        return layer.selection
