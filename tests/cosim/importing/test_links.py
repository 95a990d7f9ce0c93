# SPDX-License-Identifier: GPL-2.0-only
"""Imported links: what the files say, integrated apart from the importer, is what the scenario carries."""

import json
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import NS_PER_S, Transfer
from ns3_scenarios.scenarios.link_traces import read
from ns3_scenarios.scenarios.recorded import Recorded
from tests.support.importing import imported, refusal
from tests.support.ns3_worker import Step, play

PACKET_BYTES, PAYLOAD_BYTES = 1500, 1472


def rate_at(file: Path, time_s: float) -> int:
    """What the scenario's own reader says of a time."""
    rows = read(file).rows
    return next(row.rate_bps for row in reversed(rows) if row.begin_ns <= time_s * NS_PER_S)


STAMPS = {
    "s": lambda ms: f"{ms / 1000:.3f}",
    "ms": str,
    "us": lambda ms: str(ms * 1000),
    "iso": lambda ms: datetime.fromtimestamp(ms / 1000, UTC).isoformat(),
    "%d.%m.%Y %H:%M:%S.%f": lambda ms: datetime.fromtimestamp(ms / 1000, UTC).strftime("%d.%m.%Y %H:%M:%S.%f"),
}
UNITS = {"bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "byte/s": 8, "kbyte/s": 8000}

tables = st.lists(st.tuples(st.integers(1, 30_000), st.integers(0, 10**5)), min_size=2, max_size=12).filter(
    lambda rows: any(rate for _, rate in rows[1:-1] or rows[1:])
)


@settings(max_examples=60, deadline=None)
@given(
    table=tables,
    begin_ms=st.integers(10**11, 2 * 10**12),
    stamp=st.sampled_from([*STAMPS]),
    found_out=st.booleans(),
    unit=st.sampled_from([*UNITS]),
    at_end=st.booleans(),
    hold_s=st.none() | st.floats(0.5, 40),
)
def test_a_table_is_the_rate_of_its_time_stamps(
    tmp_path_factory, table, begin_ms, stamp, found_out, unit, at_end, hold_s
):
    """Real times, never the numbers of rows; held for so long and no longer."""
    folder = tmp_path_factory.mktemp("table")
    times_ms = [begin_ms + int(ms) for ms in np.cumsum([0] + [step for step, _ in table[1:]])]
    lines = [f'"{STAMPS[stamp](ms)}",x,{rate}' for ms, (_, rate) in zip(times_ms, table, strict=True)]
    (folder / "a.csv").write_text("\n".join(["when,other,how much", *lines, ""]))
    options = ["--time", "when", "--down", "how much", "--unit", unit]
    options += [] if found_out and "%" not in stamp else ["--time-format", stamp]
    options += ["--at-end"] * at_end + ([] if hold_s is None else ["--hold-s", hold_s])
    imported(folder / "out", "csv", *options, folder / "a.csv")
    since_s = [(ms - begin_ms) / 1000 for ms in times_ms]
    rates = [rate * UNITS[unit] for _, rate in table]
    step_s = median(after - one for one, after in pairwise(since_s))
    most_s = 5 * step_s if hold_s is None else hold_s
    trace = read(folder / "out" / "a.down.csv")
    begins_s = max(0.0, since_s[1] - most_s) if at_end else 0.0  # with the first that is known
    span_s = since_s[-1] - begins_s if at_end else since_s[-1] + min(step_s, most_s)
    assert trace.period_ns == pytest.approx(span_s * NS_PER_S, abs=1000)
    for asked_s in np.linspace(begins_s, begins_s + span_s, 101)[1:-1] + 1e-5:
        if min(abs(asked_s - edge) for one in since_s for edge in (one, one + most_s, one - most_s)) < 2e-3:
            continue
        after = next((i for i, one in enumerate(since_s) if one > asked_s), len(since_s))
        expected = rates[min(after, len(rates) - 1)] if at_end else rates[after - 1]
        away_s = since_s[after] - asked_s if at_end else asked_s - since_s[after - 1]
        assert rate_at(folder / "out" / "a.down.csv", asked_s - begins_s) == (expected if away_s < most_s else 0)


IRISH = """Timestamp,Longitude,Latitude,Speed,Operatorname,CellID,NetworkMode,RSRP,DL_bitrate,UL_bitrate,State
2019.12.14_10.16.30,-8.388186,51.935604,0,B,12,5G,-99,8000,100,D
2019.12.14_10.16.31,-8.388470,51.935739,1,B,12,5G,-99,6000,200,D
2019.12.14_10.16.31,-8.388470,51.935739,1,B,12,5G,-99,0,400,D
2019.12.14_10.16.33,-8.388600,51.935800,1,B,12,-,-,-,-,I
2019.12.14_10.16.34,-8.388700,51.935900,1,B,12,5G,-98,2000,-,D
"""
LUMOS = """run_num,seq_num,abstractSignalStr,latitude,longitude,nrStatus,Throughput,mobility_mode,trajectory_direction
1,1,2,44.97,-93.26,CONNECTED,100,driving,CW
1,2,2,44.97,-93.26,CONNECTED,200,driving,CW
2,1,2,44.97,-93.26,NONE,10,driving,CW
2,2,2,44.97,-93.26,NONE,20,driving,CW
2,4,2,44.97,-93.26,NONE,,driving,CW
2,5,2,44.97,-93.26,NONE,40,driving,CW
"""
GOPHERS = """protocol,num_tcp_conn,seq_num,Sprint_throughput_mbps,TMobile_throughput_mbps,Verizon_throughput_mbps
TCP,8,100,332.4,188.7,1426.5
TCP,8,101,209.2,364.3,1153.25
TCP,8,102,311.3,60.2,891.0
TCP,8,109,323.2,0.02,94.0
"""
MTU = """Time,rsrp(dBm),rsrq(dB),rssi(dBm),nr_rsrp(dBm),nr_rsrq(dB),nr_rssi(dBm),Sent Bytes,RATE(MBit/s)
Fri Dec 17 14:07:43 UTC 2021,-80,-12,-44,0,0,0,94595,0.005
Fri Dec 17 14:07:46 UTC 2021,-79,-10,-49,0,0,0,13205091,34.9
Fri Dec 17 14:07:49 UTC 2021,-80,-9,-51,0,0,0,0,-35.2
Fri Dec 17 14:07:52 UTC 2021,-80,-10,-45,0,0,0,52034749,138.7
Fri Dec 17 14:07:55 UTC 2021,-81,-9,-52,0,0,0,76091131,65.5
"""


@pytest.mark.parametrize(
    ("name", "text", "options", "way", "expected", "words"),
    [
        ("irish-5g", IRISH, [], "down", [(0.5, 8e6), (1.5, 3e6), (3.5, 3e6), (4.5, 2e6)], "DL_bitrate is -"),
        ("irish-5g", IRISH, [], "up", [(0.5, 1e5), (1.5, 3e5)], "skipped 2: UL_bitrate is -"),
        ("lumos5g", LUMOS, ["--only", "run_num=1"], "down", [(0.5, 1e8), (1.5, 2e8)], "4: run_num is not 1"),
        (
            "lumos5g",
            LUMOS,
            ["--only", "run_num=2"],
            "down",
            [(1.5, 2e7), (3.5, 2e7), (4.5, 4e7)],
            "Throughput is empty",
        ),
        (
            "5gophers",
            GOPHERS,
            ["--down", "Verizon_throughput_mbps"],
            "down",
            [(0.5, 1426.5e6), (2.5, 891e6), (6.9, 891e6), (7.1, 0), (9.5, 94e6)],
            "1 gaps, silent for 2 s in all",
        ),
        ("mtu", MTU, [], "up", [(1.5, 34.9e6), (4.5, 65.5e6), (11, 65.5e6)], "2: no Sent Bytes, here or in the row"),
    ],
)
def test_data_sets_are_known_by_name(tmp_path, capsys, name, text, options, way, expected, words):
    """With the columns and units of their files, and what they write for what was not measured."""
    (tmp_path / "a.csv").write_text(text)
    radio = imported(tmp_path / "out", "csv", "--dataset", name, *options, tmp_path / "a.csv")
    for time_s, rate_bps in expected:
        assert rate_at(tmp_path / "out" / f"a.{way}.csv", time_s) == pytest.approx(rate_bps, abs=1)
    assert words in capsys.readouterr().out
    scenario = Recorded.parse({key: value for key, value in radio.items() if key != "scenario"})
    assert (scenario.uplink == ("example",)) == (name in ("lumos5g", "5gophers"))


def test_bytes_of_a_row_are_those_of_its_time(tmp_path):
    (tmp_path / "a.csv").write_text("t,n\n0,1000\n2,0\n2,500\n3,250\n")
    imported(tmp_path / "out", "csv", "--time", "t", "--up", "n", "--unit", "bytes", tmp_path / "a.csv")
    found = [rate_at(tmp_path / "out" / "a.up.csv", time_s) for time_s in (1, 2.5, 3.5)]
    assert found == [4000, 4000, pytest.approx(250 * 8 / 1.5, abs=1)]


@pytest.mark.parametrize("nothing", ["", "-", "NaN", "N/A", "null", "-1", "2147483647"])
def test_what_was_not_measured_is_passed_over_and_counted(tmp_path, capsys, nothing):
    (tmp_path / "a.csv").write_text(f"t,r\n0,1\n1,2\n2,{nothing}\n3,4\n")
    imported(tmp_path / "out", "csv", "--time", "t", "--down", "r", "--unit", "Mbit/s", tmp_path / "a.csv")
    assert [rate_at(tmp_path / "out" / "a.down.csv", t) for t in (0.5, 1.5, 2.5, 3.5)] == [1e6, 2e6, 2e6, 4e6]
    assert "skipped 1: r is" in capsys.readouterr().out


def test_lines_of_seconds_and_rates_are_read(tmp_path):
    (tmp_path / "a.log").write_text("# cooked\n0.5\t1.5\n\n1.25  2 # more\n2.0,3\n")
    imported(tmp_path / "out", "text", tmp_path / "a.log")
    assert [rate_at(tmp_path / "out" / "a.down.csv", t) for t in (0.5, 1, 1.6)] == [1.5e6, 2e6, 3e6]
    imported(tmp_path / "up", "text", "--up", "--at-end", tmp_path / "a.log")
    assert [rate_at(tmp_path / "up" / "a.up.csv", t) for t in (0.5, 1)] == [2e6, 3e6]


def interval(begin_s: float, end_s: float, rate_bps: float, **more: bool) -> dict[str, object]:
    return {
        "socket": 5,
        "start": begin_s,
        "end": end_s,
        "seconds": end_s - begin_s,
        "bits_per_second": rate_bps,
        **more,
    }


def iperf3(reverse: int, *sums: dict[str, object]) -> dict[str, object]:
    test = {"protocol": "TCP", "num_streams": 1, "omit": 1, "duration": 3, "reverse": reverse}
    return {"start": {"version": "iperf 3.12", "test_start": test}, "intervals": list(sums), "end": {}}


WARM = {"streams": [], "sum": interval(0, 1.0001, 5e6, omitted=True, sender=True)}
FIRST = {"sum": interval(0, 1.0002, 2e6, omitted=False), "sum_bidir_reverse": interval(0, 1.0002, 9e6)}
SECOND = {
    "streams": [],
    "sum": interval(1.0002, 2.5, 3e6, omitted=False),
    "sum_bidir_reverse": interval(1.0002, 2.5, 0),
}


@pytest.mark.parametrize(("reverse", "ways"), [(0, ("up", "down")), (1, ("down", "up"))])
def test_iperf3_tells_the_way_and_the_time_of_its_intervals(tmp_path, reverse, ways):
    report = iperf3(reverse, WARM, FIRST, SECOND)
    (tmp_path / "a.json").write_text(json.dumps(report, indent=1))
    events = [("start", report["start"]), *(("interval", one) for one in (WARM, FIRST, SECOND)), ("end", {})]
    (tmp_path / "b.json").write_text("\n".join(json.dumps({"event": kind, "data": data}) for kind, data in events))
    imported(tmp_path / "out", "iperf3", tmp_path / "a.json", tmp_path / "b.json")
    for name in "ab":
        for way, expected in zip(ways, ([2e6, 3e6], [9e6, 0]), strict=True):
            file = tmp_path / "out" / f"{name}.{way}.csv"
            assert [rate_at(file, t) for t in (0.9, 1.1)] == expected
            assert read(file).period_ns == pytest.approx(2.5e9, abs=10)


def test_mahimahi_s_pairs_come_along_by_their_stem(tmp_path):
    for name, text in (("a.down", "1\n1\n40\n"), ("a.up", "5\n"), ("b.down", "7\n"), ("b.up", "9\n10\n")):
        (tmp_path / name).write_text(text)
    radio = imported(tmp_path / "out", "mahimahi", tmp_path / "b.up", tmp_path / "a.down", tmp_path / "a.up")
    assert [Path(file).name for file in radio["downlink"]] == ["b.down", "a.down"]
    assert [Path(file).read_text() for file in radio["uplink"]] == ["9\n10\n", "5\n"]
    (tmp_path / "a.up").unlink()
    assert "a.up is not there" in refusal("mahimahi", "--preview", tmp_path / "a.down")


def test_what_was_imported_is_carried(ns3, tmp_path):
    """A transfer down and one up, which each take the integral of the table, computed here from its rows."""
    (tmp_path / "a.csv").write_text("t,r,s\n10,4,1\n11.5,8,2\n12,0.5,4\n14,16,2\n")
    radio = imported(
        tmp_path / "out", "csv", "--time", "t", "--down", "r", "--up", "s", "--unit", "Mbit/s", tmp_path / "a.csv"
    )
    assert radio.pop("scenario") == "recorded"
    (came,) = ns3(play, [Step([Transfer(0, 1_500_000, 0, 200_000)])], radio, "recorded").outcomes[0].transfers
    begin_s = 0.0
    for column, size, end_ns in (
        ([4, 8, 0.5, 16], 1_500_000, came.downlink_end_ns),
        ([1, 2, 4, 2], 200_000, came.uplink_end_ns),
    ):
        edges_s = np.array([0, 1.5, 2, 4, 5.5])
        bits = np.append(0, np.cumsum(np.diff(edges_s) * np.array(column) * 1e6))
        edges_s, bits = np.append(edges_s, 5.5 + edges_s[1:]), np.append(bits, bits[-1] + bits[1:])  # it repeats
        full, rest = divmod(size, PAYLOAD_BYTES)
        wire_bits = 8 * (full * PACKET_BYTES + (rest + 28 if rest else 0))
        goal = np.interp(begin_s, edges_s, bits) + wire_bits
        begin_s = float(np.interp(goal, bits, edges_s))
        assert end_ns == pytest.approx(begin_s * 1e9, abs=10)


RATES = ["csv", "--time", "t", "--down", "r", "--unit", "kbit/s"]


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        (RATES, "t,r\n0,1\n1,fast\n2,3\n", ":3: r 'fast' is not a number"),
        (RATES, "t,r\n0,1\nsoon,2\n", ":3: t 'soon' is no time as s, which the first one is"),
        (RATES, "t,r\nsoon,1\n", ":2: t: 'soon' is no time that is known"),
        (RATES, "t,r\n0,1\n2,2\n1,3\n", ":4: t 1 goes back; where a file holds several runs"),
        (RATES, "t,r\n0,1\n1,1e12\n", ":3: r '1e12' is not a number from 0 to 1e+10"),
        (RATES, "t,s\n0,1\n", ":1: no column r among t,s"),
        (RATES, "t,r\n0,1\n1\n", ":3: 1 values for 2 columns"),
        (RATES, "t,r\n0,1\n", ": r has 1 time stamps with a value; two are the least"),
        (RATES, "t,r\n0,0\n1,0\n", ": r is never above 0"),
        (["text"], "0 1\n1 2 3\n", ":2: 3 values, where seconds and Mbit/s are two"),
        (["text"], "1 1\n0 2\n", ":2: 0 s goes back"),
        (["text"], "1 1\n2 x\n", ":2: rate 'x' is not a number"),
        (["iperf3"], '{"start": {},\n "intervals": [}', ":2: not JSON"),
        (["iperf3"], '{"start": {}, "intervals": [], "error": "refused: busy"}', ": refused: busy"),
        (["iperf3"], "[1]", ": not a report of iperf3 --json"),
        (["iperf3"], '{"intervals": [{"sum": {"start": 0}}]}', ": interval 1: sum lacks start, end or bits_per_second"),
        (["iperf3"], "", ": there is nothing in it"),
        (["mahimahi"], "1\nx\n", ":2: 'x' is not a whole number of milliseconds"),
        (["mahimahi"], "5\n4\n", ":2: 4 ms lies before the 5 ms"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_line(tmp_path, words, text, expected):
    file = tmp_path / ("a.down" if words == ["mahimahi"] else "a")
    file.write_text(text)
    file.with_suffix(".up").write_text("1\n")
    assert refusal(*words, file, tmp_path / "out").startswith(f"FILE: {file}{expected}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["csv", "a", "out"], "--time: say which column"),
        (["csv", "--time", "t", "a", "out"], "--down: say which column"),
        (["csv", "--time", "t", "--down", "r", "a", "out"], "--unit: say in which unit"),
        (["csv", "--time", "t", "--down", "r", "--unit", "Mb", "a", "out"], "--unit: Mb is none of bit/s, kbit/s"),
        (["csv", "--dataset", "5g", "a", "out"], "--dataset: 5g is none of irish-5g, lumos5g"),
        (["csv", "--dataset", "mtu", "--only", "x", "a", "out"], "--only: takes COLUMN=VALUE"),
        (["text", "out"], "OUT: say to which new folder"),
        (["text", "a", "b/a", "out"], "FILE: two of the name a"),
        (["text", "none", "out"], "FILE: none: cannot be read: No such file or directory"),
    ],
)
def test_what_is_missing_is_asked_for_by_name(tmp_path, monkeypatch, words, expected):
    monkeypatch.chdir(tmp_path)
    assert refusal(*words).startswith(expected)


def test_a_preview_writes_nothing_and_a_full_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "a").write_text("0 1\n1 2\n")
    from cosim.cli import app

    app(["import", "text", "--preview", str(tmp_path / "a")], standalone_mode=False)
    assert "2 values over 2 s; least 1, median 1.5, greatest 2, mean over time 1.5 Mbit/s" in capsys.readouterr().out
    assert [*tmp_path.iterdir()] == [tmp_path / "a"]
    assert "is not empty" in refusal("text", tmp_path / "a", tmp_path)


@pytest.mark.parametrize(
    ("kind", "module", "library"),
    [("gpx", "cosim.importing.gpx", "gpxpy"), ("pcap", "cosim.importing.pcap", "dpkt")],
)
def test_a_library_that_is_not_there_is_named_with_its_command(tmp_path, monkeypatch, kind, module, library):
    import cosim.importing

    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.delattr(cosim.importing, kind, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    assert refusal(kind, "a", tmp_path / "out") == f"import: needs {library}; pip install 'wdmoe-cosim[import]'"
