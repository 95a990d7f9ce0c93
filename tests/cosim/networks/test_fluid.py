# SPDX-License-Identifier: Apache-2.0
"""The fluid model of transfers, against closed forms and against small steps of time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.networks.cursor import at_begin
from cosim.networks.fluid import (
    ALL,
    ANY,
    DEADLINE,
    DONE,
    LATE,
    LOST,
    UNREACHABLE,
    carry,
    convey,
)
from cosim.networks.links import UNDER_WAY, Channel, Exchanges, messages_of, no_messages, these, together, undisturbed

NEVER_NS = 10**15
ALONE = undisturbed(np.zeros(2), np.ones(2), np.zeros(2), np.zeros(2))


def channel(*links, pools=None, others=None, period_ns=np.inf):
    """A channel of links, each a list of (begin in ns, bit/s); by default each link has a pool of its own."""
    rows = [row for link in links for row in link]
    sizes = [len(link) for link in links]
    pools = np.arange(len(links)) if pools is None else pools
    others = np.zeros(len(links)) if others is None else others
    return Channel(
        np.cumsum([0, *sizes]),
        np.array([float(begin) for begin, _ in rows]),
        np.array([float(rate) for _, rate in rows]),
        np.repeat(np.asarray(pools), sizes),
        np.repeat(np.asarray(others, dtype=float), sizes),
        int(np.max(pools)) + 1,
        period_ns,
    )


def constants(links, floor_ns=0.0, efficiency=1.0, overhead=0.0, message_floor_ns=0.0):
    values = (floor_ns, efficiency, overhead, message_floor_ns)
    return undisturbed(*(np.broadcast_to(float(value), links).copy() for value in values))


def sent_of(*asked, deadline_ns=NEVER_NS, vanish=False):
    """Messages, each a link, bytes and when it begins in ns."""
    link, size_bytes, begin_ns = np.array(asked, np.int64).T
    count = len(asked)
    deadline = np.full(count, deadline_ns)
    return messages_of(np.arange(count), link, size_bytes, begin_ns, deadline, np.full(count, vanish))


def run(
    links,
    fitted,
    transfers,
    depart_ns=0,
    deadline_ns=NEVER_NS,
    wait=ALL,
    vanishes=None,
    shares=None,
    messages=None,
    to_end=False,
):
    """One exchange: its end, the times of its transfers and their statuses; if `to_end`, messages are gone on with."""
    count = len(transfers)
    asked = Exchanges(
        np.array([0, count]),
        np.array([float(depart_ns)]),
        np.array([float(deadline_ns)]),
        np.array(transfers, np.int64).reshape(count, 4),
        np.zeros((count, 2), dtype=bool) if vanishes is None else np.array(vanishes),
        np.full(count, np.nan) if shares is None else np.array(shares, dtype=float),
        wait,
    )
    end, times, status = np.empty(1), np.empty((count, 3)), np.empty(count, np.int64)
    cursor = at_begin(links)
    carry(links, fitted, cursor, messages, asked, end, times, status)
    if to_end:
        convey(links, fitted, cursor, messages, np.inf, False)
    return end[0], times, status.tolist()


def test_one_transfer_takes_floor_and_bits_over_rate_each_way():
    links = channel([(0, 80e6)], [(0, 20e6)])
    fitted = undisturbed(np.array([3e6, 11e6]), np.array([0.9, 0.8]), np.array([5.0, 5.0]), np.zeros(2))
    end, times, status = run(links, fitted, [(0, 9000, 700_000, 4000)], depart_ns=50)
    down = 50 + 3e6 + 8 * 9000 / (0.9 * 80e6) * 1e9
    up = down + 700_000 + 11e6 + 8 * 4000 / (0.8 * 20e6) * 1e9
    assert times[0] == pytest.approx([down, down + 700_000, up])
    assert end == times[0, 2]
    assert status == [DONE]


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8, unique=True), st.floats(0, 1))
def test_downlinks_of_one_pool_share_it_equally(sizes, overhead):
    """Processor sharing: while k flow, the least of what is left is k shares away."""
    devices = len(sizes)
    links = channel(*[[(0, 100e6)]] * (2 * devices), pools=[0, 1] * devices)
    fitted = constants(2 * devices, overhead=overhead)
    _, times, _ = run(links, fitted, [(device, size, 10**9, 1) for device, size in enumerate(sizes)])
    expected, now, served = {}, 0.0, 0
    for finished, size in enumerate(sorted(sizes)):
        flowing = devices - finished
        now += 8 * (size - served) * (flowing + overhead * (flowing - 1)) / 100e6 * 1e9
        served, expected[size] = size, now
    assert times[:, 0] == pytest.approx([expected[size] for size in sizes], rel=1e-6)


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 1)), min_size=1, max_size=8), st.integers(0, 3))
def test_who_is_limited_by_power_loses_less_to_others(asked, others):
    """While k flow beside `others`, each has 1 / (1 + limited * (k - 1 + others)) of its rate alone."""
    size, limited = np.array(asked).T
    devices = len(asked)
    links = channel(*[[(0, 100e6)]] * (2 * devices), pools=[0, 1] * devices, others=[others] * (2 * devices))
    fitted = constants(2 * devices)._replace(band_limited=np.repeat(limited, 2))
    _, times, _ = run(links, fitted, [(device, size, 10**9, 1) for device, (size, _) in enumerate(asked)])
    left, now, ends = 8 * size, 0.0, np.zeros(devices)
    while (flowing := left > 0).any():
        rate = np.where(flowing, 0.1 / (1 + limited * (flowing.sum() - 1 + others)), 0)
        took = min(left[flowing] / rate[flowing])
        now += took
        left = np.where(left - rate * took > 1e-6, left - rate * took, 0)
        ends[flowing & (left == 0)] = now
    assert times[:, 0] == pytest.approx(ends, rel=1e-6)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.floats(0, 1), st.integers(1, 10**6))
def test_with_a_share_a_transfer_has_that_part_of_the_capacity_whatever_the_others_do(parts, overhead, size):
    """Floor and efficiency stay; others, overhead, who is done already and what power limits do not matter."""
    devices = len(parts)
    shares = np.array(parts) / max(sum(parts), 1)
    links = channel(*[[(0, 100e6)]] * (2 * devices), pools=[0, 1] * devices, others=[3] * (2 * devices))
    fitted = constants(2 * devices, floor_ns=2e6, efficiency=0.8, overhead=overhead)
    fitted = fitted._replace(efficiency=fitted.efficiency / 2, band_limited=np.full(2 * devices, 0.3))
    asked = [(device, size * (1 + device), 700, size) for device in range(devices)]
    _, times, status = run(links, fitted, asked, shares=shares)
    down_ns = 2e6 + 8 * size * np.arange(1, devices + 1) / (0.8 * shares * 100e6) * 1e9
    assert times[:, 0] == pytest.approx(down_ns)
    assert times[:, 2] - times[:, 1] == pytest.approx(2e6 + 8 * size / (0.8 * shares * 100e6) * 1e9)
    assert status == [DONE] * devices


@given(st.integers(1, 8), st.integers(1, 10**6))
def test_equal_shares_are_what_all_active_all_the_time_divide_among_themselves(devices, size):
    links = channel(*[[(0, 100e6)]] * (2 * devices), pools=[0, 1] * devices)
    asked = [(device, size, 10**6, size) for device in range(devices)]
    equal, divided = (run(links, constants(2 * devices, 1e6), asked, shares=s) for s in ([1 / devices] * devices, None))
    assert equal[0] == pytest.approx(divided[0])
    assert equal[1] == pytest.approx(divided[1])


def test_without_any_share_a_transfer_is_late():
    links = channel(*[[(0, 8e6)]] * 4)
    _, _, status = run(links, constants(4), [(0, 1000, 0, 1000), (1, 1000, 0, 1000)], 0, 10**9, shares=[1, 0])
    assert status == [DONE, LATE]


def test_other_users_take_a_share_each():
    links = channel([(0, 10e6)], [(0, 10e6)], others=[3, 0])
    _, times, _ = run(links, ALONE, [(0, 1000, 0, 1000)])
    assert times[0, 0] == pytest.approx(4 * 0.8e6)
    assert times[0, 2] - times[0, 1] == pytest.approx(0.8e6)


def test_pools_do_not_disturb_each_other_and_directions_in_one_pool_do():
    apart = channel(*[[(0, 8e6)]] * 4)
    _, times, _ = run(apart, constants(4), [(0, 1000, 0, 1000), (1, 1000, 0, 1000)])
    assert times[:, 2] == pytest.approx([2e6, 2e6])
    # Device 0's answer shares the medium with what is left of device 1's downlink.
    medium = channel(*[[(0, 8e6)]] * 4, pools=[0] * 4)
    _, times, _ = run(medium, constants(4), [(0, 1000, 0, 1000), (1, 2000, 0, 1000)])
    assert times[:, 0] == pytest.approx([2e6, 4e6])
    assert times[0, 2] == pytest.approx(4e6)
    assert times[1, 2] == pytest.approx(5e6)


@given(
    st.lists(st.tuples(st.integers(1, 5_000_000), st.sampled_from([0, 1e6, 5e6, 40e6, 75e6])), min_size=1, max_size=12),
    st.integers(1, 200_000),
    st.integers(0, 10_000_000),
)
def test_a_rate_that_changes_is_integrated(rows, size, depart_ns):
    lengths, rates = zip(*rows, strict=True)
    begins = np.cumsum([0, *lengths])[:-1]
    links = channel([*zip(begins, rates, strict=True), (begins[-1] + lengths[-1], 1e6)], [(0, 1e9)])
    _, times, _ = run(links, ALONE, [(0, size, 0, 1)], depart_ns=depart_ns)
    # Bits that crossed by any instant, by interpolation between the rows.
    edges = np.append(np.append(begins, begins[-1] + lengths[-1]), NEVER_NS).astype(float)
    work = np.concatenate([[0], np.cumsum(np.diff(edges) * np.append(rates, 1e6) / 1e9)])
    wanted = np.interp(depart_ns, edges, work) + 8 * size
    piece = np.searchsorted(work, wanted) - 1
    expected_ns = edges[piece] + (wanted - work[piece]) / np.append(rates, 1e6)[piece] * 1e9
    assert times[0, 0] == pytest.approx(expected_ns, rel=1e-6, abs=2)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_small_steps_of_time_come_to_the_same(seed):
    """A second implementation: everything moves on by 20 us at a time. The last two devices have messages."""
    draw = np.random.default_rng(seed)
    devices, step = int(draw.integers(1, 5)), 20_000
    count = 2 * (devices + 2)
    pools = [0, 0] * (devices + 2) if draw.random() < 0.5 else [0, 1] * (devices + 2)
    begins = [np.concatenate([[0], np.sort(draw.integers(1, 20_000, 3)) * 1000]) for _ in range(count)]
    rates = draw.choice([20e6, 25e6, 30e6], (count, 4))
    links = channel(*[list(zip(b, r, strict=True)) for b, r in zip(begins, rates, strict=True)], pools=pools)
    fitted = undisturbed(*(draw.uniform(*of, count) for of in ((0, 3e6), (0.5, 1), (0.1, 0.1), (0, 3e6))))
    asked = [(d, int(draw.integers(500, 20_000)), int(draw.integers(0, 10**6)), int(draw.integers(500, 20_000)))
             for d in range(devices)]  # fmt: skip
    sent = sorted((int(draw.integers(0, 15)) * 10**6, int(draw.integers(2 * devices, count))) for _ in range(6))
    sizes = draw.integers(1, 20_000, len(sent)).tolist()
    told = sent_of(*((link, size, begin_ns) for (begin_ns, link), size in zip(sent, sizes, strict=True)))
    _, times, _ = run(links, fitted, asked, messages=told, to_end=True)

    ends, came = np.full((devices, 3), -1.0), np.full(len(sent), -1.0)
    phase, left, bits = [0] * devices, [0.0] * devices, [8.0 * size for size in sizes]
    until = [float(fitted.floor_ns[2 * device]) for device in range(devices)]
    now = 0.0
    while min(phase) < 5 or came.min() < 0:
        heads: dict[int, int] = {}  # by link, the first of the messages that are there
        for number, (begin_ns, link) in enumerate(sent):
            if begin_ns <= now and came[number] < 0:
                heads.setdefault(link, number)
        heads = {link: one for link, one in heads.items() if sent[one][0] + fitted.message_floor_ns[link] <= now}
        flowing = {2 * d + (phase[d] == 4): (left, d) for d in range(devices) if phase[d] in (1, 4)}
        flowing |= {link: (bits, number) for link, number in heads.items()}
        for link, (of_all, which) in flowing.items():
            n = sum(pools[other] == pools[link] for other in flowing)
            rate = rates[link][np.searchsorted(begins[link], now, side="right") - 1]
            of_all[which] -= fitted.efficiency[link] * rate / (n + 0.1 * (n - 1)) * step / 1e9
        now += step
        for number in heads.values():
            came[number] = now if bits[number] <= 0 else -1
        for device, (_, down, compute_ns, up) in enumerate(asked):
            if phase[device] == 0 and until[device] <= now:
                phase[device], left[device] = 1, 8.0 * down
            elif phase[device] == 1 and left[device] <= 0:
                phase[device], ends[device, 0], until[device] = 2, now, now + compute_ns
            elif phase[device] == 2 and until[device] <= now:
                phase[device], ends[device, 1], until[device] = 3, now, now + fitted.floor_ns[2 * device + 1]
            elif phase[device] == 3 and until[device] <= now:
                phase[device], left[device] = 4, 8.0 * up
            elif phase[device] == 4 and left[device] <= 0:
                phase[device], ends[device, 2] = 5, now
    assert times == pytest.approx(ends, abs=30 * step)
    assert told.end_ns == pytest.approx(came, abs=30 * step)
    assert told.status.tolist() == [DONE] * len(sent)


def test_on_a_medium_each_waits_for_a_turn_of_those_before_it():
    """Three alike, bits that take no time: the k-th is k turns late, and an answer one for each that is under way."""
    fitted = constants(6, floor_ns=1e6)._replace(turn_ns=np.full(6, 0.5e6))
    asked = [(device, 1, 10**8 * (1 + device), 1) for device in range(3)]
    _, times, _ = run(channel(*[[(0, 1e15)]] * 6, pools=[0] * 6), fitted, asked)
    assert times[:, 0] == pytest.approx(1e6 + 0.5e6 * np.arange(3))
    assert times[:, 2] - times[:, 1] == pytest.approx(np.full(3, 1e6))  # by then the medium is free
    _, apart, _ = run(channel(*[[(0, 1e15)]] * 6), fitted, asked)
    assert apart[:, 0] == pytest.approx(np.full(3, 1e6))
    busy = [(0, 1, 0, 1), (1, 1, 10**8, 1)]  # the answer of the first meets the second on its way down
    _, met, _ = run(channel(*[[(0, 1e15)]] * 4, pools=[0] * 4), fitted, busy)
    assert met[0, 2] - met[0, 1] == pytest.approx(1.5e6)


@pytest.mark.parametrize("shares", [None, (0.5, 0.5, 0.25)])
def test_cells_on_one_air_slow_each_other_down_and_repeat(shares):
    """Devices 0 and 1 are in one cell, 2 in another; a busy cell counts for the part of its band that is in use."""
    links = channel(*[[(0, 8e6)]] * 6, pools=[0, 1, 0, 1, 2, 3])
    alone, size = constants(6), 1000
    air = np.array([0, 1, 0, 1, 0, 1])
    fitted = alone._replace(coupling=np.full(6, 2.0), repeat_ns=np.full(6, 7e6), air=air)
    asked = [(0, size, 10**9, 1), (1, size, 10**9, 1), (2, 10 * size, 10**9, 1)]
    _, quiet, _ = run(links, alone, asked, shares=shares)
    _, times, _ = run(links, fitted, asked, shares=shares)
    beside = 1.0 if shares is None else shares[2]
    assert times[:2, 0] == pytest.approx(quiet[:2, 0] * (1 + 2 * beside) + 7e6 * beside)
    rate = 8e6 if shares is None else shares[2] * 8e6
    crossed = rate / 3 * times[0, 0] / 1e9  # while both of the other cell, its whole band, were under way
    assert times[2, 0] == pytest.approx(times[0, 0] + (8 * 10 * size - crossed) / rate * 1e9 + 7e6, rel=1e-6)


def test_what_ends_an_exchange():
    links = channel(*[[(0, 8e6)]] * 4)
    asked = [(0, 1000, 0, 1000), (1, 5000, 0, 1000)]
    end, times, status = run(links, constants(4), asked, wait=ANY)
    assert (end, status) == (pytest.approx(2e6), [DONE, LATE])
    assert times[1].tolist() == [-1, -1, -1]
    end, _, status = run(links, constants(4), asked, deadline_ns=3_000_000)
    assert (end, status) == (3e6, [DONE, LATE])
    end, _, status = run(links, constants(4), asked, deadline_ns=9_000_000, wait=DEADLINE)
    assert (end, status) == (9e6, [DONE, DONE])
    end, _, status = run(links, constants(4), [], depart_ns=7)
    assert (end, status) == (7, [])


def test_an_answer_at_the_deadline_is_in_time():
    end, _, status = run(channel([(0, 8e6)], [(0, 8e6)]), ALONE, [(0, 1000, 0, 1000)], deadline_ns=2_000_000)
    assert (end, status) == (2e6, [DONE])


def test_a_device_out_of_reach_is_not_waited_for():
    links = channel([(0, 8e6)], [(0, 8e6)], [(0, -1)], [(0, 8e6)], [(0, 8e6), (500_000, -1)], [(0, 8e6)])
    end, times, status = run(links, constants(6), [(d, 1000, 0, 1000) for d in range(3)])
    assert status == [DONE, UNREACHABLE, UNREACHABLE]
    assert end == pytest.approx(2e6)
    assert times[1:].max() == -1


def test_what_vanishes_is_waited_for_until_the_deadline():
    links = channel(*[[(0, 8e6)]] * 4)
    asked = [(0, 1000, 0, 1000), (1, 1000, 0, 1000)]
    end, times, status = run(links, constants(4), asked, deadline_ns=9_000_000, vanishes=[(True, False), (False, True)])
    assert (end, status) == (9e6, [LOST, LOST])
    assert times[0].max() == -1
    assert times[1] == pytest.approx([1e6, 1e6, -1])


def test_a_link_that_carries_nothing_is_late():
    _, _, status = run(channel([(0, 0)], [(0, 8e6)]), ALONE, [(0, 1000, 0, 1000)], deadline_ns=10**9)
    assert status == [LATE]


@given(
    rows=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=5),
    size=st.integers(1, 4000),
    depart_ns=st.integers(0, 200),
)
def test_a_record_that_begins_again_is_one_that_repeats(rows, size, depart_ns):
    """The same as a record in which the same rows stand many times over."""
    lasts = np.array([10 * lasts_ns for lasts_ns, _ in rows])
    begins, period_ns = np.cumsum([0, *lasts[:-1]]), int(lasts.sum())
    rates = [1e9 * rate for _, rate in rows]
    once = [[*zip(begins.tolist(), rates, strict=True)]] * 2
    often = [[(lap * period_ns + begin, rate) for lap in range(400) for begin, rate in line] for line in once]
    asked = [(0, size, 35, size // 3)]
    end_ns = 300 * period_ns
    short = run(channel(*once, period_ns=float(period_ns)), ALONE, asked, depart_ns, end_ns)
    long = run(channel(*often), ALONE, asked, depart_ns, end_ns)
    assert short[0] == pytest.approx(long[0], abs=1e-6)
    assert short[1] == pytest.approx(long[1], abs=1e-6)
    assert short[2] == long[2]


def alone(links, fitted, messages, until_ns=np.inf, to_end=False):
    """Messages with no exchange under way."""
    convey(links, fitted, at_begin(links), messages, until_ns, to_end)
    return messages


def test_one_message_takes_its_floor_and_bits_over_rate():
    links = channel([(0, 80e6)], [(0, 20e6)])
    fitted = undisturbed(np.array([9e9, 9e9]), np.array([0.9, 0.8]), np.array([5.0, 5.0]), np.array([3e6, 11e6]))
    told = alone(links, fitted, sent_of((0, 9000, 50), (1, 4000, 70)))
    down, up = 50 + 3e6 + 8 * 9000 / (0.9 * 80e6) * 1e9, 70 + 11e6 + 8 * 4000 / (0.8 * 20e6) * 1e9
    assert told.end_ns == pytest.approx([down, up])
    assert told.status.tolist() == [DONE, DONE]
    assert told.now_ns[0] == np.inf


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9000)), min_size=1, max_size=9), st.floats(0, 5e6))
def test_messages_of_one_link_go_one_after_the_other(asked, floor_ns):
    """Lindley's recursion: each begins when its floor is over and the one before through."""
    asked = [(0, size, at * 10**6) for at, size in sorted(asked, key=lambda each: each[0])]
    told = alone(channel([(0, 8e6)], [(0, 8e6)]), constants(2, message_floor_ns=floor_ns), sent_of(*asked))
    free_ns, expected = 0.0, []
    for _, size, begin_ns in asked:
        free_ns = max(free_ns, begin_ns + floor_ns) + 1000 * size
        expected.append(free_ns)
    assert told.end_ns == pytest.approx(expected)


