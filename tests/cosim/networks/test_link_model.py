# SPDX-License-Identifier: Apache-2.0
"""The fit of the link model, on synthetic links whose constants are known."""

import numpy as np
import pytest

from cosim.networks.fluid import ALL
from cosim.networks.link_model import LinkModel, fit_constants, message_vanishes, radios, vanishes
from cosim.networks.links import Channel, Exchanges, messages_of, undisturbed
from cosim.networks.observed import Observed, predict
from cosim.networks.recorded_channel import Record

RATES_BPS = (75e6, 75e6, 40e6, 20e6)


def record(*, shared, devices=4, end_ns=60e9):
    """Constant capacities, in one pool for each direction or in pools of their own."""
    links = np.arange(2 * devices)
    capacity = np.repeat([RATES_BPS[device % 4] for device in range(devices)], 2)
    pool = links % 2 if shared else links
    channel = Channel(
        np.arange(2 * devices + 1), np.zeros(2 * devices), capacity, pool, np.zeros(2 * devices), 2 * devices, end_ns
    )
    return Record(channel, np.full(2 * devices, 20.0))


def asked(draw, exchanges, devices=4):
    """Exchanges of few tokens, as in decode, and of many, as in prefill."""
    rows, first = [], [0]
    for number in range(exchanges):
        many = number % 5 == 0
        for device in range(devices) if many else draw.choice(devices, 2, replace=False):
            tokens = draw.integers(5, 40) if many else 1
            rows.append((device, 8192 * tokens, 600_000 + 20_000 * tokens, 8192 * tokens))
        first.append(len(rows))
    depart_ns = np.arange(exchanges) * 1e9 / 4 + draw.uniform(0, 20e6, exchanges)  # no order of theirs
    return Exchanges(
        np.array(first),
        depart_ns,
        depart_ns + 5e9,
        np.array(rows, np.int64),
        np.zeros((len(rows), 2), dtype=bool),
        np.full(len(rows), np.nan),
        ALL,
    )


def alone_ns(transfers, floor_ns, efficiency):
    """The closed form of transfers that share nothing, [transfers, 3]."""
    device = transfers[:, 0]
    rate = efficiency * np.array(RATES_BPS)[device % 4] / 1e9
    down = floor_ns[0] + 8 * transfers[:, 1] / rate
    computed = down + transfers[:, 2]
    return np.stack([down, computed, computed + floor_ns[1] + 8 * transfers[:, 3] / rate], axis=1)


def observed(asked_, times):
    times = times + np.repeat(asked_.depart_ns, np.diff(asked_.first))[:, None]
    return Observed(asked_, np.maximum.reduceat(times[:, 2], asked_.first[:-1]), times)


def came(channel, constants, asked_, messages=None):
    """What exchanges and messages come to with these constants, as if that had been observed."""
    nothing = np.empty(0)
    asked_and = () if messages is None else (messages, np.full(len(messages.link), np.nan))
    return predict(channel, constants, Observed(asked_, nothing, nothing, *asked_and))


def latencies(channel, constants, asked_):
    """Of the exchanges."""
    return came(channel, constants, asked_).end_ns - asked_.depart_ns


def test_floor_and_efficiency_of_links_of_their_own():
    exchanges = asked(np.random.default_rng(1), 100)
    truth = observed(exchanges, alone_ns(exchanges.transfers, (3e6, 11e6), 0.93))
    found = fit_constants([(record(shared=False), truth)])
    assert found.floor_ns[0::2] == pytest.approx(3e6, abs=0.2e6)
    assert found.floor_ns[1::2] == pytest.approx(11e6, abs=0.2e6)
    assert found.efficiency == pytest.approx(np.full(8, 0.93), abs=0.02)
    latency = latencies(record(shared=False).channel, found, exchanges) / (truth.end_ns - exchanges.depart_ns)
    assert np.abs(latency - 1).max() < 0.02


