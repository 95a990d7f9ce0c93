# SPDX-License-Identifier: GPL-2.0-only
"""Recorded links against what is computed from the recording alone: opportunity by opportunity, or by integration."""

import math
import re
import tomllib
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

from bridge.network import NS_PER_S, RequestError, Status, Transfer
from ns3_scenarios.scenarios.recorded import Recorded
from ns3_scenarios.simulation import open_network
from tests import ROOT
from tests.support.listings import said
from tests.support.ns3_worker import Call, Played, Step, play

NS_PER_MS = 1_000_000
HEADERS_BYTES = {"udp": 20 + 8, "tcp": 20 + 20 + 12}  # IPv4, and UDP or TCP with time stamps
PACKET_BYTES = 1500
SETTLED_NS = NS_PER_S  # longer than the handshake of a TCP connection
CUT_NS = NS_PER_S // 10
LOSSY = "time_s,rate_bps,loss"

Write = Callable[..., str]


@pytest.fixture(scope="module")
def write(tmp_path_factory) -> Write:
    """Writes lines to a new file and returns its path."""
    folder, numbers = tmp_path_factory.mktemp("traces"), count()

    def lines(*told: object) -> str:
        path = folder / f"{next(numbers)}.trace"
        path.write_text("".join(f"{line}\n" for line in told))
        return str(path)

    return lines


def rates(write: Write, rows: list[tuple], header: str = "time_s,rate_bps") -> str:
    return write(header, *(",".join(map(repr, row)) for row in rows))


def recorded(ns3: Call, steps: list[Step], seed: int = 1, **parameters: object) -> Played:
    return ns3(play, steps, parameters, "recorded", seed)


def packets(payload_bytes: int, transport: str = "udp") -> list[int]:
    """IPv4 packets in bytes that a block of so many bytes becomes."""
    headers = HEADERS_BYTES[transport]
    full, rest = divmod(payload_bytes, PACKET_BYTES - headers)
    return [PACKET_BYTES] * full + ([rest + headers] if rest else [])


def opportunity_ns(times_ms: list[int], offset_ns: int, begin_ns: int, sizes: list[int]) -> int:
    """When the last of these packets has crossed, if they wait from `begin_ns` on: one opportunity after the other."""
    waiting = list(sizes)
    for turn in count():
        for time_ms in times_ms:
            now_ns = (turn * times_ms[-1] + time_ms) * NS_PER_MS - offset_ns
            left_bytes = PACKET_BYTES if now_ns > begin_ns else 0
            while left_bytes and waiting:
                crossing = min(left_bytes, waiting[0])
                left_bytes, waiting[0] = left_bytes - crossing, waiting[0] - crossing
                waiting = waiting if waiting[0] else waiting[1:]
            if not waiting:
                return now_ns
    raise AssertionError


def integral(rows: list[tuple], period_s: float, turns: int) -> tuple[np.ndarray, np.ndarray]:
    """Instants in ns, and the bits that could have crossed by then."""
    begins_ns = np.array([row[0] for row in rows] + [period_s]) * NS_PER_S
    bits = np.diff(begins_ns) * np.array([row[1] for row in rows]) / NS_PER_S
    edges_ns = np.append(
        np.concatenate([begins_ns[:-1] + i * begins_ns[-1] for i in range(turns)]), turns * begins_ns[-1]
    )
    return edges_ns, np.append(0, np.cumsum(np.tile(bits, turns)))


def integrated_ns(edges_ns: np.ndarray, bits: np.ndarray, begin_ns: float, sizes: list[int]) -> float:
    """When the last of these packets has crossed, if they wait from `begin_ns` on."""
    goal = np.interp(begin_ns, edges_ns, bits) + 8 * sum(sizes)
    after = np.searchsorted(bits, goal)
    share = (goal - bits[after - 1]) / (bits[after] - bits[after - 1])
    return edges_ns[after - 1] + share * (edges_ns[after] - edges_ns[after - 1])


