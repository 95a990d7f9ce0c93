# SPDX-License-Identifier: Apache-2.0
"""The analytic network against closed forms and an integration of its own, on channels made up here."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import (
    CHANNEL_ROW,
    NS_PER_S,
    TRACK_ROW,
    Conveyed,
    Delivery,
    Message,
    NetworkInfo,
    Outcome,
    RequestError,
    Status,
    Transfer,
    Wait,
)
from cosim.networks.analytic import AnalyticNetwork, AnalyticSource
from cosim.networks.idle_channel import STEP_NS

MS = 1_000_000
BEGIN_NS = 33 * MS
BAND_HZ = (20e6, 10e6)
LATE_NS = 1_000_000 * MS
NAN = math.nan

TRACKS = [(BEGIN_NS + at * 7_000_000, 0, at, 2.0, 3.0, 4.0, 5.0, 6.0) for at in range(300)]
"""Rows of the device's track that an idle session shows."""

Steps = list[tuple[int, float, float]]
"""Of one link: from when, SINR in dB, capacity in bit/s; the first from `BEGIN_NS`."""


class IdleSession:
    """Shows these links, and nothing else: `links[device]` are the steps down and up, `cells[device]` serves it."""

    def __init__(
        self,
        links: list[tuple[Steps, Steps]],
        bandwidth_hz: tuple[float, float] | None = BAND_HZ,
        cells: list[int] | None = None,
    ):
        names = tuple(f"device-{index}" for index in range(len(links)))
        self.info = NetworkInfo("made-up", names, BEGIN_NS, {}, {"made-up": "1"}, bandwidth_hz)
        self.now_ns = BEGIN_NS
        self.busy_ns = 7
        self.closed = 0
        self._rows = sorted(
            (time_ns, device, way, 0, 2 * cells[device] + way if cells else 0, capacity_bps, sinr_db)
            for device, directions in enumerate(links)
            for way, steps in enumerate(directions)
            for time_ns, sinr_db, capacity_bps in steps
        )

    def exchange(self, transfers, depart_ns, deadline_ns, wait=Wait.ALL, bandwidth_shares=None) -> Outcome:
        assert (transfers, bandwidth_shares) == ((), None)
        assert self.now_ns < depart_ns == deadline_ns
        seen = [row for row in self._rows if row[0] < depart_ns]
        self._rows = self._rows[len(seen) :]
        before_ns, self.now_ns = self.now_ns, depart_ns
        tracks = [TRACK_ROW.pack(*row) for row in TRACKS if before_ns <= row[0] < depart_ns]
        return Outcome(depart_ns, (), (), b"".join(CHANNEL_ROW.pack(*row) for row in seen), tracks=b"".join(tracks))

    def close(self) -> None:
        self.closed += 1


def steady(sinr_db: float, capacity_bps: float = 1e6) -> Steps:
    return [(BEGIN_NS, sinr_db, capacity_bps)]


def shannon_bps(sinr_db: float, band_hz: float) -> float:
    return 0.0 if math.isnan(sinr_db) else band_hz * math.log2(1 + 10 ** (sinr_db / 10))


def test_constant_channels_have_the_closed_form():
    """Each of three devices has a third of the band; each direction has its own SINR."""
    sinr_db = [(10, 3), (0, -5), (25.5, 12.25)]
    network = AnalyticNetwork(IdleSession([(steady(down), steady(up)) for down, up in sinr_db]))
    depart_ns = BEGIN_NS + 5 * MS
    transfers = [Transfer(2, 50_000, 3 * MS, 20_000), Transfer(0, 1, 0, 1), Transfer(1, 8192, 1, 8192)]
    outcome = network.exchange(transfers, depart_ns, depart_ns + LATE_NS)
    for transfer, came in zip(transfers, outcome.transfers, strict=True):
        down_s, up_s = (
            8 * size / (shannon_bps(sinr, band) / 3)
            for size, sinr, band in zip(
                (transfer.downlink_bytes, transfer.uplink_bytes), sinr_db[transfer.device], BAND_HZ, strict=True
            )
        )
        assert (came.device, came.status, came.downlink_begin_ns) == (transfer.device, Status.DONE, depart_ns)
        assert came.downlink_end_ns == pytest.approx(depart_ns + down_s * NS_PER_S, abs=1)
        assert came.compute_end_ns == came.downlink_end_ns + transfer.compute_ns
        assert came.uplink_end_ns == pytest.approx(came.compute_end_ns + up_s * NS_PER_S, abs=1)
    assert outcome.now_ns == network.now_ns == max(came.uplink_end_ns for came in outcome.transfers)
    for device, link in enumerate(outcome.links):
        assert (link.device, link.connected) == (device, True)
        assert (link.downlink_sinr_db, link.uplink_sinr_db) == sinr_db[device]
        assert link.downlink_rate_bps == pytest.approx(shannon_bps(sinr_db[device][0], BAND_HZ[0]))
        assert link.uplink_rate_bps == pytest.approx(shannon_bps(sinr_db[device][1], BAND_HZ[1]))