def test_devices_that_differ_are_told_apart():
    """Two radios: devices 0 and 1 answer at once, 2 and 3 after a long grant cycle."""
    exchanges = asked(np.random.default_rng(2), 100)
    floor_ns = np.where(exchanges.transfers[:, 0] < 2, 1e6, 15e6)
    truth = observed(exchanges, alone_ns(exchanges.transfers, (2e6, floor_ns), 0.9))
    found = fit_constants([(record(shared=False), truth)])
    assert found.floor_ns[[1, 3]] == pytest.approx(1e6, abs=1e6)
    assert found.floor_ns[[5, 7]] == pytest.approx(15e6, abs=1e6)


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        ([0, 1, 0, 1, 2, 2, 2, 2], [0, 0, 1, 1]),  # a cell and a Wi-Fi network
        ([0, 1, 2, 3, 4, 5, 6, 7], [0, 0, 0, 0]),  # cables
        ([0, 1, 2, 3, 0, 1, 4, 5], [1, 0, 1, 0]),  # a cell and two cables
        ([0, 1, 1, 2, 2, 3, 4, 5], [1, 1, 1, 0]),  # each with the next
    ],
)
def test_devices_that_share_are_one_radio(pools, expected):
    channel = record(shared=False).channel._replace(pool=np.array(pools))
    assert radios(channel).tolist() == expected


def test_two_radios_are_fitted_apart():
    """A cell with its grant cycle, and a network whose links answer at once: in common, the search gets lost here."""
    exchanges = asked(np.random.default_rng(5), 30)
    channel = record(shared=False).channel._replace(
        pool=np.array([0, 1, 0, 1, 2, 2, 2, 2]), capacity_bps=np.repeat([75e6, 450e6], 4)
    )
    floor_ns = np.array([2.5e6, 10.5e6] * 2 + [0.02e6, 0.02e6] * 2)
    efficiency = np.array([0.95, 0.85] * 2 + [0.7, 0.6] * 2)
    truth = came(channel, undisturbed(floor_ns, efficiency, np.zeros(8), floor_ns), exchanges)
    found = fit_constants([(Record(channel, np.full(8, 20.0)), truth)], with_overhead=False)
    assert found.floor_ns == pytest.approx(floor_ns, abs=0.1e6)
    assert found.efficiency == pytest.approx(efficiency, rel=0.03)
    assert not found.overhead.any()


def test_what_sharing_costs_is_found_by_equal_transfers_of_one_cell():
    """n equal downlinks of a cell end together; with an overhead of 0.2, n - 1 times 0.2 later than the bits need."""
    rows, first, ends = [], [0], []
    for number in range(60):
        devices, size = 1 + number % 4, 8192 * (1 + number % 7)
        rows += [(device, size, 10**9, 1) for device in range(devices)]
        first.append(len(rows))
        ends += [2e6 + 8 * size * (devices + 0.2 * (devices - 1)) / (0.9 * 50e6 / 1e9)] * devices
    depart_ns = np.arange(60) * 5e9
    exchanges = Exchanges(
        np.array(first),
        depart_ns,
        depart_ns + 5e9,
        np.array(rows, np.int64),
        np.zeros((len(rows), 2), dtype=bool),
        np.full(len(rows), np.nan),
        ALL,
    )
    times = np.array(ends)[:, None] + np.array([0.0, 1e9, 1e9 + 1e6 + 8 / (0.9 * 50e6 / 1e9)])
    cell = record(shared=True)
    cell = cell._replace(channel=cell.channel._replace(capacity_bps=np.full(8, 50e6)))
    found = fit_constants([(cell, observed(exchanges, times))])
    assert found.overhead[0] == pytest.approx(0.2, abs=0.05)
    assert found.efficiency[0::2] == pytest.approx(np.full(4, 0.9), abs=0.05)