mahimahi = st.lists(st.integers(0, 40), min_size=1, max_size=30).filter(any).map(sorted)
blocks = st.lists(
    st.builds(Transfer, st.just(0), st.integers(1, 20_000), st.integers(0, 10**8), st.integers(1, 20_000)),
    min_size=1,
    max_size=3,
)


@settings(max_examples=40, deadline=None)
@given(down=mahimahi, up=mahimahi, asked=blocks, offset_us=st.integers(0, 100_000), gap_ns=st.integers(0, 10**8))
def test_a_mahimahi_trace_lets_packets_cross_at_its_opportunities(ns3, write, down, up, asked, offset_us, gap_ns):
    parameters = {"downlink": write(*down), "uplink": write(*up), "devices": 1, "delay_s": 0.003}
    steps = [Step([transfer], gap_ns) for transfer in asked]
    played = recorded(ns3, steps, offset_s=offset_us / 10**6, **parameters)
    for (sent,), (came,), begin_ns in zip(
        (step.transfers for step in steps),
        (outcome.transfers for outcome in played.outcomes),
        played.departed_ns,
        strict=True,
    ):
        arrived_ns = opportunity_ns(down, offset_us * 1000, begin_ns, packets(sent.downlink_bytes)) + 3_000_000
        assert came.downlink_end_ns == arrived_ns
        answer = packets(sent.uplink_bytes)
        answered_ns = opportunity_ns(up, offset_us * 1000, arrived_ns + sent.compute_ns, answer) + 3_000_000
        assert came.uplink_end_ns == answered_ns


recording = st.lists(
    st.tuples(st.integers(1, 300), st.sampled_from([0, 0, 10**6, 1_234_567, 50_000_001, 10**9])), min_size=2, max_size=8
).filter(lambda rows: any(rate_bps for _, rate_bps in rows))


@settings(max_examples=40, deadline=None)
@given(recording, recording, blocks, st.integers(0, 3_000_000), st.integers(0, 10**9))
def test_a_csv_lets_cross_the_integral_of_its_rate(ns3, write, down, up, asked, offset_us, gap_ns):
    ways = []
    for told in (down, up):
        times_s = np.cumsum([0] + [length_ms for length_ms, _ in told[:-1]]) / 1000
        rows = [(float(time_s), rate_bps) for time_s, (_, rate_bps) in zip(times_s, told, strict=True)]
        period_s = 2 * times_s[-1] - times_s[-2]  # the last row lasts as long as the one before it
        ways.append((rates(write, rows), integral(rows, period_s, turns=4000)))
    (downlink, down), (uplink, up) = ways
    steps = [Step([transfer], gap_ns) for transfer in asked]
    played = recorded(ns3, steps, devices=1, downlink=downlink, uplink=uplink, offset_s=offset_us / 10**6)
    for step, outcome, begin_ns in zip(steps, played.outcomes, played.departed_ns, strict=True):
        (sent,), (came,), offset_ns = step.transfers, outcome.transfers, offset_us * 1000
        if came.status is Status.UNREACHABLE:  # the link is silent; see below
            continue
        crossed_ns = integrated_ns(*down, begin_ns + offset_ns, packets(sent.downlink_bytes)) - offset_ns
        assert came.downlink_end_ns == pytest.approx(crossed_ns, abs=1, rel=0)
        crossed_ns = integrated_ns(*up, came.compute_end_ns + offset_ns, packets(sent.uplink_bytes)) - offset_ns
        assert came.uplink_end_ns == pytest.approx(crossed_ns, abs=1, rel=0)


