# SPDX-License-Identifier: GPL-2.0-only
"""Traces out of a channel record, read by the scenario that plays them."""

import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import CHANNEL_ROW, NS_PER_S, RequestError, Transfer
from cosim.config import Config
from cosim.record.journal import Journal
from cosim.results.rate_traces import CONFIG, OPPORTUNITY_BITS, Step, Way, csv, export, is_sharing, mahimahi, steps
from model_side.energy import Powers
from ns3_scenarios.scenarios.link_traces import LinkTrace, read
from tests.support.fixed_network import FixedNetwork
from tests.support.ns3_worker import Step as Exchange
from tests.support.ns3_worker import play

MS = 1_000_000
PACKET_NS = 6 * MS  # of 1500 bytes at the recording's lowest rate

LINES = st.lists(st.tuples(st.integers(2, 500 * MS), st.integers(0, 10**9)), min_size=1, max_size=8).filter(
    lambda parts: any(rate_bps for _, rate_bps in parts)
)
"""Lengths in ns and rates."""


def laid_out(parts: Sequence[tuple[int, int]]) -> tuple[list[Step], int]:
    line, at_ns = [], 0
    for lasts_ns, rate_bps in parts:
        line.append(Step(at_ns, float(rate_bps), 0, 0))
        at_ns += lasts_ns
    return line, at_ns


def bits(trace: LinkTrace) -> float:
    """What a trace carries in one turn."""
    ends = [*[row.begin_ns for row in trace.rows[1:]], trace.period_ns]
    return sum(
        row.burst_bits + row.rate_bps * (end_ns - row.begin_ns) / NS_PER_S
        for row, end_ns in zip(trace.rows, ends, strict=True)
    )


