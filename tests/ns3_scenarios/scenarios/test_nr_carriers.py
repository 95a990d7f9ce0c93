# SPDX-License-Identifier: GPL-2.0-only
"""An NR cell that aggregates two carriers, against each of them alone and against first principles."""

from fractions import Fraction
from math import ceil, floor, hypot, log2, log10

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import CHANNEL_ROW, RequestError, Status, Transfer, Wait
from ns3_scenarios.scenarios.nr import Nr
from tests.support.nr_carriers import Carried, End, carried
from tests.support.ns3_worker import Step

MS = 1_000_000
LOUD = {"gnb_power_dbm": 60.0, "device_power_dbm": 40.0, "nominal_power_dbm": 20.0, "buffer_bytes": 10**9}
STEADY = LOUD | {"path_loss": "friis", "distances_m": [50.0]}  # the highest MCS on every carrier
BESIDE = {"second_carrier": {"frequency_hz": 3.6e9}}  # as wide as the first one, and next to it
FDD = {"second_carrier": {"frequency_hz": 2.1e9, "bandwidth_mhz": 40, "pattern": "FDD"}}
NARROW = [
    {"second_carrier": {"frequency_hz": 3.52e9, "bandwidth_mhz": 20}},
    {"second_carrier": {"frequency_hz": 2.1e9, "bandwidth_mhz": 20, "pattern": "FDD"}},
]
PRBS = {40: 106, 20: 51}  # TS 38.101-1 table 5.3.2-1, 30 kHz
IDLE = Step([], limit_ns=100 * MS, wait=Wait.DEADLINE)

# Rates


def block_bits(prbs: int, symbols: int, layers: int = 2) -> int:
    """The transport block of TS 38.214 clause 5.1.3.2, for 256QAM at its highest rate; one symbol is for DM-RS."""
    code_rate = Fraction(948, 1024)
    bits = min(156, 12 * (symbols - 1)) * prbs * code_rate * 8 * layers
    assert bits > 3824
    step = 2 ** (floor(log2(bits - 24)) - 5)
    rounded = max(3840, step * floor((bits - 24) / step + Fraction(1, 2)))
    blocks = ceil((rounded + 24) / 8424) if rounded > 8424 else 1
    return 8 * blocks * ceil((rounded + 24) / (8 * blocks)) - 24


def peak_bps(pattern: str, prbs: int) -> tuple[float, float]:
    """Down and up: two symbols of PDCCH, one of PUCCH, 10 for the downlink of a special slot, slots of 0.5 ms."""
    down = {"D": block_bits(prbs, 12), "S": block_bits(prbs, 8), "U": 0, "F": block_bits(prbs, 12)}
    up = {"D": 0, "S": 0, "U": block_bits(prbs, 13), "F": block_bits(prbs, 13)}
    return tuple(2000 * sum(map(bits.__getitem__, pattern)) / len(pattern) for bits in (down, up))


@pytest.mark.parametrize(
    ("second", "kind"),
    [
        ({"frequency_hz": 3.54e9, "bandwidth_mhz": 40}, ("DDDSU", 40)),
        ({"frequency_hz": 2.1e9, "bandwidth_mhz": 20, "pattern": "FDD"}, ("F", 20)),
    ],
)
def test_the_rate_is_the_sum_of_both_carriers_peak_rates(ns3, second, kind):
    own = [peak_bps("DDDSU", PRBS[40]), peak_bps(kind[0], PRBS[kind[1]])]
    given = STEADY | {"bandwidth_mhz": 40, "second_carrier": second}
    idle = ns3(carried, [IDLE], given)
    assert [rates[0] for rates in idle.rates_bps] == [pytest.approx(rates, rel=1e-9) for rates in own]
    (link,) = idle.outcomes[0].links
    wanted_bps = [first + more for first, more in zip(*own, strict=True)]
    assert [link.downlink_rate_bps, link.uplink_rate_bps] == pytest.approx(wanted_bps, rel=1e-9)
    for is_uplink in (False, True):
        size_bytes = round(wanted_bps[is_uplink] / 8 * 0.5)
        asked = [Transfer(0, 1, 0, size_bytes) if is_uplink else Transfer(0, size_bytes, 0, 1)]
        # Two runs that differ in how long they last: between their ends both carriers are saturated.
        short, long = (
            ns3(carried, [Step(asked, 50 * MS, limit_ns, Wait.DEADLINE)], given) for limit_ns in (200 * MS, 300 * MS)
        )
        for carrier, rates in enumerate(own):
            more = long.counts[carrier][0][is_uplink].bytes - short.counts[carrier][0][is_uplink].bytes
            assert 8 * more / 0.1 == pytest.approx(rates[is_uplink], rel=0.01)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("is_uplink", [False, True])