@pytest.mark.parametrize("segments", [1, 7, 10])
def test_tcp_within_its_first_window_takes_the_opportunities_of_its_segments(ns3, write, segments):
    """Ten segments need no acknowledgement (RFC 6928). That of the downlink has crossed long before the answer."""
    times_ms = [0, 3, 3, 4, 9, 17, 20]
    trace = write(*times_ms)
    size = segments * (PACKET_BYTES - HEADERS_BYTES["tcp"])
    step = Step([Transfer(0, size, NS_PER_S, size)], SETTLED_NS)
    played = recorded(ns3, [step], devices=1, downlink=trace, uplink=trace, transport="tcp", delay_s=0.01)
    (came,) = played.outcomes[0].transfers
    for begin_ns, end_ns in ((played.departed_ns[0], came.downlink_end_ns), (came.compute_end_ns, came.uplink_end_ns)):
        assert end_ns == opportunity_ns(times_ms, 0, begin_ns, packets(size, "tcp")) + 10_000_000


def test_the_delay_is_that_of_the_instant_and_packets_keep_their_order(ns3, write):
    """A packet crosses by 1 ms and is cut on its way; the one behind it, after 2.2 ms, could overtake."""
    trace = rates(write, [(0.0, 12_000_000, 0.05), (0.0015, 12_000_000, 0.01)], "time_s,rate_bps,delay_s")
    steps = [Step([Transfer(0, 1472, 0, 1)], 0, 1_200_000), Step([Transfer(0, 1472, 10**8, 1)])]
    first, second = recorded(ns3, steps, devices=1, downlink=trace, uplink=trace).outcomes
    assert first.transfers[0].status is Status.LATE
    assert second.transfers[0].downlink_end_ns == 51_000_000
    # 151 ms are 1 ms into a turn of 3 ms: the answer's 29 bytes cross within the first row.
    assert second.transfers[0].uplink_end_ns == 151_000_000 + math.ceil(29 * 8 * 1000 / 12) + 50_000_000


def test_each_device_has_its_own_trace_and_offset(ns3, write):
    down = [[1, 4, 9], [2, 2, 30], [7]]
    offsets_s = [0.0, 0.011, 0.005]
    played = recorded(
        ns3,
        [Step([Transfer(i, 9000, 0, 1) for i in range(3)])],
        downlink=[write(*times_ms) for times_ms in down],
        offset_s=offsets_s,
    )
    assert len(played.info.devices) == 3
    for times_ms, offset_s, came in zip(down, offsets_s, played.outcomes[0].transfers, strict=True):
        assert came.downlink_end_ns == opportunity_ns(times_ms, round(offset_s * NS_PER_S), 0, packets(9000))


def test_losses_are_as_frequent_as_the_trace_says(ns3, write):
    """Sixty-four links and twenty exchanges of one datagram; four standard deviations."""
    lossy = rates(write, [(0.0, 10**9, 0.3)], LOSSY)
    sound = rates(write, [(0.0, 10**9)])
    steps = [Step([Transfer(i, 1000, 0, 1000) for i in range(64)], 0, CUT_NS)] * 20
    came = [
        [[transfer.status for transfer in outcome.transfers] for outcome in recorded(ns3, steps, **ways).outcomes]
        for ways in (
            {"devices": 64, "downlink": lossy, "uplink": sound},
            {"devices": 64, "downlink": sound, "uplink": lossy},
        )
    ]
    for statuses in came:
        lost = sum(status is Status.LOST for row in statuses for status in row)
        assert lost == pytest.approx(0.3 * 1280, abs=4 * math.sqrt(1280 * 0.3 * 0.7))
        assert {status for row in statuses for status in row} == {Status.DONE, Status.LOST}
        assert len({tuple(row[i] for row in statuses) for i in range(64)}) > 60  # each link has its own luck
    assert came[0] != came[1]


def test_tcp_gets_through_losses(ns3, write):
    trace = rates(write, [(0.0, 2 * 10**7, 0.01)], LOSSY)
    step = Step([Transfer(i, 500_000, 0, 500_000) for i in range(4)], SETTLED_NS)
    played = recorded(ns3, [step], devices=4, downlink=trace, uplink=trace, transport="tcp", delay_s=0.005)
    assert [came.status for came in played.outcomes[0].transfers] == [Status.DONE] * 4
    assert len(set(played.took_ns(0))) == 4


