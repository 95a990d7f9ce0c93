# SPDX-License-Identifier: GPL-2.0-only
"""Shares of the band on LTE: a part of the bytes takes with that part of the band what all take with all of it."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import NS_PER_S, Outcome, Status, Transfer, TransferOutcome, Wait
from tests.support.still import open_still

MS = 1_000_000
BOTH = ("down", "up")
WHOLE_BYTES = {"down": 900_000, "up": 850_000}  # what the band carries in some 100 ms
Shares = Sequence[float] | None
Asked = tuple[Shares, Sequence[Transfer], int, Wait]


def place(devices: int, **given: Any) -> dict[str, Any]:
    return {"path_loss": "friis", "distances_m": [40.0 + i for i in range(devices)], **given}


def play(
    asked: Sequence[Asked], parameters: dict[str, Any], scenario: str = "lte", seed: int = 1, gap_ns: int = 30 * MS
) -> list[Outcome]:
    """Exchanges with shares, transfers, a limit and what is waited for."""
    network = open_still(scenario, parameters, seed)
    try:
        outcomes = []
        for shares, transfers, limit_ns, wait in asked:
            now_ns = network.now_ns + gap_ns
            outcomes.append(network.exchange(transfers, now_ns, now_ns + limit_ns, wait, shares))
        return outcomes
    finally:
        network.close()


def opened_ns(parameters: dict[str, Any]) -> int:
    """The virtual time at which such a network is ready."""
    network = open_still("lte", parameters, 1)
    network.close()
    return network.info.now_ns


def load(way: str, parts: Sequence[float], whole_bytes: float) -> list[Transfer]:
    """Parts of so many bytes, one way, for one device each."""
    sizes = [max(round(part * whole_bytes), 1) for part in parts]
    return [Transfer(i, size, 0, 1) if way == "down" else Transfer(i, 1, 0, size) for i, size in enumerate(sizes)]


def took_ms(way: str, outcome: Outcome) -> list[float]:
    """Of the transfers, all of which are done."""
    assert {came.status for came in outcome.transfers} == {Status.DONE}
    return [took_one_ms(way, came) for came in outcome.transfers]


def took_one_ms(way: str, came: TransferOutcome) -> float:
    begin_ns, end_ns = (
        (came.downlink_begin_ns, came.downlink_end_ns) if way == "down" else (came.compute_end_ns, came.uplink_end_ns)
    )
    assert begin_ns is not None
    assert end_ns is not None
    return (end_ns - begin_ns) / MS


@pytest.fixture(scope="module")
def whole_ms(ns3) -> dict[str, float]:
    """The time that the whole band takes for all the bytes, one carrier and one layer, by ns3::PfFfMacScheduler.

    Five devices have whole groups of blocks, and fill the uplink. One would not: it reports its buffer every 20 ms, and
    at most 150 000 bytes.
    """
    asked: list[Asked] = [(None, load("down", [0.2] * 5, 5000), NS_PER_S, Wait.ALL)]
    asked += [(None, load(way, [0.2] * 5, WHOLE_BYTES[way]), NS_PER_S, Wait.ALL) for way in BOTH]
    _, *outcomes = ns3(play, asked, place(5))
    return {way: max(took_ms(way, outcome)) for way, outcome in zip(BOTH, outcomes, strict=True)}


CLOSED = [
    ([0.04], "20mhz", "pf"),
    ([0.9], "20mhz", "pf"),
    ([0.04, 0.1, 0.16, 0.3, 0.4], "20mhz", "pf"),
    ([0.035, 0.045, 0.12, 0.25, 0.3], "20mhz", "rr"),
    ([0.125] * 8, "20mhz-2x2", "rr"),
    ([0.06, 0.8], "100mhz-2x2", "pf"),
]
TIMES = {"20mhz": (1, 1), "20mhz-2x2": (2, 1), "100mhz-2x2": (10, 5)}  # what one carrier and layer carry, down and up


@pytest.mark.parametrize(("shares", "profile", "scheduler"), CLOSED, ids=str)
def test_a_transfer_takes_what_its_share_of_the_band_takes(ns3, whole_ms, shares, profile, scheduler):
    asked: list[Asked] = [(None, load("down", shares, 5000), NS_PER_S, Wait.ALL)]
    for way, times in zip(BOTH, TIMES[profile], strict=True):
        asked.append((shares, load(way, shares, times * WHOLE_BYTES[way]), NS_PER_S, Wait.ALL))
    _, *outcomes = ns3(play, asked, place(len(shares), profile=profile, scheduler=scheduler))
    for way, outcome in zip(BOTH, outcomes, strict=True):
        assert took_ms(way, outcome) == pytest.approx([whole_ms[way]] * len(shares), rel=0.05)


@pytest.mark.parametrize("way", BOTH)
def test_what_a_device_does_not_use_lies_idle(ns3, way):
    """Alone or beside another: its time is its own."""
    alone, beside = load(way, [0.1], 400_000), load(way, [0.1, 0.02], 400_000)
    outcomes = ns3(play, [([0.1, 0.9], each, NS_PER_S, Wait.ALL) for each in (alone, beside)], place(2))
    (lone,), (one, other) = (took_ms(way, outcome) for outcome in outcomes)
    assert one == pytest.approx(lone, rel=0.02)
    assert other < 20 < 0.8 * lone


def test_without_a_share_nothing_comes_and_nothing_of_it_is_left_for_the_next_exchange(ns3):
    both = [Transfer(0, 20_000, 0, 20_000), Transfer(1, 20_000, 0, 20_000)]
    asked = [
        (shares, both, 100 * MS, Wait.DEADLINE) for shares in (None, [0.0, 1.0], None, [1.0, 0.0], [0.0, 0.0], None)
    ]
    starved = ns3(play, asked, place(2))
    free = ns3(play, [(None, *rest) for _, *rest in asked], place(2))
    done, late = Status.DONE, Status.LATE
    wanted = [(done, done), (late, done), (done, done), (done, late), (late, late), (done, done)]
    assert [tuple(came.status for came in outcome.transfers) for outcome in starved] == wanted
    for way in BOTH:
        for i in (0, 2, 5):
            assert took_ms(way, starved[i]) == pytest.approx(took_ms(way, free[i]), abs=3)


@pytest.mark.parametrize("way", BOTH)
def test_what_was_lost_in_the_air_is_sent_again_with_any_share(ns3, way):
    """A large PDU, which ns-3 does not divide for that, while another device has nearly all of the band.

    A fiftieth of the 100 resource blocks adds up to those of the largest PDU in 50 ms; some eight are lost.
    """
    parameters = place(2)
    begin_s = ns3(opened_ns, parameters) / NS_PER_S + 0.03
    cut = {"kind": "outage", "devices": [0], "intervals_s": [[begin_s + 0.03, begin_s + 0.09]]}
    asked = [
        ([1.0, 0.0], load(way, [1.0], 400_000), 35 * MS, Wait.ALL),
        ([0.02, 0.9], load(way, [0.0, 1.0], 7_000_000), 700 * MS, Wait.DEADLINE),
        ([0.02, 0.9], load(way, [1.0], 3000), NS_PER_S // 10, Wait.ALL),
    ]
    first, behind, after = ns3(play, asked, parameters | {"life": [cut]})
    assert first.transfers[0].status is Status.LATE
    assert [came.status for came in behind.transfers] == [Status.DONE, Status.LATE]
    assert took_one_ms(way, behind.transfers[0]) > 50
    assert took_ms(way, after)[0] < 50


def test_other_users_have_nothing_while_shares_hold(ns3):
    full = [{"kind": "full-buffer", "users": 2}, {"kind": "full-buffer", "users": 2, "direction": "up"}]
    asked = [([0.5], [Transfer(0, 150_000, 0, 150_000)], NS_PER_S, Wait.ALL)]
    crowded, alone = (ns3(play, asked, place(1, background=background)) for background in (full, []))
    for way in BOTH:
        assert took_ms(way, crowded[0]) == pytest.approx(took_ms(way, alone[0]), abs=3)


def test_a_device_keeps_its_share_in_the_next_cell(ns3):
    """One drives at 40 m/s across the border of two cells, with a tenth of whichever band serves it."""
    drive = {"kind": "constant-velocity", "velocities_mps": [[40.0, 0.0, 0.0]]}
    given = {"positions_m": [[70.0, 0.0, 1.5]], "movement": drive, "cells": 3, "inter_site_distance_m": 200.0}
    given |= {"path_loss": "friis", "devices": 1}
    asked = [([0.1], [Transfer(0, 60_000, 0, 60_000)], NS_PER_S, Wait.ALL)] * 14
    outcomes = ns3(play, asked, given, "lte-multicell")
    assert {outcome.links[0].cell for outcome in outcomes} == {outcomes[0].links[0].cell, outcomes[-1].links[0].cell}
    assert outcomes[0].links[0].cell != outcomes[-1].links[0].cell
    assert took_ms("up", outcomes[-1]) == pytest.approx(took_ms("up", outcomes[0]), rel=0.1)


@st.composite
def sequences(draw: st.DrawFn) -> tuple[dict[str, Any], list[Asked]]:
    """Any shares of any devices, near and at the edge, that change with each exchange, and what they are asked for."""
    devices = draw(st.integers(1, 5))
    parameters: dict[str, Any] = {
        "distances_m": draw(st.lists(st.sampled_from([20.0, 60.0, 150.0, 400.0]), min_size=devices, max_size=devices)),
        "scheduler": draw(st.sampled_from(["pf", "rr"])),
        "profile": draw(st.sampled_from(["20mhz", "20mhz-2x2", "100mhz-2x2"])),
        "transport": draw(st.sampled_from(["udp", "tcp"])),
        "fading": draw(st.sampled_from(["none", "umi"])),
        "background": draw(st.sampled_from([(), ({"kind": "full-buffer"},)])),
    }
    sizes = st.sampled_from([1, 40, 1500, 20_000, 200_000])
    asked: list[Asked] = []
    for _ in range(draw(st.integers(2, 5))):
        parts = draw(st.lists(st.sampled_from([0.0, 0.001, 0.02, 0.3, 1.0]), min_size=devices, max_size=devices))
        shares = [part / max(sum(parts), 1) for part in parts]
        transfers = [Transfer(i, draw(sizes), draw(st.sampled_from([0, 3 * MS])), draw(sizes)) for i in range(devices)]
        some = draw(st.lists(st.sampled_from(transfers), unique=True))
        how = (draw(st.sampled_from([5 * MS, 60 * MS, 150 * MS])), draw(st.sampled_from(list(Wait))))
        asked.append((draw(st.sampled_from([None, shares, shares])), some, *how))
    return parameters, asked


@settings(max_examples=12, deadline=None)
@given(sequence=sequences())
def test_no_shares_break_ns3(ns3, sequence):
    """It would die of an assertion. Twice they give the same, and nothing comes without a share."""
    parameters, asked = sequence
    outcomes = ns3(play, asked, parameters, gap_ns=0)
    for (shares, *_), outcome in zip(asked, outcomes, strict=True):
        for came in outcome.transfers:
            assert shares is None or shares[came.device] > 0 or came.status is not Status.DONE
    assert ns3(play, asked, parameters, gap_ns=0) == outcomes
