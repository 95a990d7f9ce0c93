# SPDX-License-Identifier: Apache-2.0
"""Runs in which many requests are served at once: of recorded routing, over a network of closed form."""

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.network import NS_PER_S, Outcome, RequestError
from cosim import config, experiment
from cosim.record.journal import FILE_NAME, Journal
from cosim.screen.display import Silence
from cosim.service import room_bytes, scheduler_of
from model_side.shapes import ModelShape
from tests.support.routing_traces import make_rows, write_rows
from tests.support.small_run import ChannelNetwork, Side

LAYERS, REQUESTS, PROMPT, NEW = 3, 6, 5, 4


@pytest.fixture(autouse=True)
def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosim.experiment.Ns3Side", Side)
    monkeypatch.setattr("cosim.experiment.check_scenario", lambda asked: None)  # ns-3 knows no such one


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(make_rows(REQUESTS, PROMPT, NEW), tmp_path_factory.mktemp("trace") / "trace.parquet")


def asked(trace: Path, *settings: str, policies: list[str] | None = None) -> config.Config:
    plain = [f"model.routing={trace}", f"workload.requests={REQUESTS}", "radio.scenario=fixed"]
    return config.load(None, [*plain, *settings], policies or ["top-k"])


def rows(run: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(run / FILE_NAME)) as db:
        return db.execute(query).fetchall()


def test_one_request_at_a_time_is_the_batch_of_one(trace, tmp_path):
    """To the nanosecond, and in every other table."""
    before = experiment.run(asked(trace, policies=["random"]), out=tmp_path / "one-by-one")
    settings = ["arrivals.process=offline", "service.requests=1"]
    batch = experiment.run(asked(trace, *settings, policies=["random"]), out=tmp_path / "batch")
    for table in ("variants", "devices", "exchanges", "transfers", "links", "channel", "routing", "tokens", "quality"):
        query = f"SELECT * FROM {table}"
        assert rows(before, query) == rows(batch, query), table
    assert rows(before, "SELECT request FROM requests UNION ALL SELECT exchange FROM passes") == []
    passes = rows(batch, "SELECT exchange, begin_ns, end_ns, waiting FROM passes")
    tokens = rows(batch, "SELECT begin_ns, end_ns FROM tokens")
    assert [row[1:3] for row in passes] == tokens
    assert [row[0] for row in passes] == list(range(1, LAYERS * REQUESTS * NEW, LAYERS))
    assert [row[3] for row in passes] == [waiting for waiting in range(REQUESTS - 1, -1, -1) for _ in range(NEW)]


def test_one_exchange_carries_the_tokens_of_many_requests(trace, tmp_path):
    run = experiment.run(asked(trace, "arrivals.process=offline", "service.chunk_tokens=12"), out=tmp_path / "run")
    passes = rows(run, "SELECT exchange, request, phase, position, tokens FROM pass_rows ORDER BY exchange, row")
    first = [row[1:] for row in passes if row[0] == 1]
    assert first == [(0, "prefill", 0, 5), (1, "prefill", 0, 5), (2, "prefill", 0, 2)]
    second = [row[1:] for row in passes if row[0] == 1 + LAYERS]
    assert second == [
        (0, "decode", 5, 1),
        (1, "decode", 5, 1),
        (2, "prefill", 2, 3),
        (3, "prefill", 0, 5),
        (4, "prefill", 0, 4),
    ]
    exchanges = rows(run, "SELECT exchange, phase, tokens FROM exchanges WHERE layer = 0 ORDER BY exchange")
    assert exchanges[:2] == [(1, "prefill", 12), (1 + LAYERS, "mixed", 14)]
    given = rows(run, "SELECT request, position, token FROM tokens")
    one_by_one = experiment.run(asked(trace), out=tmp_path / "one-by-one")
    assert given == rows(one_by_one, "SELECT request, position, token FROM tokens")
    for query in ("SELECT sum(tokens) FROM exchanges", "SELECT sum(length(gate_experts)) FROM routing"):
        assert rows(run, query) == rows(one_by_one, query)
    took_ns = [row[0] for run in (run, one_by_one) for row in rows(run, "SELECT max(end_ns) FROM tokens")]
    assert took_ns[0] < took_ns[1]


class Leaving(ChannelNetwork):
    """Its device 1 leaves for good in the midst of a batch."""

    LAST = 7
    """The exchange behind which it is gone."""

    def exchange(self, *given: Any) -> Outcome:
        self._dead = 1 if self.exchanges >= self.LAST else None
        return super().exchange(*given)