def test_given_shares_take_the_place_of_equal_ones():
    def downlink_ns(shares: list[float] | None, devices: tuple[int, ...]) -> list[int]:
        network = AnalyticNetwork(IdleSession([(steady(10), steady(10))] * 3))
        transfers = [Transfer(device, 30_000, 0, 1) for device in devices]
        outcome = network.exchange(transfers, BEGIN_NS, BEGIN_NS + LATE_NS, bandwidth_shares=shares)
        return [came.downlink_end_ns and came.downlink_end_ns - BEGIN_NS for came in outcome.transfers]

    whole_ns = 8 * 30_000 / shannon_bps(10, BAND_HZ[0]) * NS_PER_S
    assert downlink_ns(None, (1,)) == pytest.approx([whole_ns], abs=1)
    assert downlink_ns(None, (0, 2)) == pytest.approx([2 * whole_ns] * 2, abs=1)
    assert downlink_ns([0.5, 0.1, 0.25], (0, 2)) == pytest.approx([2 * whole_ns, 4 * whole_ns], abs=1)
    assert downlink_ns([1, 0, 0], (0, 1)) == [pytest.approx(whole_ns, abs=1), None]


def test_each_cell_has_its_band_for_the_devices_that_it_serves():
    """Two of the devices asked are in one cell, the third in another, beside one that is not asked."""
    network = AnalyticNetwork(IdleSession([(steady(10), steady(3))] * 4, cells=[0, 1, 0, 1]))
    outcome = network.exchange([Transfer(d, 30_000, 0, 20_000) for d in (0, 1, 2)], BEGIN_NS, BEGIN_NS + LATE_NS)
    down_ns = 8 * 30_000 / shannon_bps(10, BAND_HZ[0]) * NS_PER_S
    up_ns = 8 * 20_000 / shannon_bps(3, BAND_HZ[1]) * NS_PER_S
    for came, devices in zip(outcome.transfers, (2, 1, 2), strict=True):
        assert came.downlink_end_ns - BEGIN_NS == pytest.approx(devices * down_ns, abs=2)
        assert came.uplink_end_ns - BEGIN_NS == pytest.approx(devices * (down_ns + up_ns), abs=2)


