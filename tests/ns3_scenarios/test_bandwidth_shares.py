# SPDX-License-Identifier: GPL-2.0-only
"""Shares of the band hold for one exchange, whatever came before it."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import NS_PER_S, Outcome, Status, Transfer, Wait
from tests.support.listings import files
from tests.support.still import open_still

DONE, LATE = Status.DONE, Status.LATE
Shares = Sequence[float] | None

NEAR = {"distances_m": [50, 50], "line_of_sight": "always"}
LIMIT_NS = NS_PER_S // 10
PATTERN_NS = 2_500_000  # of slots, DDDSU at numerology 1: what is asked for at another moment comes so much later
BAND_BPS = 10_000_000
BAND = {"devices": 2, "band_bps": BAND_BPS}


@pytest.fixture(scope="module")
def band(tmp_path_factory) -> str:
    path: Path = tmp_path_factory.mktemp("band") / "band.py"
    path.write_text(files("radios.md")["band.py"])
    return str(path)


def play(scenario: str, parameters: dict[str, object], sequence: Sequence[Shares], size_bytes: int) -> list[Outcome]:
    """An exchange with both devices for each item, all of one length."""
    network = open_still(scenario, parameters, 1)
    try:
        asked = [Transfer(i, size_bytes, 0, size_bytes) for i in range(2)]
        outcomes = []
        for shares in sequence:
            now_ns = network.now_ns
            outcomes.append(network.exchange(asked, now_ns, now_ns + LIMIT_NS, Wait.DEADLINE, shares))
        return outcomes
    finally:
        network.close()


def statuses(outcomes: Sequence[Outcome]) -> list[tuple[Status, ...]]:
    return [tuple(transfer.status for transfer in outcome.transfers) for outcome in outcomes]


def took_ns(outcome: Outcome) -> list[int]:
    return [transfer.uplink_end_ns - transfer.downlink_begin_ns for transfer in outcome.transfers]


def test_what_was_kept_from_one_in_an_exchange_is_its_own_in_the_next(ns3):
    sequence = [None, [0, 1], None, [1, 0], None]
    starved, free = (ns3(play, "nr", NEAR, asked, 8000) for asked in (sequence, [None] * 5))
    assert statuses(starved) == [(DONE, DONE), (LATE, DONE), (DONE, DONE), (DONE, LATE), (DONE, DONE)]
    for i in (0, 2, 4):
        assert took_ns(starved[i]) == took_ns(free[i])


some_shares = st.none() | st.sampled_from([(0.5, 0.5), (0.25, 0.5), (0.2, 0.8), (0.8, 0.2)])
any_shares = some_shares | st.sampled_from([(0, 1), (1, 0), (0, 0), (0, 0.3)])


@settings(max_examples=8, deadline=None)
@given(sequence=st.lists(any_shares, min_size=1, max_size=6))
def test_an_nr_exchange_goes_as_if_there_had_been_no_other_shares(ns3, sequence):
    outcomes = ns3(play, "nr", NEAR, [*sequence, None], 8000)
    free = ns3(play, "nr", NEAR, [None] * (len(sequence) + 1), 8000)
    for shares, outcome, unshared in zip([*sequence, None], outcomes, free, strict=True):
        wanted = [DONE if shares is None or share > 0 else LATE for share in shares or (1, 1)]
        assert [transfer.status for transfer in outcome.transfers] == wanted
        if shares is None:
            for here_ns, there_ns in zip(took_ns(outcome), took_ns(unshared), strict=True):
                assert here_ns <= there_ns + PATTERN_NS


@settings(max_examples=6, deadline=None)
@given(sequence=st.lists(some_shares, min_size=2, max_size=6))
def test_a_script_divides_its_band_anew_in_each_exchange(ns3, band, sequence):
    """Each part of the band is a cable: 5 datagrams of 1472 bytes behind 30 bytes of headers each way, no delay."""
    for shares, outcome in zip(sequence, ns3(play, band, BAND, sequence, 7_360), strict=True):
        for share, transfer in zip(shares or (0.5, 0.5), outcome.transfers, strict=True):
            airtime_ns = 2 * 5 * 1502 * 8 * NS_PER_S / (share * BAND_BPS)
            assert transfer.uplink_end_ns - transfer.downlink_begin_ns == pytest.approx(airtime_ns, abs=40)
