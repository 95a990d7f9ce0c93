# SPDX-License-Identifier: Apache-2.0
"""What happened in one MoE layer of one forward pass: what was chosen, asked, expected, and what came of it."""

from dataclasses import dataclass

from bridge.network import Outcome, Transfer
from model_side.placement import LayerPlacement
from model_side.prediction import Prediction
from model_side.routing import Gate, Indices, Mask
from model_side.selection import DeviceWork, Part, Phase, Selection


@dataclass(frozen=True)
class LayerExchange:
    """All that happened in one MoE layer of one forward pass.

    `request` and `position` say which pass: the position of its first token; `parts`, whose rows it has, one request
    after the other. `tokens` is N. The BS computed for
    `bs_compute_ns` up to `depart_ns`. `gate` has the model's own choice [N, k], `placement` says where experts are,
    `selection` has the policy's choice [N, k'], with `slot_devices` [N, k'] where its experts were asked, and
    `delivered` [N, k'] tells which of these came back. `work` is what was asked of the devices, `prediction` what the
    BS expected of it. Everything but `network_wall_s` and `policy_wall_s`, the wall-clock seconds within network and
    policy, is the same in every run.
    """

    phase: Phase
    request: int
    position: int
    layer: int
    tokens: int
    depart_ns: int
    deadline_ns: int
    bs_compute_ns: int
    gate: Gate
    placement: LayerPlacement
    selection: Selection
    slot_devices: Indices
    delivered: Mask
    transfers: tuple[Transfer, ...]
    work: DeviceWork
    prediction: Prediction
    outcome: Outcome
    network_wall_s: float
    policy_wall_s: float
    parts: tuple[Part, ...] = ()

    @property
    def is_where_placed(self) -> bool:
        """Whether no expert of the layer had more than one device to be asked on."""
        return not self.placement.is_replicated