def test_users_have_parts_of_the_band_and_exchanges_the_rest():
    """Of four devices two are users: their messages take a quarter each, a lone transfer half, whatever else goes."""
    network = AnalyticNetwork(IdleSession([(steady(10), steady(3))] * 4), users=2)
    down_bps, up_bps = shannon_bps(10, BAND_HZ[0]), shannon_bps(3, BAND_HZ[1])
    late_ns = BEGIN_NS + 50 * MS

    def took_ns(size: int, rate_bps: float) -> int:
        return round(8 * size / (rate_bps / 4) * NS_PER_S)

    asked = [
        Message(0, 2, True, 3000, BEGIN_NS, late_ns),
        Message(1, 3, False, 4000, BEGIN_NS + 10, late_ns),
        Message(2, 3, False, 5000, BEGIN_NS + 20, late_ns),
        Message(3, 2, False, 1_000_000, BEGIN_NS + 20, late_ns),
        Message(4, 2, False, 10, BEGIN_NS + 30, late_ns + 50 * MS),
    ]
    assert network.convey(asked, BEGIN_NS) == Conveyed(BEGIN_NS, ())
    (came,) = network.exchange([Transfer(0, 30_000, 0, 1)], BEGIN_NS, BEGIN_NS + LATE_NS).transfers
    assert came.downlink_end_ns == pytest.approx(BEGIN_NS + 8 * 30_000 / (down_bps / 2) * NS_PER_S, abs=1)
    told: list[Delivery] = []
    while len(told) < len(asked):
        told += network.convey((), late_ns + 50 * MS).deliveries
    ends_ns = {each.message: (each.status, each.end_ns) for each in told}
    first_ns = BEGIN_NS + 10 + took_ns(4000, down_bps)
    assert ends_ns == {
        0: (Status.DONE, pytest.approx(BEGIN_NS + took_ns(3000, up_bps), abs=1)),
        1: (Status.DONE, pytest.approx(first_ns, abs=1)),
        2: (Status.DONE, pytest.approx(first_ns + took_ns(5000, down_bps), abs=2)),
        3: (Status.LATE, late_ns),
        4: (Status.DONE, pytest.approx(late_ns + took_ns(10, down_bps), abs=1)),
    }


def test_a_message_of_a_user_without_a_connection_is_unreachable_from_then_on():
    gone = [(BEGIN_NS, 10.0, 1e6), (BEGIN_NS + 5 * MS, 10.0, -1.0)]
    network = AnalyticNetwork(IdleSession([(steady(10), steady(10)), (gone, steady(10))]), users=1)
    late_ns = BEGIN_NS + 100 * MS
    asked = [Message(0, 1, False, 10**6, BEGIN_NS, late_ns), Message(1, 1, True, 1, BEGIN_NS + 6 * MS, late_ns)]
    first, second = network.convey(asked, late_ns), network.convey((), late_ns)
    assert first == Conveyed(BEGIN_NS + 5 * MS, (Delivery(0, Status.UNREACHABLE, BEGIN_NS + 5 * MS),))
    assert second == Conveyed(BEGIN_NS + 6 * MS, (Delivery(1, Status.UNREACHABLE, BEGIN_NS + 6 * MS),))


def end_by_bisection_ns(steps: Steps, begin_ns: int, bits: float, band_hz: float) -> float:
    """When the integral of Shannon's rate from `begin_ns` on comes to `bits`."""

    def carried_bits(until_ns: float) -> float:
        edges = [max(time_ns, begin_ns) for time_ns, _, _ in steps] + [math.inf]
        spans_s = [max(min(b, until_ns) - min(a, until_ns), 0) / NS_PER_S for a, b in itertools.pairwise(edges)]
        return math.fsum(
            shannon_bps(sinr_db, band_hz) * span_s for (_, sinr_db, _), span_s in zip(steps, spans_s, strict=True)
        )

    low_ns, high_ns = 0.0, float(LATE_NS)
    while high_ns - low_ns > 0.01:
        middle_ns = (low_ns + high_ns) / 2
        low_ns, high_ns = (middle_ns, high_ns) if carried_bits(begin_ns + middle_ns) < bits else (low_ns, middle_ns)
    return begin_ns + high_ns


def test_a_step_of_the_sinr_within_a_transfer_changes_its_rate_from_there_on():
    down = [(BEGIN_NS, 20.0, 1e6), (BEGIN_NS + 4 * MS, 0.0, 1e6), (BEGIN_NS + 9 * MS, NAN, 0.0)]
    down += [(BEGIN_NS + 12 * MS, 7.0, 1e6)]
    network = AnalyticNetwork(IdleSession([(down, steady(10))]))
    depart_ns, size = BEGIN_NS + 2 * MS, 60_000
    (came,) = network.exchange([Transfer(0, size, 0, 1)], depart_ns, depart_ns + LATE_NS).transfers
    by_hand = 8 * size - 2e-3 * shannon_bps(20, 20e6) - 5e-3 * shannon_bps(0, 20e6)
    assert by_hand > 0
    by_hand_ns = BEGIN_NS + 12 * MS + by_hand / shannon_bps(7, 20e6) * NS_PER_S
    assert came.downlink_end_ns == pytest.approx(by_hand_ns, abs=1)
    assert end_by_bisection_ns(down, depart_ns, 8 * size, 20e6) == pytest.approx(by_hand_ns, abs=1)