def test_a_message_and_a_transfer_share_a_pool_and_each_delays_the_other():
    """Both flow from 0 on at 4 Mb/s each: the message's 8,000 bits are through at 2 ms, the transfer's rest alone."""
    links = channel(*[[(0, 8e6)]] * 4, pools=[0, 1] * 2)
    told = sent_of((2, 1000, 0))
    end, times, _ = run(links, constants(4), [(0, 3000, 0, 1000)], messages=told)
    assert told.end_ns == pytest.approx([2e6])
    assert times[0] == pytest.approx([4e6, 4e6, 5e6])
    assert end == times[0, 2]
    apart = sent_of((3, 1000, 0))  # up, where nothing is by then
    assert run(links, constants(4), [(0, 3000, 0, 1000)], messages=apart)[0] == pytest.approx(4e6)


def test_an_exchange_does_not_wait_for_messages_and_they_go_on_behind_it():
    links = channel(*[[(0, 8e6)]] * 4)
    told = sent_of((2, 10_000, 0), (2, 1000, 10**9))
    end, _, _ = run(links, constants(4), [(0, 1000, 0, 1000)], messages=told)
    assert (end, told.now_ns[0]) == (2e6, 2e6)
    assert told.status.tolist() == [UNDER_WAY, UNDER_WAY]
    assert told.left == pytest.approx([64_000, 8000])
    alone(links, constants(4), told)
    assert told.end_ns == pytest.approx([10e6, 1e9 + 1e6])


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9000), st.integers(0, 30)), min_size=1, max_size=9),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_in_pieces_of_time_and_handed_over_bit_by_bit_they_come_to_the_same(asked, times):
    links = channel(*[[(0, 8e6), (5_000_000, 2e6)]] * 4, pools=[0, 1, 0, 1])
    fitted = constants(4, message_floor_ns=2e6, overhead=0.1)
    asked = sorted(((link, size, at * 10**6) for link, size, at in asked), key=lambda each: each[-1])
    whole = alone(links, fitted, sent_of(*asked))
    told, cursor, now = no_messages(0.0), at_begin(links), 0
    ended: dict[int, float] = {}
    for until in [*sorted(times), 10**6]:
        until_ns = until * 10**6
        new = [number for number, (_, _, begin_ns) in enumerate(asked) if now <= begin_ns < until_ns]
        if new:
            told = together(told, sent_of(*(asked[number] for number in new))._replace(number=np.array(new)))
        now = until_ns
        convey(links, fitted, cursor, told, float(until_ns), False)
        over = told.status != UNDER_WAY
        ended |= dict(zip(told.number[over].tolist(), told.end_ns[over].tolist(), strict=True))
        told = these(told, ~over)
    assert [ended[number] for number in range(len(asked))] == pytest.approx(whole.end_ns.tolist())


