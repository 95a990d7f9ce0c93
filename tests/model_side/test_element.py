# SPDX-License-Identifier: Apache-2.0
"""Bytes of what the wire carries."""

import numpy as np
import pytest

from model_side.base_station import BaseStation, LayerForecast
from model_side.element import Element, WireFormat, packed_bytes, wire_format
from model_side.energy import Powers
from model_side.placement import place
from model_side.policies import make_policy
from model_side.prediction import Prediction, Radiated
from model_side.routing import Gate
from model_side.selection import DeviceWork, Phase
from model_side.wire_profiles import WIRE_PROFILES
from tests.support.fixed_network import FixedNetwork
from tests.support.times import FixedTimes

MIXTRAL = WIRE_PROFILES["mixtral-8x7b"]


@pytest.mark.parametrize(
    ("element", "hidden", "size_bytes"),
    [
        (Element.FP16, 4096, 8192),
        (Element.BF16, 4096, 8192),
        (Element.FP8, 4096, 4096 + 4),
        (Element.INT8, 4096, 4096 + 4),
        (Element.INT4, 4096, 2048 + 128 * 2),
        (Element.INT4, 33, 17 + 2 * 2),
    ],
)
def test_a_tokens_bytes_are_its_elements_and_scales(element: Element, hidden: int, size_bytes: int):
    assert packed_bytes(element, hidden) == size_bytes


def test_the_models_own_type_is_as_before_and_all_others_have_headers():
    assert wire_format(Element.OWN, MIXTRAL) == WireFormat(8192, 0, 0)
    assert wire_format(Element.INT8, MIXTRAL) == WireFormat(4100, 2 * (2 + 4), 4 + 4 + 4 + 2 + 1 + 1)


class Sizes:
    """Keeps what it is asked to predict."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], list[int]]] = []

    def predict(self, depart_ns, down_bytes, compute_s, up_bytes, shares=None, asked=None) -> Prediction:
        self.asked.append((down_bytes.tolist(), up_bytes.tolist()))
        return Prediction(*[np.zeros(len(down_bytes))] * 5)

    def observe(self, *_: object) -> None:
        """Learns nothing."""


def test_transfers_and_what_is_predicted_have_the_same_bytes():
    """Three tokens, two of which ask both devices: 2 to device 0, 3 to device 1."""
    network, sizes, wire = FixedNetwork(devices=2), Sizes(), WireFormat(100, 6, 16)
    seen = []
    base_station = BaseStation(
        network,
        place(1, 2, 2),
        FixedTimes(2),
        make_policy("top-k"),
        sizes,
        wire,
        10**12,
        on_exchange=lambda record: seen.extend(record.transfers),
    )
    base_station.begin(Phase.PREFILL, 0, 0)
    weights = np.full((3, 2), 0.5, np.float32)
    base_station.route(Gate(0, 2, None, weights, np.array([[0, 1], [1, 2], [1, 0]])))
    bytes_ = [(t.device, t.downlink_bytes, t.uplink_bytes) for t in seen]
    assert bytes_ == [(0, 16 + 2 * 106, 16 + 2 * 100), (1, 16 + 3 * 106, 16 + 3 * 100)]
    assert sizes.asked == [([228, 334], [216, 316])]
    forecast = LayerForecast(
        base_station.placement.layers[0], FixedTimes(2), sizes, wire, 0, Powers.unknown(2), Radiated(2)
    )
    none = np.zeros(2, dtype=np.int64)
    forecast.predict(DeviceWork(none, none.astype(float)))
    assert sizes.asked[-1] == ([16 + 106] * 2, [16 + 100] * 2)