gaps_ns = st.integers(1, 30 * MS)
sinrs_db = st.one_of(st.floats(-15, 40, width=32), st.just(NAN))
channels = st.lists(st.tuples(gaps_ns, sinrs_db), max_size=12)


def stepwise(changes: list[tuple[int, float]]) -> Steps:
    """Steps with these gaps, that end in a good channel."""
    times = itertools.accumulate((gap for gap, _ in changes), initial=BEGIN_NS)
    return [(time_ns, sinr_db, 1e6) for time_ns, (_, sinr_db) in zip(times, [*changes, (1, 15.0)], strict=True)]


@settings(deadline=None, max_examples=80)
@given(channels, channels, st.integers(0, 80 * MS), st.integers(1, 300_000), st.integers(0, 30 * MS))
def test_any_stepwise_channel_agrees_with_a_numeric_integration(down, up, wait_ns, size, compute_ns):
    down, up = stepwise(down), stepwise(up)
    network = AnalyticNetwork(IdleSession([(down, up), (steady(0), steady(0))]))
    depart_ns = BEGIN_NS + wait_ns
    asked = [Transfer(0, size, compute_ns, size), Transfer(1, 1, 0, 1)]
    came = network.exchange(asked, depart_ns, depart_ns + LATE_NS).transfers[0]
    expected_ns = end_by_bisection_ns(down, depart_ns, 2 * 8 * size, BAND_HZ[0])
    assert came.downlink_end_ns == pytest.approx(expected_ns, abs=2)
    expected_ns = end_by_bisection_ns(up, came.downlink_end_ns + compute_ns, 2 * 8 * size, BAND_HZ[1])
    assert came.uplink_end_ns == pytest.approx(expected_ns, abs=2)


@pytest.fixture
def three() -> AnalyticNetwork:
    """0 dB, 10 dB and 20 dB."""
    return AnalyticNetwork(IdleSession([(steady(sinr), steady(sinr)) for sinr in (0, 10, 20)]))


def test_the_deadline_cuts_off_what_is_under_way(three):
    whole = AnalyticNetwork(IdleSession([(steady(sinr), steady(sinr)) for sinr in (0, 10, 20)]))
    transfers = [Transfer(device, 25_000, (5 + 10 * (device == 1)) * MS, 25_000) for device in range(3)]
    slow, middle, fast = whole.exchange(transfers, BEGIN_NS, BEGIN_NS + LATE_NS).transfers
    assert fast.uplink_end_ns < middle.compute_end_ns < slow.downlink_end_ns
    deadline_ns = middle.compute_end_ns
    outcome = three.exchange(transfers, BEGIN_NS, deadline_ns)
    assert outcome.now_ns == deadline_ns
    cut_slow, cut_middle, cut_fast = outcome.transfers
    assert cut_fast == fast
    assert (cut_middle.status, cut_middle.compute_end_ns, cut_middle.uplink_end_ns) == (
        Status.LATE,
        middle.compute_end_ns,
        None,
    )
    assert (cut_slow.status, cut_slow.downlink_begin_ns, cut_slow.downlink_end_ns) == (Status.LATE, BEGIN_NS, None)


def test_an_answer_at_the_deadline_is_in_time_and_one_nanosecond_later_it_is_late(three):
    transfers = [Transfer(2, 25_000, 5 * MS, 25_000)]
    end_ns = AnalyticNetwork(IdleSession([(steady(20), steady(20))] * 3)).exchange(transfers, BEGIN_NS, LATE_NS).now_ns
    assert three.exchange(transfers, BEGIN_NS, end_ns).transfers[0].status is Status.DONE
    again = AnalyticNetwork(IdleSession([(steady(20), steady(20))] * 3))
    assert again.exchange(transfers, BEGIN_NS, end_ns - 1).transfers[0].status is Status.LATE


