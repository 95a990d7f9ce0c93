# SPDX-License-Identifier: GPL-2.0-only
"""The wired scenario against closed forms: serialisation, propagation, queueing and headers."""

import math
import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

from bridge.network import NS_PER_S, RequestError, Status, Transfer
from ns3_scenarios.scenarios.wired import Wired
from tests.support.ns3_worker import Call, Played, Step, play, worker

PAYLOAD_BYTES = 1472
IP_UDP_BYTES = 20 + 8
PPP_BYTES = 2
ETHERNET_BYTES = 14 + 4  # addresses and type, frame check sequence
ETHERNET_LEAST_BYTES = 46  # IEEE 802.3: what a shorter payload is padded to
GAP_BITS = 96
MOST_BACKOFF_NS = 1_000_000

TCP_PAYLOAD_BYTES = 1448
TCP_HEADERS_BYTES = 20 + 20 + 12 + PPP_BYTES  # IPv4, TCP with time stamps, PPP
INITIAL_WINDOW = 10  # segments, RFC 6928
DELAYED_ACK_NS = 40_000_000
SETTLED_NS = NS_PER_S  # longer than the handshake of any TCP connection here

RATES_BPS = (1_000_000, 8_000_000, 40_000_000, 1_000_000_000)  # a byte lasts a whole number of ns


def wired(ns3: Call, steps: list[Step], **parameters: object) -> Played:
    return ns3(play, steps, parameters, "wired")


def ns(bits: int, rate_bps: int) -> int:
    return bits * NS_PER_S // rate_bps


def datagrams(payload_bytes: int) -> list[int]:
    """IPv4 packets in bytes that a block of so many bytes becomes."""
    full, rest = divmod(payload_bytes, PAYLOAD_BYTES)
    return [PAYLOAD_BYTES + IP_UDP_BYTES] * full + ([rest + IP_UDP_BYTES] if rest else [])


def link_ns(payload_bytes: int, rate_bps: int, delay_ns: int) -> int:
    """Point to point: packets follow each other without a pause, and propagate at the same time."""
    return ns(8 * sum(packet + PPP_BYTES for packet in datagrams(payload_bytes)), rate_bps) + delay_ns


def frames_ns(payload_bytes: int, rate_bps: int) -> list[int]:
    padded = [max(packet, ETHERNET_LEAST_BYTES) + ETHERNET_BYTES for packet in datagrams(payload_bytes)]
    return [ns(8 * frame, rate_bps) for frame in padded]


def segment_ns(frames: list[int], rate_bps: int, delay_ns: int) -> int:
    """Half-duplex segment with one sender: each frame has to reach all, then the gap, then the next."""
    return sum(frames) + len(frames) * delay_ns + (len(frames) - 1) * ns(GAP_BITS, rate_bps)