def test_a_device_that_leaves_in_the_midst_of_a_batch_ends_no_request_of_it(trace, tmp_path, monkeypatch):
    whole = experiment.run(asked(trace, "arrivals.process=offline"), out=tmp_path / "whole")
    monkeypatch.setattr(Side, "open", lambda self, name: Leaving())
    run = experiment.run(asked(trace, "arrivals.process=offline", "exchange.deadline_s=1"), out=tmp_path / "run")
    statuses = rows(run, "SELECT exchange, status FROM transfers WHERE device = 1 ORDER BY exchange")
    assert {status for number, status in statuses if number <= Leaving.LAST} == {"done"}
    assert "unreachable" in {status for number, status in statuses if number > Leaving.LAST}
    assert {status for (status,) in rows(run, "SELECT status FROM transfers WHERE device <> 1")} == {"done"}
    for query in (
        "SELECT request, ending FROM requests",
        "SELECT * FROM pass_rows",
        "SELECT request, position FROM tokens",
    ):
        assert rows(run, query) == rows(whole, query)
    assert {ending for (ending,) in rows(run, "SELECT ending FROM requests")} == {"done"}


def test_requests_that_arrive_are_told_apart_by_how_they_end(trace, tmp_path):
    settings = ["arrivals.process=gamma", "arrivals.rate_per_s=40", "service.requests=1", "service.queue=2"]
    run = experiment.run(asked(trace, *settings, "service.timeout_s=0.15"), out=tmp_path / "run")
    requests = rows(run, "SELECT request, arrival_ns, admitted_ns, end_ns, ending FROM requests")
    assert [row[0] for row in requests] == list(range(REQUESTS))
    assert {row[4] for row in requests} == {"done", "queue-full", "timed-out"}
    for _, arrival_ns, admitted_ns, end_ns, ending in requests:
        assert (admitted_ns is None) >= (ending == "queue-full")
        assert (ending == "done") <= (end_ns - arrival_ns <= 0.15 * NS_PER_S)
    with closing(Journal.open(run)) as journal:  # which looks at all of it
        assert journal.is_finished()


def killed(config: config.Config, folder: Path) -> Path:
    """A run that ended at its 20th exchange."""

    class Killed(Exception):
        pass

    def killing(self: Journal, variant: int, number: int, *given: Any) -> None:
        if number == 20:
            raise Killed
        add(self, variant, number, *given)

    add = Journal.add_exchange
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "add_exchange", killing)
        with pytest.raises(Killed):
            experiment.run(config, out=folder)
    return folder


def test_it_is_replayed_exactly_and_resumed_to_the_same_journal(trace, tmp_path):
    settings = ["arrivals.process=poisson", "arrivals.rate_per_s=30", "arrivals.patience_s=1", "service.chunk_tokens=3"]
    whole = experiment.run(asked(trace, *settings), out=tmp_path / "whole")
    experiment.replay(whole)
    experiment.resume(killed(asked(trace, *settings), tmp_path / "killed"))
    with closing(Journal.open(whole)) as one, closing(Journal.open(tmp_path / "killed")) as other:
        assert one.fingerprint() == other.fingerprint()
    with sqlite3.connect(whole / FILE_NAME) as db:
        db.execute("UPDATE requests SET end_ns = end_ns + 1 WHERE request = 2")
    with pytest.raises(experiment.Diverged, match="requests"):
        experiment.replay(whole)


class Counting(Silence):
    """What a display is told of tokens."""

    asked = came = 0

    def begin(self, *told: Any) -> None:
        self.asked = told[-1]

    def given(self, tokens: int) -> None:
        self.came += tokens


def test_a_display_is_told_of_each_token_that_users_ask_for(trace, tmp_path):
    """Also of those that nobody waits for any longer; and of none where requests are served one by one."""
    settings = ["arrivals.process=gamma", "arrivals.rate_per_s=40", "service.requests=1", "service.queue=2"]
    display = Counting()
    experiment.run(asked(trace, *settings, "service.timeout_s=0.15"), out=tmp_path / "run", display=display)
    assert (display.asked, display.came) == (REQUESTS * NEW, REQUESTS * NEW)
    one_by_one = Counting()
    experiment.run(asked(trace), out=tmp_path / "one-by-one", display=one_by_one)
    assert (one_by_one.asked, one_by_one.came) == (0, 0)


def test_another_seed_of_arrivals_changes_when_they_come_and_no_gate(trace, tmp_path):
    runs = [
        experiment.run(asked(trace, "arrivals.process=poisson", *seeds), out=tmp_path / str(number))
        for number, seeds in enumerate(([], ["seeds.arrivals=2"]))
    ]
    arrivals = [rows(run, "SELECT arrival_ns FROM requests") for run in runs]
    assert arrivals[0] != arrivals[1]
    assert rows(runs[0], "SELECT request, token FROM tokens") == rows(runs[1], "SELECT request, token FROM tokens")