def test_a_handshake_whose_last_segment_was_lost_ends_when_the_server_asks_again(ns3, write):
    """The SYN crosses, the acknowledgement is lost. ns-3's server repeats its SYN after 3 s."""
    uplink = rates(write, [(0.0, 10**6, 0.0), (0.001, 10**6, 1.0), (1.0, 10**6, 0.0), (99.0, 10**6, 0.0)], LOSSY)
    step = Step([Transfer(0, 1000, 0, 1000)], SETTLED_NS)
    downlink = rates(write, [(0.0, 10**6)])
    (came,) = recorded(ns3, [step], devices=1, downlink=downlink, uplink=uplink, transport="tcp").outcomes[0].transfers
    assert came.status is Status.DONE
    assert 3 * NS_PER_S < came.downlink_end_ns < 3.1 * NS_PER_S


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("devices", [1, 8, 64])
def test_any_number_of_devices_twice_the_same(ns3, write, transport, devices):
    trace = rates(write, [(0.0, 10**7, 0.02), (0.05, 0, 0.0), (0.08, 3 * 10**6, 0.05)], LOSSY)
    steps = [Step([Transfer(i, 20_000, 10**6, 20_000) for i in range(devices)], SETTLED_NS)] * 2
    offsets_s = [i / 100 for i in range(devices)]
    parameters = {"downlink": trace, "uplink": trace, "offset_s": offsets_s, "transport": transport}
    first, again = (recorded(ns3, steps, **parameters) for _ in range(2))
    assert first == again
    if transport == "tcp":
        assert all(came.status is Status.DONE for outcome in first.outcomes for came in outcome.transfers)
    if devices == 64:
        assert recorded(ns3, steps, seed=2, **parameters).outcomes != first.outcomes


@pytest.mark.parametrize("waiting", [0, 10])
@pytest.mark.parametrize("too_many", [0, 1])
def test_a_full_queue_drops(ns3, write, waiting, too_many):
    """Some wait, and one is crossing."""
    parameters = {"queue_packets": waiting} if waiting else {}
    step = Step([Transfer(0, ((waiting or 5000) + 1 + too_many) * 1472, 0, 1)])
    status = recorded(ns3, [step], devices=1, downlink=write(1), **parameters).outcomes[0].transfers[0].status
    assert status is (Status.LOST if waiting and too_many else Status.DONE)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_deadline_leaves_nothing_behind(ns3, write, transport):
    """The packet that is crossing when the exchange is cut, in the middle of a gap, does not hold up the next one."""
    rows = [(0.0, 10**6), (0.5, 0), (1.0, 10**6), (1.5, 10**6)]
    trace = rates(write, rows)
    cut = Step([Transfer(0, 10**6, 0, 1)], 0, 700_000_000)
    size = 10 * 1448
    after = Step([Transfer(0, size, 0, 1)], 2 * NS_PER_S)
    played = recorded(ns3, [cut, after], devices=1, downlink=trace, uplink=write(1), transport=transport)
    first, second = played.outcomes
    assert first.transfers[0].status is Status.LATE
    leftover_bytes = first.links[0].rlc_queue_bytes
    assert leftover_bytes <= (0 if transport == "udp" else 60)  # a reset of the connection
    edges_ns, bits = integral(rows, 2.0, turns=10)
    crossed_ns = integrated_ns(edges_ns, bits, played.departed_ns[1], packets(size, transport))
    assert second.transfers[0].downlink_end_ns == pytest.approx(crossed_ns, abs=1, rel=0)