blocks = st.lists(
    st.builds(Transfer, st.just(0), st.integers(1, 200_000), st.integers(0, 10**9), st.integers(1, 200_000)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=25, deadline=None)
@given(
    asked=blocks,
    rates=st.lists(st.sampled_from(RATES_BPS), min_size=4, max_size=4),
    delay_us=st.integers(0, 100_000),
    gap_ns=st.integers(0, 10**8),
)
def test_point_to_point_takes_exactly_the_closed_form(ns3, asked, rates, delay_us, gap_ns):
    asked = [Transfer(i, t.downlink_bytes, t.compute_ns, t.uplink_bytes) for i, t in enumerate(asked)]
    played = wired(ns3, [Step(asked, gap_ns)] * 2, rate_bps=rates, delay_s=delay_us / 10**6)
    for outcome, depart_ns in zip(played.outcomes, played.departed_ns, strict=True):
        for transfer, came in zip(asked, outcome.transfers, strict=True):
            rate_bps = rates[transfer.device]
            down_ns = depart_ns + link_ns(transfer.downlink_bytes, rate_bps, delay_us * 1000)
            up_ns = link_ns(transfer.uplink_bytes, rate_bps, delay_us * 1000)
            assert came.status is Status.DONE
            assert came.downlink_end_ns == down_ns
            assert came.uplink_end_ns == down_ns + transfer.compute_ns + up_ns


@settings(max_examples=20, deadline=None)
@given(asked=blocks, rate_bps=st.sampled_from(RATES_BPS[:3]), delay_us=st.integers(0, 1000))
def test_csma_with_one_device_takes_exactly_the_closed_form(ns3, asked, rate_bps, delay_us):
    parameters = {"devices": 1, "kind": "csma", "rate_bps": rate_bps, "delay_s": delay_us / 10**6}
    steps = [Step([transfer], 10**9) for transfer in asked]  # beyond the gap behind the last frame
    for step, played_ns in zip(steps, pairs(wired(ns3, steps, **parameters)), strict=True):
        (transfer,) = step.transfers
        # An answer within the gap or the propagation behind the last frame waits, for a random time.
        quiet = transfer.compute_ns > delay_us * 1000
        down, up = (
            segment_ns(frames_ns(size, rate_bps), rate_bps, delay_us * 1000)
            for size in (transfer.downlink_bytes, transfer.uplink_bytes)
        )
        assert played_ns[0] == down
        assert played_ns[1] == up if quiet else up <= played_ns[1] <= up + MOST_BACKOFF_NS


def pairs(played: Played) -> list[tuple[int, int]]:
    """Of the first transfer of each step, how long its downlink and its uplink took."""
    return [
        (outcome.transfers[0].downlink_end_ns - departed_ns, took_up_ns(outcome.transfers[0]))
        for outcome, departed_ns in zip(played.outcomes, played.departed_ns, strict=True)
    ]


def took_up_ns(came) -> int:
    return came.uplink_end_ns - came.compute_end_ns


@pytest.mark.parametrize("rate_bps", [8_000_000, 40_000_000])
def test_csma_serves_several_devices_one_after_the_other(ns3, rate_bps):
    """Downlinks queue at the edge server. Uplinks contend: the segment idles for a back-off a frame at most."""
    delay_ns, compute_ns, sizes = 10_000, 2 * NS_PER_S, [30_000, 50_000, 1, 80_000]
    asked = [Transfer(i, size, compute_ns, 40_000) for i, size in enumerate(sizes)]
    played = wired(ns3, [Step(asked)] * 2, devices=4, kind="csma", rate_bps=rate_bps, delay_s=delay_ns / 10**9)
    for outcome, departed_ns in zip(played.outcomes, played.departed_ns, strict=True):
        queued: list[int] = []
        for transfer, came in zip(asked, outcome.transfers, strict=True):
            queued += frames_ns(transfer.downlink_bytes, rate_bps)
            assert came.downlink_end_ns == departed_ns + segment_ns(queued, rate_bps, delay_ns)
    # All at once: the same bytes down and no computing.
    together = [Transfer(i, 1, 0, 40_000) for i in range(4)]
    (outcome,) = wired(
        ns3, [Step(together)], devices=4, kind="csma", rate_bps=rate_bps, delay_s=delay_ns / 10**9
    ).outcomes
    frames = [frame for transfer in together for size in (1, 40_000) for frame in frames_ns(size, rate_bps)]
    least_ns = sum(frames) + len(frames) * delay_ns
    assert least_ns <= outcome.now_ns <= segment_ns(frames, rate_bps, delay_ns) + len(frames) * MOST_BACKOFF_NS
    assert all(came.status is Status.DONE for came in outcome.transfers)


def rounds(segments: int, growth: float) -> int:
    """Round trips in which slow start sends so many segments, its window growing by a factor each time."""
    sent, window, count = 0, float(INITIAL_WINDOW), 0
    while sent < segments:
        sent, window, count = sent + int(window), window * growth, count + 1
    return count


def tcp_ns(payload_bytes: int, rate_bps: int, delay_ns: int) -> int:
    """One flight: every segment behind the other, without waiting for an acknowledgement."""
    segments = math.ceil(payload_bytes / TCP_PAYLOAD_BYTES)
    return ns(8 * (payload_bytes + segments * TCP_HEADERS_BYTES), rate_bps) + delay_ns


@pytest.mark.parametrize("segments", [5, 10, 11, 40, 208, 700])
def test_tcp_takes_the_round_trips_of_slow_start(ns3, segments):
    """The window doubles a round trip at best, and with an acknowledgement of two segments grows by half."""
    rate_bps, delay_ns = 1_000_000_000, 100_000_000
    size = segments * TCP_PAYLOAD_BYTES
    step = Step([Transfer(0, size, 0, size)], SETTLED_NS)
    played = wired(ns3, [step], devices=1, rate_bps=rate_bps, delay_s=delay_ns / 10**9, transport="tcp")
    flight_ns = tcp_ns(size, rate_bps, delay_ns)
    least_ns = (rounds(segments, 2) - 1) * 2 * delay_ns + delay_ns
    answered_ns = ns(8 * TCP_HEADERS_BYTES, rate_bps)  # the acknowledgement of the downlink leaves before the uplink
    most_ns = (rounds(segments, 1.5) - 1) * (2 * delay_ns + DELAYED_ACK_NS) + flight_ns + answered_ns
    for took_ns in pairs(played)[0]:
        assert least_ns < took_ns <= most_ns + segments  # serialisation rounds up to a ns


def test_tcp_keeps_its_window_from_one_exchange_to_the_next(ns3):
    """208 segments open it beyond 10 + 208 / 2; the next 100 go in one flight, which has a closed form."""
    rate_bps, delay_ns = 1_000_000_000, 20_000_000
    first, second = (Transfer(0, n * TCP_PAYLOAD_BYTES, 10**9, n * TCP_PAYLOAD_BYTES) for n in (208, 100))
    steps = [Step([first], SETTLED_NS), Step([second], SETTLED_NS)]
    played = wired(ns3, steps, devices=1, rate_bps=rate_bps, delay_s=delay_ns / 10**9, transport="tcp")
    flight_ns = tcp_ns(100 * TCP_PAYLOAD_BYTES, rate_bps, delay_ns)
    for took_ns in pairs(played)[1]:
        assert flight_ns <= took_ns <= flight_ns + 100


@pytest.mark.parametrize("kind", ["point-to-point", "csma"])
@pytest.mark.parametrize(("packets", "status"), [(11, Status.DONE), (12, Status.LOST)])
def test_a_full_queue_drops(ns3, kind, packets, status):
    """Ten wait, and one is on the cable."""
    step = Step([Transfer(0, packets * PAYLOAD_BYTES, 0, 1)], 0, 10 * NS_PER_S)
    played = wired(ns3, [step], devices=1, kind=kind, rate_bps=10**7, queue_packets=10)
    assert played.outcomes[0].transfers[0].status is status


@pytest.mark.parametrize("kind", ["point-to-point", "csma"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("devices", [1, 64])
def test_any_number_of_devices_twice_the_same(ns3, kind, transport, devices):
    steps = [Step([Transfer(i, 8192, 10**6, 8192) for i in range(devices)], SETTLED_NS)] * 2
    parameters = {"kind": kind, "transport": transport, "devices": devices, "delay_s": 1e-6}
    first, again = (wired(ns3, steps, **parameters) for _ in range(2))
    assert first == again
    assert all(came.status is Status.DONE for outcome in first.outcomes for came in outcome.transfers)


@pytest.mark.parametrize("kind", ["point-to-point", "csma"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_deadline_cuts_cleanly(ns3, kind, transport):
    """The next exchange takes no longer than the same one in a network where nothing was cut."""
    parameters = {"kind": kind, "transport": transport, "devices": 2, "rate_bps": 10**7, "delay_s": 1e-5}
    cut = Step([Transfer(i, 10**6, 0, 10**6) for i in range(2)], SETTLED_NS, 100_000_000)
    after = Step([Transfer(i, 20_000, NS_PER_S, 20_000) for i in range(2)], SETTLED_NS)
    fresh = wired(ns3, [after], **parameters)
    played = wired(ns3, [cut, after], **parameters)
    assert [came.status for came in played.outcomes[0].transfers] == [Status.LATE] * 2
    for took_ns, alone_ns in zip(played.took_ns(1), fresh.took_ns(0), strict=True):
        assert took_ns <= alone_ns + 2 * MOST_BACKOFF_NS


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"rate_bps": 0}, "radio.rate_bps"),
        ({"rate_bps": [10, 0]}, "radio.rate_bps[1]"),
        ({"rate_bps": []}, "radio.rate_bps"),
        ({"rate_bps": [10, 20], "devices": 3}, "radio.devices"),
        ({"rate_bps": [10, 20], "kind": "csma"}, "radio.rate_bps"),
        ({"devices": 0}, "radio.devices"),
        ({"devices": 1001}, "radio.devices"),
        ({"delay_s": -1}, "radio.delay_s"),
        ({"delay_s": math.nan}, "radio.delay_s"),
        ({"queue_packets": 0}, "radio.queue_packets"),
        ({"kind": "token-ring"}, "radio.kind"),
    ],
)
def test_bad_parameters_are_refused_by_name(parameters, field):
    with pytest.raises(RequestError) as refusal:
        Wired.parse(parameters)
    assert refusal.value.field == field


@pytest.mark.parametrize("parameters", [{}, {"rate_bps": [5, 6]}, {"kind": "csma", "devices": 3}])
def test_the_filled_in_parameters_give_the_same_scenario(parameters):
    scenario = Wired.parse(parameters)
    assert Wired.parse(to_builtins(scenario)) == scenario


def peak_bytes(size: int) -> int:
    """The most memory that the process had in use after a transfer of so many bytes each way over TCP."""
    parameters = {"devices": 1, "rate_bps": 200_000_000, "delay_s": 0.02, "transport": "tcp"}
    played = play([Step([Transfer(0, size, 0, size)], SETTLED_NS)], parameters, "wired")
    assert played.outcomes[0].transfers[0].status is Status.DONE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_long_transfer_over_tcp_needs_no_more_memory_than_its_window():
    """Segments that do not fill the MSS make ns-3 cut and join packets, whose tags pile up: 1 GB for 20 MB."""
    with worker() as fresh:
        short_bytes = fresh(peak_bytes, 7_000_000)  # more than the window of 6 MiB
        assert fresh(peak_bytes, 20_000_000) < short_bytes + 50_000_000