def test_two_equal_carriers_take_about_half_the_time(ns3, transport, is_uplink):
    asked = [Transfer(0, 1, 0, 3_000_000) if is_uplink else Transfer(0, 10_000_000, 0, 1)]
    given = STEADY | {"transport": transport, "bandwidth_mhz": 20}
    alone, both = (ns3(carried, [Step(asked, 50 * MS)], given | more).took_ns(0)[0] for more in ({}, NARROW[0]))
    assert both < alone
    assert both == pytest.approx(alone / 2, rel=0.05 if transport == "udp" else 0.2)


@pytest.fixture(scope="module")
def small(ns3):
    """The time that messages of so many bytes take, with a second carrier or without; each departs some time later."""
    taken: dict[tuple[tuple[int, int, int], bool], int] = {}

    def take(message: tuple[int, int, int], is_aggregated: bool) -> int:
        down_bytes, up_bytes, gap_us = message
        step = Step([Transfer(0, down_bytes, 0, up_bytes)], 50 * MS + gap_us * 1000)
        given = STEADY | (BESIDE if is_aggregated else {})
        return taken.setdefault((message, is_aggregated), ns3(carried, [step], given).took_ns(0)[0])

    return take


BYTES = st.one_of(st.integers(1, 3000), st.integers(1, 200_000))


@settings(max_examples=60, deadline=None)
@given(message=st.tuples(BYTES, BYTES, st.integers(0, 2500)))
def test_no_message_takes_longer_than_on_the_primary_carrier_alone(small, message):
    """Nor by a nanosecond if one slot takes it: the primary cell goes first."""
    alone, both = small(message, False), small(message, True)
    assert both <= alone + 1000  # the last packet's way behind the gNB may be longer by that of the others before it
    if max(message[:2]) < 1000:
        assert both == alone


# Each carrier's own channel

DISTANCES_M = [25.0, 60.0, 110.0]
FREQUENCIES_HZ = [3.5e9, 2.1e9]
POWERS_DBM = [40.0, 34.0]
BANDS_HZ = [273 * 12 * 30e3, 106 * 12 * 30e3]
LINK = {"polarizations": 1, "layers": 1, "gnb_antennas": [1, 1], "path_loss": "umi"}
LOWER = {"second_carrier": {"frequency_hz": 2.1e9, "bandwidth_mhz": 40, "gnb_power_dbm": POWERS_DBM[1]}}
LIMITED = {"nominal_power_dbm": 24.0, "device_power_dbm": 20.0}  # so that devices send with all their power


def umi_db(distance_m: float, frequency_hz: float, is_in_sight: bool) -> float:
    """TR 38.901 table 7.4.1-1, UMi street canyon, before the breakpoint; 10 m and 1.5 m high."""
    way_m, ghz = hypot(distance_m, 10 - 1.5), frequency_hz / 1e9
    sight_db = 32.4 + 21 * log10(way_m) + 20 * log10(ghz)
    return sight_db if is_in_sight else max(sight_db, 35.3 * log10(way_m) + 22.4 + 21.3 * log10(ghz))


def snrs_db(carrier: int, distance_m: float, is_in_sight: bool) -> tuple[float, float]:
    """Down and up, over -174 dBm/Hz and noise figures of 7 and 5 dB."""
    noise_dbm = -174 + 10 * log10(BANDS_HZ[carrier])
    loss_db = umi_db(distance_m, FREQUENCIES_HZ[carrier], is_in_sight)
    return POWERS_DBM[carrier] - loss_db - noise_dbm - 7, 20.0 - loss_db - noise_dbm - 5