def test_uplinks_that_power_limits_are_told_from_those_that_the_band_does():
    """What Shannon has a device reach on its part of the band, with all of its power there, from -9 to 30 dB on all."""
    gain = 10 ** (np.array([-9.0, 0.0, 10.0, 30.0]) / 10)
    reach = {k: 20e-3 / k * np.log2(1 + k * gain) for k in (1, 2, 3, 4)}  # bits a ns, of 20 MHz
    draw = np.random.default_rng(3)
    tokens, rows, times = [], [], []
    for _ in range(60):
        there = np.sort(draw.choice(4, draw.integers(1, 5), replace=False))
        left = np.full(4, 0.0)
        left[there] = 8 * 8192 * draw.integers(5, 40, len(there))
        rows += [(device, 1, 500_000, int(left[device]) // 8) for device in there]
        now, ends = 1.5e6, np.zeros(4)
        while (flowing := left > 0).any():
            rate = np.where(flowing, reach[flowing.sum()], 0)
            took = min(left[flowing] / rate[flowing])
            now, left = now + took, np.where(left - rate * took > 1e-3, left - rate * took, 0)
            ends[flowing & (left == 0)] = now
        times += [[1e6, 1.5e6, ends[device]] for device in there]
        tokens.append(len(there))
    first, depart_ns = np.cumsum([0, *tokens]), np.arange(60) * 50e9
    none = np.zeros((len(rows), 2), dtype=bool)
    exchanges = Exchanges(
        first, depart_ns, depart_ns + 50e9, np.array(rows, np.int64), none, np.full(len(rows), np.nan), ALL
    )
    cell = record(shared=True, end_ns=np.inf)
    capacity_bps = np.stack([np.full(4, 10e9), 1e9 * reach[1]], axis=1).ravel()
    cell = cell._replace(channel=cell.channel._replace(capacity_bps=capacity_bps))
    truth = observed(exchanges, np.array(times))
    found = fit_constants([(cell, truth)])
    assert (found.band_limited[0::2] == 1).all()
    of_pairs, of_all = ((reach[1] / reach[k] - 1) / (k - 1) for k in (2, 4))  # what tells each of these rates exactly
    assert found.band_limited[1::2] == pytest.approx((of_pairs + of_all) / 2, abs=0.08)
    begin_ns = np.repeat(depart_ns, np.diff(first))
    off = (came(cell.channel, found, exchanges).times[:, 2] - begin_ns) / (truth.times[:, 2] - begin_ns) - 1
    assert np.median(np.abs(off)) < 0.01


def test_turns_at_a_medium_are_found():
    exchanges = asked(np.random.default_rng(8), 60)
    links = record(shared=True)
    channel = links.channel._replace(pool=np.zeros(8, np.int64), capacity_bps=np.full(8, 400e6))
    truth = undisturbed(np.full(8, 0.1e6), np.full(8, 0.5), np.zeros(8))._replace(turn_ns=np.full(8, 0.3e6))
    found = fit_constants([(links._replace(channel=channel), came(channel, truth, exchanges))])
    assert found.turn_ns[0] == pytest.approx(0.3e6, rel=0.1)
    off = latencies(channel, found, exchanges) / latencies(channel, truth, exchanges) - 1
    assert np.abs(off).max() < 0.03


def test_what_cells_do_to_each_other_is_found():
    """Two cells of two devices, of which one passes through both: HARQ's 7 ms, and a third of the rate."""
    exchanges = asked(np.random.default_rng(9), 100)
    pool = np.array([0, 1, 2, 0, 1, 2, 3, 2, 3])
    first = np.array([0, 1, 2, 4, 5, 6, 7, 8, 9])
    begin_ns = np.array([0, 0, 0, 12e9, 0, 0, 0, 0, 0])
    channel = Channel(first, begin_ns, np.full(9, 75e6), pool, np.zeros(9), 4, 60e9)
    truth = undisturbed(np.tile([3e6, 8e6], 4), np.full(8, 0.9), np.zeros(8))._replace(
        coupling=np.full(8, 2.0), repeat_ns=np.full(8, 7e6), air=np.tile([0, 1], 4)
    )
    found = fit_constants([(Record(channel, np.full(9, 20.0)), came(channel, truth, exchanges))])
    assert found.coupling == pytest.approx(np.full(8, 2.0), rel=0.15)
    assert found.repeat_ns == pytest.approx(np.full(8, 7e6), rel=0.1)
    off = latencies(channel, found, exchanges) / latencies(channel, truth, exchanges) - 1
    assert np.abs(off).max() < 0.03


def test_noise_does_not_mislead_the_fit():
    draw = np.random.default_rng(3)
    exchanges = asked(draw, 200)
    times = alone_ns(exchanges.transfers, (3e6, 11e6), 0.93)
    noisy = times + draw.choice([0.0, 1e6, -1e6, 20e6], times.shape[0], p=[0.49, 0.25, 0.25, 0.01])[:, None]
    found = fit_constants([(record(shared=False), observed(exchanges, noisy))])
    truth = observed(exchanges, times)
    latency = latencies(record(shared=False).channel, found, exchanges) / (truth.end_ns - exchanges.depart_ns)
    assert np.median(np.abs(latency - 1)) < 0.02


def test_losses_follow_the_bytes():
    constants = undisturbed(np.zeros(2), np.ones(2), np.zeros(2), np.zeros(2))
    model = LinkModel(1, record(shared=False, devices=1), constants, np.array([1e-5, 0.0]))
    draws = np.random.default_rng(4).random((200_000, 2))
    for size in (1_000, 100_000):
        transfers = np.broadcast_to(np.array([0, size, 0, size]), (len(draws), 4))
        lost = vanishes(model, transfers, draws).mean(axis=0)
        assert lost == pytest.approx([1 - np.exp(-1e-5 * size), 0], abs=0.005)


def beside(draw, exchanges, users):
    """Messages of the last `users` devices, from the second one on each small and big, down and up by turns."""
    count = 60
    begin_ns = np.sort(draw.integers(0, 25 * 10**9, count))
    link = 2 * (4 - users + np.arange(count) % users) + np.arange(count) // users % 2
    size_bytes = np.where(np.arange(count) % 4 < 2, 4, 20_000)
    return messages_of(np.arange(count), link, size_bytes, begin_ns, begin_ns + 5 * 10**9, np.zeros(count, bool))


def test_floors_of_messages_are_found_beside_exchanges_that_they_delay():
    """Two of four devices of a cell are users, each with floors of its own; what exchanges told is found as without."""
    draw = np.random.default_rng(8)
    cell, exchanges = record(shared=True), asked(draw, 100, devices=2)
    messages = beside(draw, exchanges, users=2)
    floors = np.array([3e6, 11e6] * 4)
    message_floors = np.array([3e6, 11e6] * 2 + [4e6, 12.5e6, 2e6, 16e6])
    truth = undisturbed(floors, np.full(8, 0.9), np.zeros(8), message_floors)
    told = came(cell.channel, truth, exchanges, messages)
    assert (told.come_ns > 0).all()
    alone = latencies(cell.channel, truth, exchanges)
    assert (told.end_ns - exchanges.depart_ns - alone).max() > 1e6  # somebody waited for a message
    found = fit_constants([(cell, told)])
    assert found.message_floor_ns[4:] == pytest.approx(message_floors[4:], rel=0.06)  # devices cling to each other
    assert found.floor_ns[:4] == pytest.approx(floors[:4], abs=0.3e6)
    again = came(cell.channel, found, exchanges, messages)
    off = (again.come_ns - messages.begin_ns) / (told.come_ns - messages.begin_ns) - 1
    assert np.median(np.abs(off)) < 0.01
    assert np.abs(off).max() < 0.06


def test_messages_that_were_never_seen_have_the_floors_of_the_radio():
    draw = np.random.default_rng(9)
    cell, exchanges = record(shared=True), asked(draw, 100, devices=3)
    floors = np.array([12e6, 60e6] * 4)  # a multiple of those of transfers, from which the search begins
    truth = undisturbed(np.array([3e6, 11e6] * 4), np.full(8, 0.9), np.zeros(8), floors)
    found = fit_constants([(cell, came(cell.channel, truth, exchanges, beside(draw, exchanges, users=1)))])
    assert found.message_floor_ns == pytest.approx(floors, rel=0.02)
    without = fit_constants([(cell, came(cell.channel, truth, exchanges))])
    assert (without.message_floor_ns == without.floor_ns).all()


def test_losses_of_messages_follow_their_bytes():
    constants = undisturbed(*[np.zeros(2)] * 4)
    model = LinkModel(1, record(shared=False, devices=1), constants, np.array([1e-5, 1e-6]))
    draws = np.random.default_rng(4).random(200_000)
    for way, per_byte in enumerate((1e-5, 1e-6)):
        lost = message_vanishes(model, np.full(len(draws), way), np.full(len(draws), 100_000), draws).mean()
        assert lost == pytest.approx(1 - np.exp(-per_byte * 100_000), abs=0.005)


@pytest.mark.parametrize("capacity_bps", [20e6, 75e6, 450e6])
@pytest.mark.parametrize("efficiency", [0.3, 0.95])
@pytest.mark.parametrize("floor_ns", [(0.05e6, 0.4e6), (2.5e6, 11e6), (8e6, 40e6)])
def test_layers_of_a_cell_come_out_from_wherever_the_search_begins(capacity_bps, efficiency, floor_ns):
    """Few long prefill layers among many of decode: however far off the first guess is, both are found."""
    exchanges = asked(np.random.default_rng(7), 96, devices=8)
    links = record(shared=True, devices=8)
    channel = links.channel._replace(capacity_bps=np.full(16, capacity_bps))
    truth = undisturbed(np.tile(floor_ns, 8), np.full(16, efficiency), np.zeros(16), np.zeros(16))
    found = fit_constants([(links._replace(channel=channel), came(channel, truth, exchanges))])
    latency = latencies(channel, found, exchanges) / latencies(channel, truth, exchanges)
    assert np.abs(latency - 1).max() < 0.03
