# SPDX-License-Identifier: Apache-2.0
"""`top-k`: the model's own choice."""

from msgspec import Struct

from model_side.routing import Indices, LayerRouting, Weights


class TopK(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The router's own weights and indices, untouched, whatever the links do."""

    def __call__(self, layer: LayerRouting) -> tuple[Weights, Indices]:
        return layer.weights, layer.indices