@pytest.mark.parametrize("sight", ["always", "never"])
def test_each_carrier_has_the_path_loss_of_its_frequency(ns3, sight):
    given = LINK | LIMITED | LOWER | {"line_of_sight": sight, "distances_m": DISTANCES_M}
    idle = ns3(carried, [IDLE], given)
    for carrier in (0, 1):
        for device, distance_m in enumerate(DISTANCES_M):
            wanted_db = snrs_db(carrier, distance_m, sight == "always")
            assert idle.sinr_db[carrier][device] == pytest.approx(wanted_db, abs=0.01)
    for link, measured in zip(idle.outcomes[0].links, idle.sinr_db[0], strict=True):
        assert (link.downlink_sinr_db, link.uplink_sinr_db) == pytest.approx(measured)


def test_a_device_sees_its_gnb_on_both_carriers_or_on_neither(ns3):
    given = LINK | LIMITED | LOWER | {"distances_m": [50.0] * 40}
    idle = ns3(carried, [IDLE], given)
    seen = [
        [abs(measured[0] - snrs_db(carrier, 50.0, True)[0]) < 0.01 for measured in idle.sinr_db[carrier]]
        for carrier in (0, 1)
    ]
    assert seen[0] == seen[1]
    assert 0 < sum(seen[0]) < 40


def test_the_channel_record_has_both_carriers_as_one(ns3):
    """The rate is the sum, and the SINR that with which the whole band has Shannon's capacity of both."""
    idle = ns3(carried, [IDLE], LINK | LIMITED | LOWER | {"line_of_sight": "never", "distances_m": DISTANCES_M})
    assert idle.info.bandwidth_hz == (sum(BANDS_HZ), sum(BANDS_HZ))
    latest = {(row[1], row[2]): row for row in CHANNEL_ROW.iter_unpack(idle.outcomes[0].channel)}
    for (device, direction), (*_, capacity_bps, sinr_db) in latest.items():
        wanted_bps = sum(rates[device][direction] for rates in idle.rates_bps)
        assert capacity_bps == pytest.approx(wanted_bps, rel=1e-6)
        shannon_bps = sum(
            band_hz * log2(1 + 10 ** (snrs_db(carrier, DISTANCES_M[device], False)[direction] / 10))
            for carrier, band_hz in enumerate(BANDS_HZ)
        )
        assert sum(BANDS_HZ) * log2(1 + 10 ** (sinr_db / 10)) == pytest.approx(shannon_bps, rel=1e-3)


def test_who_is_out_of_range_of_the_secondary_cell_is_served_by_the_primary_one(ns3):
    weak = {"second_carrier": {"frequency_hz": 5.5e9, "gnb_power_dbm": 0.0}}
    given = LINK | weak | {"line_of_sight": "never", "distances_m": [12.0, 120.0]}
    played = ns3(carried, [Step([Transfer(i, 2_000_000, 0, 500_000) for i in range(2)], 50 * MS)], given)
    assert [came.status for came in played.outcomes[0].transfers] == [Status.DONE] * 2
    near, far = played.counts[1]
    assert min(count.bytes for count in near) > 0
    assert [count.blocks for count in far] == [0, 0]
    link = played.outcomes[0].links[1]
    assert (link.downlink_rate_bps, link.uplink_rate_bps) == pytest.approx(played.rates_bps[0][1])


def test_the_primary_carrier_is_as_it_is_alone(ns3):
    """Draws of sight, shadowing, clusters and neighbours are the same, so that runs with and without go in pairs."""
    given = {"devices": 6, "fading": True, "shadowing_sigma_db": None, "neighbours": {"sites": 6}}
    alone, both = (ns3(carried, [IDLE, IDLE], given | more) for more in ({}, BESIDE))
    assert both.sinr_db[0] == alone.sinr_db[0]
    assert both.sinr_db[1] != both.sinr_db[0]


# What is under way on both

FADING = {
    **{"fading": True, "fading_speed_mps": 10.0, "line_of_sight": "always", "distances_m": [20.0, 60.0, 150.0]},
    **{"gnb_power_dbm": 0.0, "device_power_dbm": 5.0, "bandwidth_mhz": 20},  # many blocks, below the highest MCS
}
LOSSY = {"TargetBler": 0.3}