def test_recorded_arrivals(trace, tmp_path):
    times = [0, 0, 0.5, 1, 1, 1]
    path = tmp_path / "arrivals.csv"
    path.write_text("time_s,prompt_tokens,new_tokens\n" + "".join(f"{at_s},9,9\n" for at_s in times))
    run = experiment.run(asked(trace, "arrivals.process=trace", f"arrivals.trace={path}"), out=tmp_path / "run")
    found = rows(run, "SELECT arrival_ns, prompt_tokens, new_tokens FROM requests")
    assert found == [(round(at_s * NS_PER_S), PROMPT, NEW) for at_s in times]  # a recording has lengths of its own
    stopped = killed(asked(trace, "arrivals.process=trace", f"arrivals.trace={path}"), tmp_path / "killed")
    before = path.read_bytes()
    path.write_bytes(before.replace(b"\n0.5,", b"\n0.6,"))
    for again, folder in ((experiment.replay, run), (experiment.resume, stopped)):
        with pytest.raises(RequestError, match=f"has changed .* was {hashlib.sha256(before).hexdigest()}") as refused:
            again(folder)
        assert refused.value.field == "arrivals.trace"
    path.write_bytes(before)
    experiment.replay(run)
    experiment.resume(stopped)
    path.write_text("time_s,prompt_tokens,new_tokens\n1,9,9\n0,9,9\n")
    with pytest.raises(RequestError, match=r"arrivals\.csv:3"):
        experiment.run(asked(trace, "arrivals.process=trace", f"arrivals.trace={path}"), out=tmp_path / "refused")
    path.write_text("time_s,prompt_tokens,new_tokens\n1,9,9\n")
    with pytest.raises(RequestError, match="6 is more than the 1 requests of"):
        experiment.run(asked(trace, "arrivals.process=trace", f"arrivals.trace={path}"), out=tmp_path / "refused")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (["service.requests=4"], "service.requests"),
        (["arrivals.rate_per_s=2"], "arrivals.rate_per_s"),
        (["arrivals.process=offline", "arrivals.rate_per_s=2"], "arrivals.rate_per_s"),
        (["arrivals.process=poisson", "arrivals.variation=3"], "arrivals.variation"),
        (["arrivals.process=trace"], "arrivals.trace"),
        (["arrivals.process=poisson", "arrivals.trace=t.csv"], "arrivals.trace"),
        (["arrivals.process=poisson", 'workload.tasks=["arithmetic"]'], "workload.tasks"),
        (["arrivals.process=poisson", "model.experts=disk"], "model.experts"),
        (["arrivals.process=poisson", "model.baseline=dense"], "model.baseline"),
        (["arrivals.process=poison"], "arrivals.process"),
        (["arrivals.process=poisson", "arrivals.rate_per_s=0"], "arrivals.rate_per_s"),
        (["arrivals.process=trace", "arrivals.trace=t.csv", "workload.new_tokens=3"], "workload.new_tokens"),
    ],
)
def test_what_has_no_meaning_is_refused_by_its_field(settings, field):
    with pytest.raises(RequestError) as refused:
        config.load(None, settings)
    assert refused.value.field == field


def test_the_cache_has_what_the_weights_leave_of_the_base_stations_memory(trace):
    """Weights by hand: attention, router and both ends of the vocabulary, 16 bits each; L4 has 24 GiB."""
    of = ModelShape(hidden=4096, intermediate=1, heads=32, kv_heads=8, head_dim=128, vocab=32000, element_bytes=2,
                    decoder_layers=10, moe_layers=tuple(range(10)), experts=8, top_k=2)  # fmt: skip
    weights = 10 * (2 * 4096 * 128 * (32 + 8) + 8 * 4096) + 2 * 32000 * 4096
    offline = "arrivals.process=offline"
    assert room_bytes(asked(trace, offline), of) == 24 * 2**30 - 2 * weights
    scheduler = scheduler_of(asked(trace, offline, "model.wire_profile=own"), of)
    assert scheduler.rules.cache_bytes == 24 * 2**30 - 2 * weights
    assert scheduler.bytes_of(7) == 7 * 10 * 2 * 8 * 128 * 2
    with pytest.raises(RequestError, match="the weights that stay there take") as refused:
        room_bytes(asked(trace, offline), replace(of, decoder_layers=400))
    assert refused.value.field == "service.cache_bytes"