@settings(deadline=None)
@given(parts=LINES)
def test_both_formats_carry_what_the_line_does(tmp_path_factory, parts):
    line, end_ns = laid_out(parts)
    carried = sum(lasts_ns * rate_bps for lasts_ns, rate_bps in parts) / NS_PER_S
    file = tmp_path_factory.mktemp("traces") / "trace"
    file.write_text(csv(line, end_ns, Way(), False))
    trace = read(file)
    assert abs(trace.period_ns - end_ns) <= 1
    assert bits(trace) == pytest.approx(carried, abs=2.0)
    file.write_text(mahimahi(line, end_ns))
    trace = read(file)
    assert trace.period_ns == max(-(-end_ns // MS), 1) * MS
    assert carried - OPPORTUNITY_BITS - 1 <= bits(trace) <= carried + OPPORTUNITY_BITS


@settings(deadline=None)
@given(parts=LINES)
def test_no_packet_crosses_before_there_was_room_for_it(parts):
    line, end_ns = laid_out(parts)
    times_ms = [int(time_ms) for time_ms in mahimahi(line, end_ns).split()]
    for number, time_ms in enumerate(times_ms[:-1], 1):
        room = sum(
            step.rate_bps * max(min(after.begin_ns, time_ms * MS) - step.begin_ns, 0) / NS_PER_S
            for step, after in pairwise([*line, Step(end_ns, 0.0, 0, 0)])
        )
        assert room >= number * OPPORTUNITY_BITS - 1


def test_what_is_not_connected_carries_nothing_and_sharing_is_told():
    rows = [
        (5, 0, 1, 0, 1, -1.0, 0.0),
        (7, 0, 1, 3, 1, 10.0, 0.0),
        (8, 0, 1, 3, 1, 10.0, 9.0),
        (9, 0, 1, 0, 2, 0.0, 9.0),
    ]
    channel = b"".join(CHANNEL_ROW.pack(*row) for row in rows)
    assert steps(channel, 2, 5) == [([], [Step(0, 0.0, 1, 0), Step(2, 10.0, 1, 3), Step(4, 0.0, 2, 0)]), ([], [])]


@pytest.mark.parametrize(
    ("pools", "others", "shared"),
    [((0, 1), 0, False), ((0, 1), 2, True), ((4, 4), 0, True)],
)
def test_links_share_where_a_pool_has_two_of_them_or_others(pools, others, shared):
    lines = tuple([Step(0, 1.0, pool, others)] for pool in pools)
    assert is_sharing([lines]) is shared


def test_a_csv_tells_delay_loss_and_sharing_in_every_row():
    line = [Step(0, 5e6, 3, 0), Step(MS, 4e6, 3, 2)]
    assert csv(line, 3 * MS, Way(delay_s=0.004, loss=0.01), True).splitlines() == [
        "time_s,rate_bps,delay_s,loss,pool,others",
        "0.000000000,5000000,0.004000000,0.01,3,0",
        "0.001000000,4000000,0.004000000,0.01,3,2",
        "0.002000000,4000000,0.004000000,0.01,3,2",
    ]


@pytest.fixture(scope="module")
def exported(ns3, tmp_path_factory) -> tuple[Path, Path]:
    """A run on an uneven recording, as a journal has it, and the traces out of it."""
    folder = tmp_path_factory.mktemp("run")
    original = folder / "walk.csv"
    original.write_text("time_s,rate_bps\n0,20000000\n0.5,2000000\n1.25,12000000\n")
    parameters = {"devices": 1, "downlink": str(original), "uplink": str(original), "offset_s": 0.25}
    played = ns3(play, [Exchange([], limit_ns=2 * NS_PER_S, gap_ns=2 * NS_PER_S)], parameters, "recorded")
    (folder / "run").mkdir()
    journal = Journal.create(folder / "run", Config(), {})
    journal.add_variant(1, "top-k", "live", played.info, Powers.unknown(1), [[0]])
    end_ns = played.outcomes[0].now_ns
    exchange = (1, 1, 0, 0, "prefill", 0, 1, 0, end_ns, end_ns, "all", end_ns, None)
    journal.db.execute("INSERT INTO exchanges VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", exchange)
    journal.db.execute("INSERT INTO channel VALUES (1, 1, ?)", [played.outcomes[0].channel])
    journal.close()
    command = [sys.executable, "-m", "cosim.cli", "traces", str(folder / "run"), str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    names = ["device0.down.csv", "device0.down", "device0.up.csv", "device0.up", CONFIG]
    assert done.stdout.split() == [str(folder / "out" / name) for name in names]
    return original, folder / "out"


def took_ns(ns3, parameters: dict) -> list[int]:
    """From the beginning on, 1 MB down and then up, each in a time that spans several rows of the recording."""
    both = [Exchange([Transfer(0, 1_000_000, 0, 1)]), Exchange([Transfer(0, 1, 0, 250_000)])]
    return [
        transfer.uplink_end_ns
        for outcome in ns3(play, both, parameters, "recorded").outcomes
        for transfer in outcome.transfers
    ]


@pytest.mark.parametrize(("suffix", "tolerance_ns"), [(".csv", 10_000), ("", 2 * PACKET_NS)])
def test_played_again_a_trace_carries_what_the_original_did(ns3, exported, suffix, tolerance_ns):
    original, folder = exported
    then = took_ns(ns3, {"devices": 1, "downlink": str(original), "uplink": str(original), "offset_s": 0.25})
    again = {
        "devices": 1,
        "downlink": str(folder / f"device0.down{suffix}"),
        "uplink": str(folder / f"device0.up{suffix}"),
    }
    now = took_ns(ns3, again)
    assert now == pytest.approx(then, abs=tolerance_ns)


def test_a_folder_in_use_is_refused(exported):
    _, folder = exported
    with pytest.raises(RequestError, match=r"FOLDER: .* is not empty"):
        export(folder.parent / "run", folder)


def test_runs_without_a_record_are_refused(tmp_path):
    (tmp_path / "run").mkdir()
    journal = Journal.create(tmp_path / "run", Config(), {})
    with pytest.raises(RequestError, match=r"RUN: .* has no variant 1"):
        export(tmp_path / "run", tmp_path / "out")
    journal.add_variant(1, "top-k", "live", FixedNetwork(devices=1).info, Powers.unknown(1), [[0]])
    journal.close()
    with pytest.raises(RequestError, match=r"RUN: the fixed scenario of .* keeps no channel record"):
        export(tmp_path / "run", tmp_path / "out")


def test_a_device_that_could_never_be_reached_has_no_files_and_then_nothing_plays_them(tmp_path):
    (tmp_path / "run").mkdir()
    journal = Journal.create(tmp_path / "run", Config(), {})
    journal.add_variant(1, "top-k", "live", FixedNetwork(devices=2).info, Powers.unknown(2), [[0], [1]])
    exchange = (1, 1, 0, 0, "prefill", 0, 1, 0, NS_PER_S, NS_PER_S, "all", NS_PER_S, None)
    journal.db.execute("INSERT INTO exchanges VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", exchange)
    rows = [(0, device, direction, 0, direction, 1e6 * device, 0.0) for device in (0, 1) for direction in (0, 1)]
    journal.db.execute("INSERT INTO channel VALUES (1, 1, ?)", [b"".join(CHANNEL_ROW.pack(*row) for row in rows)])
    names = journal.network_info(1).devices
    journal.close()
    written = export(tmp_path / "run", tmp_path / "out")
    assert [path.name for path in written] == [f"{names[1]}.{way}" for way in ("down.csv", "down", "up.csv", "up")]