def in_order(sent: End, received: End) -> tuple[int, int]:
    """How many of the packets that one end sent came to the other one, and how many did not; each once, in order."""
    place = {uid: i for i, uid in enumerate(sent.sent)}
    assert len(place) == len(sent.sent)
    came = [place[uid] for uid in received.received if uid in place]
    assert came == sorted(set(came))
    return len(came), len(place) - len(came)


@pytest.mark.parametrize("second", NARROW)
@pytest.mark.parametrize(
    "more",
    [{"rlc": "am"}, {"rlc": "um"}, {"arq": {}}, {"qos_flows": {}}, {"transport": "tcp"}, {"mini_slot_symbols": 7}],
)
def test_nothing_is_lost_doubled_or_reordered(ns3, more, second):
    both = [Transfer(i, 600_000, 0, 300_000) for i in range(3)]
    played: Carried = ns3(carried, [Step(both, 50 * MS)] * 2 + [IDLE], FADING | second | more, LOSSY)
    assert {came.status for outcome in played.outcomes for came in outcome.transfers} == {Status.DONE}
    for counts in played.counts:  # blocks failed on both carriers, both ways
        for is_uplink in (False, True):
            assert sum(count[is_uplink].first_errors for count in counts) > 3
    lost = sum(count.given_up for counts in played.counts for both_ways in counts for count in both_ways)
    down = [in_order(played.gnb, device) for device in played.devices]
    up = [in_order(device, played.gnb) for device in played.devices]
    assert min(came for came, _ in [*down, *up]) > 100
    assert sum(came for came, _ in down) == len(played.gnb.sent)
    assert [missed for _, missed in up] == [0, 0, 0]
    assert more != {"rlc": "um"} or lost == 0


def test_blocks_that_harq_gives_up_on_either_carrier_are_sent_again(ns3):
    both = [Transfer(i, 600_000, 0, 300_000) for i in range(3)]
    attributes = {"TargetBler": 0.4, "MostTransmissions": 1}
    played: Carried = ns3(carried, [Step(both, 50 * MS), IDLE], FADING | NARROW[0], attributes)
    assert {came.status for came in played.outcomes[0].transfers} == {Status.DONE}
    for counts in played.counts:
        assert min(sum(count[way].given_up for count in counts) for way in (False, True)) > 3
    assert sum(in_order(played.gnb, device)[0] for device in played.devices) == len(played.gnb.sent)
    assert [in_order(device, played.gnb)[1] for device in played.devices] == [0, 0, 0]


def test_two_runs_are_the_same(ns3):
    given = (
        FADING
        | NARROW[1]
        | {"background": [{"kind": "on-off", "rate_bps": 20e6, "users": 2}], "neighbours": {"sites": 6}}
    )
    steps = [Step([Transfer(i, 300_000, MS, 100_000) for i in range(3)], 50 * MS)] * 2
    first, second = (ns3(carried, steps, given) for _ in range(2))
    assert first.outcomes == second.outcomes
    assert first.blocks == second.blocks
    assert min(map(len, first.blocks)) > 10


def test_what_is_radiated_is_so_on_both_carriers(ns3):
    """By 1 kW on all PRBs of the primary cell and 100 W on the other one's, in 12 of the 14 symbols of 0.5 ms."""
    given = STEADY | {"pattern": "FDD", "bandwidth_mhz": 40}
    given |= {"second_carrier": {"frequency_hz": 2.1e9, "bandwidth_mhz": 20, "gnb_power_dbm": 50.0}}
    played = ns3(carried, [Step([Transfer(0, 3_000_000, 0, 1)], 50 * MS)], given)
    first, more = (counts[0][0].prbs for counts in played.counts)
    wanted_j = (first * 1000 / PRBS[40] + more * 100 / PRBS[20]) * 0.5e-3 * 12 / 14
    assert played.outcomes[0].transfers[0].downlink_air_j == pytest.approx(wanted_j, rel=1e-6)
    assert more > 0