def test_the_state_of_a_link_is_its_rate_of_the_last_tenth_of_a_second(ns3, write):
    down, up = [(0.0, 8 * 10**6), (0.35, 2 * 10**6), (0.7, 10**6)], [0, 3, 40, 41, 77, 100]
    steps = [Step([], gap_ns) for gap_ns in (0, 30_000_000, 350_000_000, 20_000_000, 600_000_000)]
    played = recorded(ns3, steps, devices=1, downlink=rates(write, down), uplink=write(*up))
    edges_ns, bits = integral(down, 1.05, turns=4)
    turn_ns = edges_ns[-1] / 4
    for now_ns, outcome in zip(played.departed_ns, played.outcomes, strict=True):
        (link,) = outcome.links
        then, now = np.interp([now_ns - 10**8 + turn_ns, now_ns + turn_ns], edges_ns, bits)
        assert link.downlink_rate_bps == pytest.approx((now - then) / 0.1)
        # The uplink's period is 100 ms: whatever the window, it sees each opportunity once.
        assert link.uplink_rate_bps == len(up) * 12_000 / 0.1
        assert link.connected
        assert (link.rlc_queue_bytes, link.bsr_bytes) == (0, 0)


def test_a_link_that_is_silent_for_a_second_is_unreachable_until_it_speaks_again(ns3, write):
    quiet = rates(write, [(0.0, 10**6), (1.0, 0), (5.0, 10**6), (9.0, 10**6)])
    steps = [Step([Transfer(0, 1000, 0, 1000), Transfer(1, 1000, 0, 1000)], gap_ns) for gap_ns in (NS_PER_S * 3, 0, 0)]
    steps[2] = Step(steps[2].transfers, 5 * NS_PER_S)
    sound = rates(write, [(0.0, 10**6)])
    played = recorded(ns3, steps, devices=2, downlink=[quiet, sound], uplink=sound)
    assert [[came.status for came in outcome.transfers] for outcome in played.outcomes] == [
        [Status.UNREACHABLE, Status.DONE],
        [Status.UNREACHABLE, Status.DONE],
        [Status.DONE, Status.DONE],
    ]
    assert [outcome.links[0].connected for outcome in played.outcomes] == [False, False, True]
    alone_ns = math.ceil(8 * 1028 * 1000) * 2
    assert played.took_ns(0)[1] == alone_ns  # nobody waits for it


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        (["1", "x"], ":2", "'x' is not a whole number of milliseconds"),
        (["1", "", "2"], ":2", "'' is not a whole number"),
        (["1", "2.5"], ":2", "'2.5' is not a whole number"),
        (["5", "4"], ":2", "4 ms lies before the 5 ms"),
        (["0", "0"], ":2", "the last time is how long the trace lasts, and cannot be 0 ms"),
        ([], "", "there is nothing in it"),
        (["# only talk"], "", "there is nothing in it"),
        (["time,rate"], ":1", "there is a column time; is it time_s? The columns are time_s,rate_bps,[delay_s],[loss]"),
        (["rate_bps,delay_s", "1,2"], ":1", "no column time_s among rate_bps,delay_s"),
        (["time_s,rate_bps,delay_ms", "0,1,1"], ":1", "there is a column delay_ms; is it delay_s?"),
        (["time_s,rate_bps,time_s", "0,1,1"], ":1", "two columns time_s"),
        (["time_s,rate_bps"], "", "no row up to here has a rate_bps above 0"),
        (["time_s,rate_bps", "0,0", "1,0"], ":3", "no row up to here has a rate_bps above 0"),
        (["time_s,rate_bps", "0,1", "1"], ":3", "1 values for 2 columns"),
        (["# spoken", "time_s,rate_bps", "1,5"], ":3", "the first time_s is 1, and has to be 0"),
        (
            ["time_s,rate_bps", "1700000000,5"],
            ":2",
            "time_s '1700000000' is not a number from 0 to 1e+08: a time of the",
        ),
        (["time_s,rate_bps", "0,5", "0,6"], ":3", "time_s 0 is not later"),
        (["time_s,rate_bps", "0,-5"], ":2", "rate_bps '-5' is not a number from 0 to 1e+13"),
        (["time_s,rate_bps", "0,fast"], ":2", "rate_bps 'fast' is not a number"),
        (["time_s,rate_bps", "0,nan"], ":2", "rate_bps 'nan' is not a number"),
        (["time_s,rate_bps,loss", "0,5,1.5"], ":2", "loss '1.5' is not a number from 0 to 1"),
        (["time_s,rate_bps,delay_s", "0,5,inf"], ":2", "delay_s 'inf' is not a number from 0 to 10"),
        (["time_s,rate_bps,pool", "0,5,1.5"], ":2", "pool '1.5' is not a whole number"),
        (["time_s,rate_bps,others", "0,5,256"], ":2", "others '256' is not a number from 0 to 255"),
    ],
)
def test_a_malformed_recording_is_refused_by_file_and_line(ns3, write, lines, line, words):
    path = write(*lines)
    for parameters, field in (({"downlink": path}, "downlink"), ({"uplink": [write(1), path]}, "uplink[1]")):
        refused = ns3(refusal, parameters)
        assert refused[0] == f"radio.{field}"
        assert refused[1].startswith(f"{path}{line}: {words}")


