# SPDX-License-Identifier: Apache-2.0
"""A run whose policies need the model's table keeps it: what befalls the cache later changes nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bridge.network import RequestError
from cosim.config import load
from cosim.errors import Diverged
from cosim.experiment import replay, resume, run, what_if
from cosim.networks.ns3_side import Ns3Place
from cosim.record.journal import FILE_NAME, Journal
from tests.support.calibrations import calibrate, keep_in
from tests.support.routing_traces import make_rows, write_rows
from tests.support.servers import fixed_server

POLICIES = ["substitute", "layer-weighted", "lookahead", "top-k"]
SETTINGS = ["radio.devices=4", "workload.requests=1", "workload.prompt_tokens=5", "workload.new_tokens=3"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        keep_in(folder, patch)
        yield folder


@pytest.fixture(scope="module")
def server():
    with fixed_server() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def settings(tiny_model, tmp_path_factory):
    text = tmp_path_factory.mktemp("text") / "text.txt"
    text.write_text("Call me Ishmael. Some years ago, never mind how long precisely. " * 20)
    return [*SETTINGS, "radio.scenario=fixed", f"model.path={tiny_model}", f"workload.text={text}"]


@pytest.fixture(scope="module")
def whole(kept, server, settings, tiny_model, tmp_path_factory) -> Path:
    """A finished run, whose table is gone from where it was found."""
    calibrate(tiny_model)
    folder = tmp_path_factory.mktemp("runs") / "whole"
    more = ["policy.substitute.eps=0.5", "policy.layer-weighted.skip=0.3", "policy.lookahead.loss_nats=0.1"]
    run(load(None, [*settings, *more], POLICIES), out=folder, at=Ns3Place(server))
    for file in kept.iterdir():
        file.unlink()
    return folder


def fingerprint(folder: Path) -> str:
    with closing(Journal.open(folder)) as journal:
        return journal.fingerprint()


def changed(whole: Path, folder: Path, *statements: str) -> Path:
    folder.mkdir()
    (folder / FILE_NAME).write_bytes((whole / FILE_NAME).read_bytes())
    with closing(sqlite3.connect(folder / FILE_NAME)) as db, db:
        for statement in statements:
            db.execute(statement)
    return folder


def test_these_policies_change_what_is_asked(whole):
    with closing(Journal.open(whole)) as journal:
        query = "SELECT sum(gate_experts <> chosen_experts) FROM routing GROUP BY variant ORDER BY variant"
        *changed, untouched = (count for (count,) in journal.rows(query))
    assert min(changed) > 0
    assert untouched == 0


def test_the_journal_has_the_table_and_which_variants_saw_it(whole):
    with closing(Journal.open(whole)) as journal:
        digest = journal.calibration().sha256
        sources = [found for (found,) in journal.rows("SELECT policy_sources FROM variants ORDER BY variant")]
    assert sources == [*3 * [f'{{"calibration": "{digest}"}}'], None]


def test_the_run_is_replayed_with_its_own_copy(whole):
    replay(whole)


@pytest.mark.parametrize("exchanges", [0, 4])
def test_a_run_that_was_killed_goes_on_with_its_own_copy(whole, server, tmp_path, exchanges):
    tables = ("exchanges", "transfers", "links", "channel", "tracks", "routing")
    cut = [f"DELETE FROM {table} WHERE variant > 1 OR exchange > {exchanges}" for table in tables]
    cut += [f"DELETE FROM {table} WHERE variant > 1" for table in ("variants", "devices")]
    cut += [f"DELETE FROM {table}" for table in ("tokens", "quality", "costs", "decisions", "events")]
    broken = changed(whole, tmp_path / "run", *cut, "DELETE FROM meta WHERE key = 'seal'")
    resume(broken, at=Ns3Place(server))
    assert fingerprint(broken) == fingerprint(whole)


def test_another_table_in_the_journal_is_found_out(whole, tmp_path):
    halved = "UPDATE meta SET value = replace(value, '\"tokens\":', '\"tokens\":1') WHERE key = 'calibration'"
    with pytest.raises(Diverged, match=r"meta\.calibration"):
        replay(changed(whole, tmp_path / "run", halved))


def test_without_a_table_nothing_begins(kept, whole, server, settings, tmp_path):
    config = load(None, settings, ["layer-weighted+substitute"])
    with pytest.raises(RequestError, match="layer-weighted, substitute: there is no calibration of the model; run cos"):
        run(config, out=tmp_path / "run", at=Ns3Place(server))
    assert not (tmp_path / "run").exists()


def test_recorded_routing_lacks_what_experts_put_out(kept, server, tmp_path):
    from model_side.calibrating.routing import of_trace
    from model_side.calibrating.store import save

    trace = write_rows(make_rows(), tmp_path / "trace.parquet")
    config = load(None, ["radio.scenario=fixed", "radio.devices=4", f"model.routing={trace}"], ["substitute"])
    with pytest.raises(
        RequestError, match=r"substitute: there is no calibration of made-up, which .*trace.parquet was"
    ):
        run(config, out=tmp_path / "run", at=Ns3Place(server))
    save(of_trace(trace))
    with pytest.raises(RequestError, match="substitute: the calibration is of recorded routing, which does not tell"):
        run(config, out=tmp_path / "run", at=Ns3Place(server))


def test_a_recording_of_the_shipped_model_has_its_table_and_a_what_if_the_runs(kept, ns3_server, tmp_path):
    from model_side.model.loading import SHIPPED_FOLDER
    from model_side.record_routing import main

    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"tokens": [5, 6, 7, 8, 9, 10, 11, 12]}\n')
    main([str(SHIPPED_FOLDER), str(prompts), str(tmp_path / "trace.parquet"), "--new-tokens", "2"])
    asked = ["radio.devices=4", f"model.routing={tmp_path / 'trace.parquet'}"]
    first, answer, other = (tmp_path / name for name in ("run", "answer", "other"))
    run(load(None, asked, ["substitute"], "wired"), out=first, at=Ns3Place(ns3_server))
    replay(first)
    what_if(first, policies=["layer-weighted"], out=answer)
    replay(answer)
    run(load(None, asked, ["top-k"], "wired"), out=tmp_path / "plain", at=Ns3Place(ns3_server))
    what_if(tmp_path / "plain", policies=["layer-weighted"], out=other)
    digests = set()
    for folder in (first, answer, other):
        with closing(Journal.open(folder)) as journal:
            digests.add(journal.calibration().sha256)
    assert len(digests) == 1
    with closing(Journal.open(tmp_path / "plain")) as journal:
        assert journal.calibration() is None


def test_a_policy_of_ones_own_sees_the_table(kept, server, settings, tiny_model, tmp_path):
    digest = calibrate(tiny_model)
    (tmp_path / "mine.py").write_text(
        "from model_side.policies import Policy\n\n\n"
        "class Popular(Policy):\n"
        '    """Only the popular ones."""\n\n'
        '    needs_calibration = "routing"\n\n'
        "    def __call__(self, layer):\n"
        "        popularity = layer.calibration.popularity[layer.number]\n"
        "        return layer.leave_out(popularity[layer.indices] > 0.1)\n"
    )
    run(load(None, settings, [f"{tmp_path / 'mine.py'}"]), out=tmp_path / "run", at=Ns3Place(server))
    replay(tmp_path / "run")
    with closing(Journal.open(tmp_path / "run")) as journal:
        assert journal.calibration().sha256 == digest
