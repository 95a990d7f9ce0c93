# SPDX-License-Identifier: Apache-2.0
"""Joules by powers, times and what was radiated, done by hand; what is missing is named and never made up."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.network import RequestError, Status, Transfer, TransferOutcome
from model_side.energy import Powers
from model_side.prediction import Radiated

POWERS = Powers(
    compute_w=np.array([5.0, 25.0]),
    receive_w=np.array([0.5, 0.25]),
    transmit_w=np.array([1.0, 2.0]),
    efficiency=np.array([0.25, np.nan]),
    air_w=np.array([[10.0, 10.0], [0.2, 0.1]]),
    bs_compute_w=72.0,
    bs_transmit_w=3.0,
    bs_efficiency=0.5,
    hardware=["phone", "board"],
)
EVERYWHERE = np.ones((2, 2), dtype=bool)


def test_by_hand():
    down_s, compute_s, up_s = np.array([0.1, 0.2]), np.array([0.01, 0.02]), np.array([0.4, 0.8])
    radiated = POWERS.radiated(down_s, up_s, np.array([[0.03, np.nan], [0.002, np.nan]]))
    assert radiated == pytest.approx(np.array([[0.03, 10 * 0.2], [0.002, 0.1 * 0.8]]))
    joules = POWERS.joules(down_s, compute_s, up_s, radiated)
    assert joules.receive == pytest.approx([0.5 * 0.1, 0.25 * 0.2])
    assert joules.compute == pytest.approx([5 * 0.01, 25 * 0.02])
    assert joules.send == pytest.approx([1 * 0.4 + 0.002 / 0.25, 2 * 0.8])  # the board's amplifier is in its power
    assert joules.bs_send == pytest.approx([3 * 0.1 + 0.03 / 0.5, 3 * 0.2 + 2 / 0.5])
    assert joules.total == pytest.approx([0.05 + 0.05 + 0.408 + 0.36, 0.05 + 0.5 + 1.6 + 4.6])


@given(st.lists(st.integers(0, 1), max_size=5), st.integers(0, 3), st.floats(0, 1), st.floats(0, 1))
def test_of_many_is_as_one_by_one(devices, layers, scale, counted):
    chosen = np.array(devices, dtype=np.int64)
    times = scale * np.arange(1, 1 + 3 * layers * len(devices)).reshape(3, layers, len(devices))
    air_j = np.where(np.arange(2 * layers * len(devices)) % 2, counted, np.nan).reshape(2, layers, len(devices))
    of_all = POWERS.of(chosen)
    radiated_j = of_all.radiated(times[0], times[2], air_j)
    found = of_all.joules(*times, radiated_j).total
    for row in range(layers):
        for place, device in enumerate(devices):
            one = POWERS.of(np.array([device]))
            down_s, compute_s, up_s = times[:, row, place : place + 1]
            air = one.radiated(down_s, up_s, air_j[:, row, place : place + 1])
            assert found[row, place] == one.joules(down_s, compute_s, up_s, air).total[0]


def test_nothing_is_missing_of_what_is_known():
    assert POWERS.missing(EVERYWHERE) == []
    assert POWERS.missing(~EVERYWHERE) == []


@pytest.mark.parametrize(
    ("lacking", "named"),
    [
        ({"compute_w": np.array([np.nan, 1])}, "devices.compute_w (the profile phone has none)"),
        ({"receive_w": np.array([1, np.nan])}, "devices.receive_w"),
        ({"transmit_w": np.array([np.nan, np.nan])}, "devices.transmit_w"),
        ({"bs_transmit_w": np.nan}, "base_station.transmit_w"),
    ],
)
def test_what_is_missing_is_named_and_refused(lacking, named):
    powers = replace(POWERS, **lacking)
    assert powers.missing(EVERYWHERE) == [named]
    with pytest.raises(RequestError, match="joules are not known without") as refused:
        powers.require(EVERYWHERE, "policy.des")
    assert named in refused.value.reason
    assert refused.value.field == "policy.des"
    some = np.ones(2)
    assert np.isnan(powers.joules(some, some, some, np.ones((2, 2))).total).any()


def test_an_amplifier_of_what_nobody_counts_is_missing_only_there():
    powers = replace(POWERS, air_w=np.full((2, 2), np.nan))
    assert powers.missing(EVERYWHERE) == []
    lines = powers.missing(~EVERYWHERE)
    assert [line.split("; let ")[1] for line in lines] == [
        "devices.transmit_w include the amplifier)",
        "base_station.transmit_w include the amplifier)",
    ]
    none = np.full(2, np.nan)
    assert replace(powers, efficiency=none, bs_efficiency=np.nan).missing(~EVERYWHERE) == []
    assert len(Powers.unknown(2).missing(~EVERYWHERE)) == 4


def outcome(device: int, down_j: float | None, up_j: float | None, status: Status = Status.DONE) -> TransferOutcome:
    return TransferOutcome(device, status, 0, 1, 2, 3, down_j, up_j)


def test_what_is_expected_to_be_radiated_follows_what_was_counted():
    radiated = Radiated(3)
    assert np.isnan(radiated.expect(np.ones(3), np.ones(3))).all()
    asked = [Transfer(device, 100, 0, 200) for device in (0, 1, 2)]
    radiated.observe(asked, [outcome(0, 1.0, 0.2), outcome(1, None, None), outcome(2, 5.0, 5.0, Status.LATE)])
    expected = radiated.expect(np.array([[200.0] * 3, [50.0] * 3]), np.array([[200.0] * 3, [50.0] * 3]))
    assert expected[:, :, 0] == pytest.approx(np.array([[2.0, 0.5], [0.2, 0.05]]))
    assert np.isnan(expected[:, :, 1:]).all()  # one who does not count, and one who was late
    for _ in range(40):
        radiated.observe([Transfer(0, 10, 0, 10)], [outcome(0, 3.0, 0.1)])
    assert radiated.expect(np.ones(3), np.ones(3))[:, 0] == pytest.approx([0.3, 0.01], rel=1e-4)
