# SPDX-License-Identifier: Apache-2.0
"""A device that does not answer is left alone after its first failure, for a while, by whoever reckons with time."""

import numpy as np
import pytest

from bridge.network import Status
from model_side.base_station import BaseStation
from model_side.element import WireFormat
from model_side.placement import place
from model_side.policies import make_policy
from model_side.prediction import PREDICTORS
from model_side.selection import Phase
from tests.support.fixed_network import FixedNetwork
from tests.support.layers import gate_of, table_of
from tests.support.times import FixedTimes

DEVICES, DEAD, DEADLINE_NS = 4, 1, 10**8
LOGITS = np.array([[3, 2, 0, 0], [0, 2, 3, 0], [0, 2.5, 0, 3]], np.float32)  # expert 1 is everybody's second
AWARE = ["weight-to-latency", "lookahead"]


@pytest.mark.parametrize("name", AWARE)
def test_it_is_avoided_after_its_first_failure_and_tried_again(name: str):
    seen = []
    network = FixedNetwork(DEVICES, dead=DEAD)
    base_station = BaseStation(
        network,
        place(1, 4, DEVICES),
        FixedTimes(DEVICES),
        make_policy(name),
        PREDICTORS["shared"](DEVICES),
        WireFormat(8192),
        DEADLINE_NS,
        on_exchange=seen.append,
        calibration=table_of(1, 4, 2),
    )

    def layer() -> Status | None:
        """What became of the device's transfer, if it was asked."""
        base_station.begin(Phase.PREFILL, len(seen), 0)
        base_station.route(gate_of(LOGITS, 2))
        base_station.finish()
        return {each.device: each.status for each in seen[-1].outcome.transfers}.get(DEAD)

    assert layer() is Status.UNREACHABLE
    assert layer() is None
    network._dead = None
    assert next(status for status in (layer() for _ in range(2000)) if status is not None) is Status.DONE
