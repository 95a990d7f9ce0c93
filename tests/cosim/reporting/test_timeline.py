# SPDX-License-Identifier: Apache-2.0
"""The trace of a run: of the Trace Event Format, its spans those of the journal."""

import gzip
import json
from collections import defaultdict
from contextlib import closing
from itertools import pairwise

import pytest

from bridge.network import RequestError
from cosim.record.journal import Journal
from cosim.reporting import timeline
from cosim.reporting.timeline import FIRST_DEVICE, LAYERS, STATION, TOKENS

US = 1e3


@pytest.fixture(scope="module")
def trace(run, tmp_path_factory):
    path = timeline.write(run, tmp_path_factory.mktemp("trace") / "trace.json")
    return json.loads(path.read_text(encoding="utf-8"))["traceEvents"]


@pytest.fixture(scope="module")
def served(service, tmp_path_factory):
    path = timeline.write(service, tmp_path_factory.mktemp("served") / "trace.json")
    return json.loads(path.read_text(encoding="utf-8"))["traceEvents"]


def spans_of(events, pid, track, name=None):
    """Begin and end of the spans of a track, in ns."""
    return [
        (round(event["ts"] * US), round((event["ts"] + event["dur"]) * US))
        for event in events
        if (event["ph"], event["pid"], event["tid"]) == ("X", pid, track) and name in (None, event["name"])
    ]


@pytest.mark.parametrize("of", ["trace", "served"])
def test_every_event_has_what_its_phase_needs(of, request):
    """As "Trace Event Format" (Google, 2016) has it: phases X, C, i and M, and their fields."""
    wanted = {"X": {"dur", "args"}, "C": {"args"}, "i": {"s"}, "M": {"args"}}
    for event in request.getfixturevalue(of):
        assert event.keys() >= {"ph", "pid", "tid", "name", "ts"} | wanted[event["ph"]]
        assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] >= 0
        if event["ph"] == "C":
            assert event["args"]
            assert all(isinstance(value, int | float) for value in event["args"].values())
        if event["ph"] == "i":
            assert event["s"] in ("g", "p", "t")
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "process_sort_index", "thread_name", "thread_sort_index")


@pytest.mark.parametrize("of", ["trace", "served"])
def test_spans_of_one_track_do_not_cross(of, request):
    tracks = defaultdict(list)
    for event in request.getfixturevalue(of):
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    assert len(tracks) > 2 * FIRST_DEVICE
    for spans in tracks.values():
        spans.sort()
        assert all(end <= begin + 1e-6 for (_, end), (begin, _) in pairwise(spans))


@pytest.mark.parametrize(
    ("track", "query"),
    [
        (TOKENS, "SELECT begin_ns, end_ns FROM tokens WHERE variant = 2 ORDER BY begin_ns"),
        (LAYERS, "SELECT depart_ns, end_ns FROM exchanges WHERE variant = 2 ORDER BY depart_ns"),
        (STATION, "SELECT depart_ns - bs_compute_ns, depart_ns FROM exchanges WHERE variant = 2 AND bs_compute_ns > 0 "
                  "ORDER BY depart_ns"),
        (FIRST_DEVICE, "SELECT downlink_begin_ns, downlink_end_ns FROM transfers WHERE (variant, device) = (2, 0) "
                       "ORDER BY exchange"),
        (FIRST_DEVICE + 4, "SELECT downlink_end_ns, compute_end_ns FROM transfers WHERE (variant, device) = (2, 1) "
                           "ORDER BY exchange"),
        (FIRST_DEVICE + 8, "SELECT compute_end_ns, uplink_end_ns FROM transfers WHERE (variant, device) = (2, 2) "
                           "ORDER BY exchange"),
    ],
)  # fmt: skip
def test_a_track_has_the_spans_of_the_journal(trace, run, track, query):
    with closing(Journal.open(run)) as journal:
        rows = journal.rows(query)
    assert spans_of(trace, 2, track) == rows


def test_a_request_has_a_track_with_its_queueing_and_its_part_in_each_pass(served, service):
    names = {event["args"]["name"]: event["tid"] for event in served if event["name"] == "thread_name"}
    with closing(Journal.open(service)) as journal:
        assert spans_of(served, 2, names["passes"]) == journal.rows(
            "SELECT begin_ns, end_ns FROM passes WHERE variant = 2 ORDER BY exchange"
        )
        for request, *waited in journal.rows(
            "SELECT request, arrival_ns, coalesce(admitted_ns, end_ns) FROM requests WHERE variant = 2"
        ):
            track = names[f"request {request}"]
            assert spans_of(served, 2, track, "queueing") == [tuple(waited)]
            for phase in ("prefill", "decode"):
                rows = journal.rows(
                    "SELECT p.begin_ns, p.end_ns FROM pass_rows r JOIN passes p USING (variant, exchange) "
                    "WHERE variant = 2 AND r.request = ? AND r.phase = ? ORDER BY exchange",
                    request,
                    phase,
                )
                assert spans_of(served, 2, track, phase) == rows


def test_the_area_under_the_queue_is_what_requests_waited(served, service):
    """Little's law, in a sample of whole length: both areas are sums over requests."""
    counters = [event for event in served if (event["name"], event["pid"]) == ("requests", 1)]
    assert max(event["args"]["waiting"] for event in counters) > 1
    assert counters[-1]["args"] == {"waiting": 0, "running": 0}

    def area_ns(name: str) -> float:
        return sum(US * (two["ts"] - one["ts"]) * one["args"][name] for one, two in pairwise(counters))

    with closing(Journal.open(service)) as journal:
        ((waited_ns, ran_ns),) = journal.rows(
            "SELECT sum(coalesce(admitted_ns, end_ns) - arrival_ns), sum(end_ns - coalesce(admitted_ns, end_ns)) "
            "FROM requests WHERE variant = 1"
        )
    assert area_ns("waiting") == pytest.approx(waited_ns)
    assert area_ns("running") == pytest.approx(ran_ns)


def test_tracks_are_named_and_in_order(trace):
    names = {event["tid"]: event["args"]["name"] for event in trace if event["name"] == "thread_name"}
    assert [names[track] for track in sorted(names)][:6] == [
        "tokens",
        "layers",
        "base station",
        "device-0 downlink",
        "device-0 computing",
        "device-0 uplink",
    ]
    processes = {event["pid"]: event["args"]["name"] for event in trace if event["name"] == "process_name"}
    assert processes == {1: "1: top-k (live)", 2: "2: weight-to-latency (live)"}


def test_it_can_be_gzipped_and_is_the_same_twice(run, trace, tmp_path):
    one, two = (timeline.write(run, tmp_path / name) for name in ("a.json.gz", "b.json.gz"))
    assert one.read_bytes() == two.read_bytes()
    assert json.loads(gzip.decompress(one.read_bytes()))["traceEvents"] == trace


def test_half_of_it_is_never_there(run, tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(timeline, "_write", full)
    with pytest.raises(RequestError, match=r"--out: .*trace.json cannot be written: No space left"):
        timeline.write(run, tmp_path / "trace.json")
    assert list(tmp_path.iterdir()) == []