def test_any_ends_with_the_first_that_is_done_and_deadline_with_none(three):
    transfers = [Transfer(device, 25_000, 5 * MS, 25_000) for device in range(3)]
    outcome = three.exchange(transfers, BEGIN_NS, BEGIN_NS + LATE_NS, Wait.ANY)
    assert [came.status for came in outcome.transfers] == [Status.LATE, Status.LATE, Status.DONE]
    assert outcome.now_ns == outcome.transfers[2].uplink_end_ns
    begin_ns = outcome.now_ns
    outcome = three.exchange(transfers, begin_ns, begin_ns + LATE_NS, Wait.DEADLINE)
    assert outcome.now_ns == begin_ns + LATE_NS
    assert all(came.status is Status.DONE for came in outcome.transfers)


def test_without_transfers_the_clock_moves_on(three):
    assert three.exchange([], BEGIN_NS + 3 * MS, BEGIN_NS + 9 * MS).now_ns == BEGIN_NS + 3 * MS
    assert three.exchange([], BEGIN_NS + 4 * MS, BEGIN_NS + 9 * MS, Wait.DEADLINE).now_ns == BEGIN_NS + 9 * MS
    with pytest.raises(RequestError, match="depart_ns"):
        three.exchange([], BEGIN_NS, BEGIN_NS + 9 * MS)
    assert three.now_ns == BEGIN_NS + 9 * MS


GOOD, GONE = 10.0, (NAN, -1.0)


def leaving(from_ns: int, until_ns: int | None = None) -> tuple[Steps, Steps]:
    back = [] if until_ns is None else [(until_ns, GOOD, 1e6)]
    steps = [(BEGIN_NS, GOOD, 1e6), (from_ns, *GONE), *back]
    return steps, steps


@pytest.mark.parametrize("wait", [Wait.ALL, Wait.ANY])
def test_who_has_no_connection_is_unreachable_at_once_and_nobody_waits_for_it(wait):
    gone = [(BEGIN_NS, *GONE)]
    network = AnalyticNetwork(IdleSession([(gone, gone), (steady(GOOD), steady(GOOD))]))
    transfers = [Transfer(0, 25_000, 0, 25_000), Transfer(1, 25_000, 0, 25_000)]
    outcome = network.exchange(transfers, BEGIN_NS, BEGIN_NS + LATE_NS, wait)
    unreachable, done = outcome.transfers
    assert (unreachable.status, unreachable.downlink_begin_ns) == (Status.UNREACHABLE, None)
    assert (done.status, done.uplink_end_ns) == (Status.DONE, outcome.now_ns)
    assert [link.connected for link in outcome.links] == [False, True]
    assert (outcome.links[0].downlink_sinr_db, outcome.links[0].downlink_rate_bps) == (None, 0)
    alone = network.exchange(transfers[:1], outcome.now_ns, outcome.now_ns + LATE_NS, wait)
    assert alone.now_ns == outcome.now_ns


def test_who_leaves_under_way_is_unreachable_from_then_on_and_served_again_when_back():
    transfers = [Transfer(0, 25_000, 50 * MS, 25_000)]
    leave_ns, back_ns = BEGIN_NS + 30 * MS, BEGIN_NS + 45 * MS
    network = AnalyticNetwork(IdleSession([leaving(leave_ns, back_ns)]))
    outcome = network.exchange(transfers, BEGIN_NS, BEGIN_NS + LATE_NS)
    (came,) = outcome.transfers
    assert outcome.now_ns == leave_ns
    assert came.status is Status.UNREACHABLE
    assert came.downlink_end_ns < leave_ns
    assert (came.compute_end_ns, came.uplink_end_ns) == (None, None)
    assert not outcome.links[0].connected
    outcome = network.exchange(transfers, back_ns, back_ns + LATE_NS)
    assert outcome.transfers[0].status is Status.DONE
    assert outcome.links[0].connected


def test_who_has_left_and_come_back_while_nobody_asked_was_not_missed():
    network = AnalyticNetwork(IdleSession([leaving(BEGIN_NS + MS, BEGIN_NS + 2 * MS)]))
    outcome = network.exchange([Transfer(0, 25_000, 0, 25_000)], BEGIN_NS + 3 * MS, BEGIN_NS + LATE_NS)
    assert outcome.transfers[0].status is Status.DONE