def test_conveying_ends_with_the_first_message_that_does():
    links = channel([(0, 8e6)], [(0, 8e6)])
    told = alone(links, ALONE, sent_of((0, 1000, 0), (0, 1000, 0), (1, 1000, 0)), to_end=True)
    assert told.now_ns[0] == pytest.approx(1e6)
    assert told.status.tolist() == [DONE, UNDER_WAY, DONE]
    assert alone(links, ALONE, sent_of((0, 1000, 0)), until_ns=7.0, to_end=True).now_ns[0] == 7


def test_how_messages_end_that_do_not_arrive():
    links = channel([(0, 8e6)], [(0, 8e6)], [(0, 8e6)], [(0, 8e6), (500_000, -1)], [(0, -1)], [(0, 8e6)])
    told = alone(links, constants(6), sent_of((0, 2000, 0), (0, 100, 0), (2, 1000, 0), (5, 9, 7), deadline_ns=10**6))
    assert told.status.tolist() == [LATE, LATE, UNREACHABLE, UNREACHABLE]
    assert told.end_ns.tolist() == [1e6, 1e6, 500_000, 7]
    lost = alone(links, ALONE, sent_of((0, 100, 0), deadline_ns=10**6, vanish=True))
    assert (lost.status.tolist(), lost.end_ns.tolist()) == ([LOST], [1e6])
    in_time = alone(links, ALONE, sent_of((0, 1000, 0), deadline_ns=10**6))
    assert in_time.status.tolist() == [DONE]
