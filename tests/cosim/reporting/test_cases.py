# SPDX-License-Identifier: Apache-2.0
"""What a report reads at once is what the summary reads row by row."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from bridge.network import RequestError
from cosim.record.journal import FILE_NAME, Journal
from cosim.reporting.cases import load
from cosim.results.summary import summarise
from model_side.selection import Phase
from tests.support.small_run import small_run


@pytest.mark.parametrize("of", ["run", "service"])
def test_the_columns_hold_what_the_summary_tells(of, request):
    run = request.getfixturevalue(of)
    data = load([run])
    for case, summary in zip(data.cases, summarise(run), strict=True):
        routing = case.routing
        assert (case.policy, case.network) == (summary.policy, summary.network)
        assert case.ttft_s == pytest.approx(summary.ttft_s)
        assert case.tpot_s == pytest.approx(summary.tpot_s)
        assert {phase for phase in Phase if len(case.layer_s(phase))} == {*summary.layer_s}
        for phase, layer_s in summary.layer_s.items():
            assert case.layer_s(phase) == pytest.approx(layer_s)
        assert sorted(case.prediction_errors) == pytest.approx(sorted(summary.prediction_errors))
        assert case.time_s == pytest.approx(summary.time_s)
        slots = summary.slots
        found = [len(routing.gate), routing.kept.sum(), routing.new.sum(), (~routing.kept).sum(), routing.late.sum()]
        assert found == [slots.own, slots.kept, slots.substituted, slots.left_out, slots.late]


def test_an_exchange_carries_the_rows_of_its_pass(service):
    case = load([service]).cases[0]
    carried = np.bincount(
        np.searchsorted(case.passes["exchange"], case.pass_rows["exchange"]), case.pass_rows["tokens"]
    )
    assert np.array_equal(carried[case.pass_of], case.exchanges["tokens"])
    at = int(carried.argmax())
    first = int(np.flatnonzero(case.pass_of == at)[0])
    count = int((case.pass_rows["exchange"] == case.passes["exchange"][at]).sum())
    assert count > 1
    assert case.whose(first) == f"{count} requests"


def test_the_device_that_ended_an_exchange_is_that_of_the_last_answer(run):
    case = load([run]).cases[0]
    with closing(Journal.open(run)) as journal:
        rows = journal.rows(
            "SELECT exchange, device FROM transfers t WHERE variant = 1 AND uplink_end_ns = (SELECT max(uplink_end_ns) "
            "FROM transfers o WHERE o.variant = 1 AND o.exchange = t.exchange) ORDER BY exchange, device"
        )
    by_hand: dict[int, set[int]] = {}
    for exchange, device in rows:
        by_hand.setdefault(exchange, set()).add(device)
    ended = dict(zip(case.exchanges["exchange"].astype(int).tolist(), case.ended_by, strict=True))
    assert by_hand.keys() == {exchange for exchange, device in ended.items() if not np.isnan(device)}
    assert all(ended[exchange] in devices for exchange, devices in by_hand.items())


def test_labels_tell_what_differs_but_for_the_seed(run, other):
    data = load([run, other])
    assert list(data.groups) == ["top-k", "weight-to-latency threshold=0.25", "weight-to-latency threshold=0.5"]
    assert [case.run.config["seed"] for case in data.groups["top-k"]] == [1, 2]


def test_an_option_whose_default_follows_from_the_model_is_called_so(other, tmp_path):
    data = load([other, small_run(tmp_path)])
    assert list(data.groups) == ["top-k", "weight-to-latency threshold=0.5", "weight-to-latency threshold=default"]


def test_what_several_runs_did_alike_counts_once_and_what_they_did_otherwise_is_told_apart(run, tmp_path):
    twin = small_run(tmp_path, "policy.weight-to-latency.threshold=0.5")
    assert [case.label for case in load([run, twin]).cases] == [
        "top-k",
        "weight-to-latency threshold=0.25",
        "weight-to-latency threshold=0.5",
    ]
    with closing(sqlite3.connect(twin / FILE_NAME)) as db:
        db.execute("UPDATE exchanges SET end_ns = end_ns + 1 WHERE variant = 1 AND exchange = 2")
        db.commit()
    assert [case.label for case in load([run, twin]).cases if case.policy == "top-k"] == ["top-k", "top-k [run]"]


def test_runs_that_cannot_be_shown_are_refused_by_name(run, tmp_path):
    with pytest.raises(RequestError, match="holds no journal"):
        load([tmp_path])
    with pytest.raises(RequestError, match="is named twice"):
        load([run, run / "."])
    whole = (run / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RequestError, match="damaged"):
        load([tmp_path])


def test_a_run_without_exchanges_is_refused(run, tmp_path):
    (tmp_path / FILE_NAME).write_bytes((run / FILE_NAME).read_bytes())
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        for table in ("tokens", "quality", "exchanges", "transfers", "links", "channel", "tracks", "routing"):
            db.execute(f"DELETE FROM {table}")
        db.commit()
    with pytest.raises(RequestError, match="no exchange recorded"):
        load([tmp_path])


def test_the_views_give_latencies_in_ms(run):
    case = load([run]).cases[0]
    with closing(sqlite3.connect(run / FILE_NAME)) as db:
        tokens = db.execute(
            "SELECT is_first, latency_ms FROM token_latency WHERE policy = 'top-k' ORDER BY request, position"
        ).fetchall()
        layers = db.execute(
            "SELECT latency_ms, last_device FROM layer_latency WHERE variant = 1 ORDER BY exchange"
        ).fetchall()
        parts = db.execute(
            "SELECT downlink_ms + compute_ms + uplink_ms FROM transfer_latency WHERE variant = 1"
        ).fetchall()
    assert [ms for first, ms in tokens if first] == pytest.approx(1e3 * case.ttft_s)
    assert [ms for first, ms in tokens if not first] == pytest.approx(1e3 * case.tpot_s)
    assert [ms for ms, _ in layers] == pytest.approx(1e3 * case.exchanges["latency_s"])
    ended = [np.nan if name is None else case.devices.index(name) for _, name in layers]
    assert np.array_equal(np.isnan(ended), np.isnan(case.ended_by))
    took_s = case.transfers["up_s"] - case.exchanges["depart_s"][case.transfers["at"].astype(int)]
    assert sorted(ms for (ms,) in parts) == pytest.approx(sorted(1e3 * took_s))


def test_when_and_by_which_command_is_recorded_and_no_part_of_the_fingerprint(run):
    with closing(Journal.open(run)) as journal:
        made = journal.rows("SELECT json_extract(value, '$.when'), json_extract(value, '$.command[0]') FROM meta "
                            "WHERE key = 'made'")  # fmt: skip
        assert "meta.made" not in journal.meta("seal")
    ((when, command),) = made
    assert when.startswith("20")
    assert when.endswith("+00:00")
    assert command