def refusal(parameters: dict) -> tuple[str, str]:
    """Field and reason with which ns-3's process refuses them."""
    with pytest.raises(RequestError) as caught:
        open_network("recorded", parameters, 1)
    return caught.value.field, caught.value.reason


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"devices": 0}, "radio.devices"),
        ({"devices": 2, "downlink": ["example"]}, "radio.downlink"),
        ({"uplink": ["example"], "offset_s": [1.0, 2.0]}, "radio.offset_s"),
        ({"downlink": []}, "radio.downlink"),
        ({"downlink": 5}, "radio.downlink"),
        ({"offset_s": -1}, "radio.offset_s"),
        ({"delay_s": math.nan}, "radio.delay_s"),
        ({"queue_packets": 0}, "radio.queue_packets"),
    ],
)
def test_bad_parameters_are_refused_by_name(parameters, field):
    with pytest.raises(RequestError) as caught:
        Recorded.parse(parameters)
    assert caught.value.field == field


def test_a_file_that_is_not_there_is_named(ns3):
    reason = "/nowhere/x.trace: cannot be read: No such file or directory"
    assert ns3(refusal, {"downlink": "/nowhere/x.trace"}) == ("radio.downlink", reason)


@pytest.mark.parametrize("parameters", [{}, {"downlink": ["example", "example"]}, {"offset_s": [1.0, 2.0, 3.0]}])
def test_the_filled_in_parameters_give_the_same_scenario(parameters):
    scenario = Recorded.parse(parameters)
    assert Recorded.parse(to_builtins(scenario)) == scenario


def test_what_a_recording_says_is_part_of_the_record_of_versions(ns3, write):
    path = Path(write(1, 2))
    first = recorded(ns3, [], downlink=str(path)).info.versions
    assert recorded(ns3, [], downlink=str(path)).info.versions == first
    path.write_text("1\n3\n")
    assert recorded(ns3, [], downlink=str(path)).info.versions != first


DOCUMENT = (ROOT / "docs/scenarios/recorded.md").read_text()


def test_what_the_documentation_runs_says_what_stands_there(tmp_path):
    for name, listing in re.findall(r"^`(\S+)`:\n\n```csv\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(listing)
    ran = 0
    for listing in re.findall(r"^```console\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL):
        for command, expected in re.findall(r"^\$ (cosim .*)\n((?:(?!\$ ).*\n)*)", listing, re.MULTILINE):
            assert said(command, tmp_path) == expected
            ran += 1
    assert ran == 1


def test_the_documentation_s_toml_is_understood():
    (listing,) = re.findall(
        r"^```toml\n(.*?)^```", (ROOT / "docs/scenarios/recorded.md").read_text(), re.MULTILINE | re.DOTALL
    )
    radio = tomllib.loads(listing)["radio"]
    assert radio.pop("scenario") == "recorded"
    Recorded.parse(radio)