@pytest.mark.parametrize("is_uplink", [False, True])
def test_shares_are_of_each_carrier(ns3, is_uplink):
    shares = (0.1, 0.3, 0.6)
    given = STEADY | FDD | {"distances_m": [50.0] * 3}
    given |= {"bandwidth_mhz": 40}
    size_bytes = 8_000_000
    asked = [Transfer(i, 1, 0, size_bytes) if is_uplink else Transfer(i, size_bytes, 0, 1) for i in range(3)]
    early, late = (
        ns3(carried, [Step(asked, 50 * MS, limit_ns, Wait.DEADLINE)], given, None, shares)
        for limit_ns in (60 * MS, 160 * MS)
    )
    for before, after in zip(early.counts, late.counts, strict=True):
        more = [new[is_uplink].prbs - old[is_uplink].prbs for old, new in zip(before, after, strict=True)]
        assert [each / sum(more) for each in more] == pytest.approx(shares, rel=0.05)


def test_grants_without_asking_are_on_the_primary_carrier(ns3):
    """The first packet up needs no request, as without a second carrier."""
    given = STEADY | {"configured_grant_prbs": 20}
    asked = [Step([Transfer(0, 1, 0, size)], 50 * MS) for size in (200, 400_000)]
    alone, both = (ns3(carried, asked, given | more) for more in ({}, BESIDE))
    assert both.took_ns(0) == alone.took_ns(0)
    assert both.took_ns(1)[0] < alone.took_ns(1)[0]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_who_is_away_is_so_on_both_carriers(ns3, transport):
    given = STEADY | NARROW[0] | {"transport": transport, "distances_m": [50.0, 60.0], "bandwidth_mhz": 20}
    life = [{"kind": "absence", "devices": [1], "intervals_s": [[0.1, 0.4]]}]
    step = Step([Transfer(i, 4_000_000, 0, 1) for i in range(2)], 50 * MS)
    played = ns3(carried, [step, Step(step.transfers, 500 * MS)], given | {"life": life})
    assert [[came.status for came in outcome.transfers] for outcome in played.outcomes] == [
        [Status.DONE, Status.UNREACHABLE],
        [Status.DONE, Status.DONE],
    ]


def test_devices_that_walk_keep_both_carriers(ns3):
    """At 20 m/s through the street, in which sight comes and goes on both at once."""
    walk = {"kind": "constant-velocity", "velocities_mps": [[20.0, 0.0, 0.0]] * 2}
    given = NARROW[1] | {"movement": walk, "distances_m": [15.0, 40.0], "fading": True, "shadowing_sigma_db": None}
    given |= {"bandwidth_mhz": 20, "neighbours": {"sites": 6}}
    played = ns3(carried, [Step([Transfer(i, 100_000, 0, 50_000) for i in range(2)], 500 * MS)] * 4, given)
    assert {came.status for outcome in played.outcomes for came in outcome.transfers} == {Status.DONE}
    assert min(count.bytes for counts in played.counts for both in counts for count in both) > 0


# Configuration


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"second_carrier": {}}, "second_carrier.frequency_hz"),
        ({"second_carrier": {"frequency_hz": 3.55e9}}, "second_carrier.frequency_hz"),
        ({"second_carrier": {"frequency_hz": 3.55e9, "pattern": "FDD"}}, "second_carrier.frequency_hz"),
        ({"second_carrier": {"frequency_hz": 2.1e9, "bandwidth_mhz": 7}}, "second_carrier.bandwidth_mhz"),
        ({"second_carrier": {"frequency_hz": 28e9}}, "second_carrier"),
        ({"second_carrier": {"frequency_hz": 2.1e9, "pattern": "DDD"}}, "second_carrier.pattern"),
        (BESIDE | {"timing": "testbed"}, "connection"),
        (BESIDE | {"connection": {}}, "connection"),
        (BESIDE | {"drx": {}}, "drx"),
        (BESIDE | {"timing": "testbed", "connection": "always"}, "drx"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(parameters, field):
    with pytest.raises(RequestError) as refusal:
        Nr.parse(parameters)
    assert refusal.value.field == f"radio.{field}"


def test_a_testbed_goes_with_two_carriers_of_devices_that_are_always_awake(ns3):
    given = STEADY | BESIDE | {"timing": "testbed", "connection": "always", "drx": "off"}
    played = ns3(carried, [Step([Transfer(0, 4_000_000, 0, 1_000_000)], 50 * MS)], given)
    assert played.outcomes[0].transfers[0].status is Status.DONE
    assert min(count.bytes for counts in played.counts for count in counts[0]) > 0
