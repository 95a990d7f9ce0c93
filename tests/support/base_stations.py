# SPDX-License-Identifier: Apache-2.0
"""A base station for a small model, over a network with a closed form."""

from model_side.base_station import BaseStation
from model_side.element import WireFormat
from model_side.model.moe import SplitModel
from model_side.placement import place
from model_side.policies import make_policy
from model_side.prediction.line import Line
from tests.support.fixed_network import FixedNetwork
from tests.support.times import FixedTimes


def serving(split: SplitModel, policy: str = "top-k", network: FixedNetwork | None = None) -> BaseStation:
    """Over `network`, by default one of four devices on which everything arrives."""
    network = network or FixedNetwork(devices=4)
    devices = len(network.info.devices)
    placement = place(len(split.blocks), split.num_experts, devices)
    return BaseStation(
        network, placement, FixedTimes(devices), make_policy(policy), Line(devices), WireFormat(64), 10**12
    )