def test_who_leaves_behind_its_last_byte_is_done():
    transfers = [Transfer(0, 25_000, 0, 25_000), Transfer(1, 200_000, 0, 200_000)]
    links = [(steady(GOOD), steady(GOOD))] * 2
    end_ns = AnalyticNetwork(IdleSession(links)).exchange(transfers, BEGIN_NS, LATE_NS).transfers[0].uplink_end_ns
    for leave_ns, status in ((end_ns + 1, Status.DONE), (end_ns - 1, Status.UNREACHABLE)):
        network = AnalyticNetwork(IdleSession([leaving(leave_ns), links[1]]))
        outcome = network.exchange(transfers, BEGIN_NS, BEGIN_NS + LATE_NS)
        assert [came.status for came in outcome.transfers] == [status, Status.DONE]


def fading(seed: int) -> list[tuple[Steps, Steps]]:
    random = np.random.default_rng(seed)

    def link() -> Steps:
        times = BEGIN_NS + np.append(0, np.cumsum(random.integers(1, 3 * MS, 400)))
        return [(int(time_ns), float(np.float32(random.uniform(-5, 30))), 1e6) for time_ns in times]

    return [(link(), link()) for _ in range(4)]


def test_several_exchanges_are_those_of_one_clock_however_far_the_channel_was_read():
    """Each exchange comes out as on a network that was moved there without a transfer, in strides of its own."""
    links = fading(1)
    network = AnalyticNetwork(IdleSession(links))
    record = tracks = b""
    for number in range(12):
        depart_ns = network.now_ns + number * 2 * MS
        deadline_ns = depart_ns + (25 * MS if number % 3 else 400 * MS)
        transfers = [Transfer(device, 9_000 * (1 + number), MS, 5_000) for device in range(number % 4 + 1)]
        wait = list(Wait)[number % 3]
        outcome = network.exchange(transfers, depart_ns, deadline_ns, wait)
        record += outcome.channel
        tracks += outcome.tracks
        assert all(row[0] <= outcome.now_ns for row in TRACK_ROW.iter_unpack(outcome.tracks))
        other = AnalyticNetwork(IdleSession(links))
        for time_ns in range(BEGIN_NS, depart_ns, 17 * MS):
            other.exchange([], time_ns, time_ns)
        alone = other.exchange(transfers, depart_ns, deadline_ns, wait)
        assert (alone.now_ns, alone.transfers, alone.links) == (outcome.now_ns, outcome.transfers, outcome.links)
    rows = [row for row in IdleSession(links)._rows if row[0] <= network.now_ns]
    assert record == b"".join(CHANNEL_ROW.pack(*row) for row in rows)
    went = [row for row in TRACKS if row[0] <= network.now_ns]
    assert len(went) < len(TRACKS)
    assert tracks == b"".join(TRACK_ROW.pack(*row) for row in went)
    assert network.now_ns > BEGIN_NS + 5 * STEP_NS


def test_the_channel_is_read_no_further_than_a_step_beyond_what_is_needed():
    session = IdleSession([(steady(10), steady(10))])
    network = AnalyticNetwork(session)
    assert session.now_ns == BEGIN_NS + STEP_NS
    now_ns = network.exchange([Transfer(0, 500_000, 0, 500_000)], BEGIN_NS, BEGIN_NS + LATE_NS).now_ns
    assert now_ns < session.now_ns <= now_ns + STEP_NS
    assert network.busy_ns == 7 * ((session.now_ns - BEGIN_NS) // STEP_NS - 1)


def test_what_has_no_band_or_tells_nothing_of_its_channel_is_refused_by_name():
    class Live:
        def __init__(self, session: IdleSession):
            self.session = session

        def open(self, name: str) -> IdleSession:
            assert name == "top-k-analytic"
            return self.session

    for session, words in (
        (IdleSession([(steady(10), steady(10))], None), "radio.scenario: made-up has no band"),
        (IdleSession([(steady(10), [])]), "radio.scenario: made-up keeps no record"),
    ):
        with pytest.raises(RequestError, match=words):
            AnalyticSource(Live(session)).open("top-k")
        assert session.closed == 1
