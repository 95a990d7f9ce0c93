# SPDX-License-Identifier: Apache-2.0
"""`cosim eval` on networks that are there: what it prints, what its journal has, and that it goes on after a kill."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import cosim as library
from bridge.network import RequestError
from cosim.config import load
from cosim.record.journal import FILE_NAME, Journal
from cosim.results.intervals import wilson
from tests.support.command import said
from tests.support.cosim_process import cosim

QUIZ = [
    {"context": f"{a} and {b} are", "choices": [f" {a + b}", f" {a + b + 1}", " none"], "answer": 0, "subject": s}
    for a, b, s in ((1, 2, "small"), (3, 4, "small"), (5, 6, "large"))
]
SUMS = [{"context": "6 x 7 =", "answer": "42", "new_tokens": 3}, {"context": "2 x 2 =", "answer": "4", "new_tokens": 2}]
TALES = [{"text": "Once upon a time."}, {"text": "They lived happily ever after, it is said."}]


@pytest.fixture(scope="module")
def model(tiny_model, tmp_path_factory) -> Path:
    """The tiny model with a tokenizer that has an end token."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    shutil.copytree(tiny_model, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["eos_token"] = "\u0100"  # the byte 0, as byte-level vocabularies write it
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def asked(model, tmp_path_factory) -> list[object]:
    """Options of a small evaluation on three tasks."""
    folder = tmp_path_factory.mktemp("tasks")
    words: list[object] = ["--set", f"model.path={model}", "--set", "radio.devices=3", "--scenario", "wired"]
    for name, rows in (("quiz", QUIZ), ("sums", SUMS), ("tales", TALES)):
        (folder / f"{name}.jsonl").write_text("\r\n".join(map(json.dumps, rows)))
        words += ["--tasks", folder / f"{name}.jsonl"]
    return [*words, "--policy", "top-k", "--policy", "weight-to-latency"]


@pytest.fixture(scope="module")
def whole(asked, ns3_server, tmp_path_factory) -> "tuple[Path, str]":
    """A finished evaluation, and what it said."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    done = cosim("eval", "--out", folder, "--connect", ns3_server, *asked)
    assert (done.returncode, done.stderr) == (0, "")
    return folder, done.stdout


def fingerprint(run: Path) -> str:
    with closing(Journal.open(run)) as journal:
        return journal.fingerprint()


def test_it_prints_what_the_journal_has(whole):
    folder, output = whole
    with closing(Journal.open(folder)) as journal:
        right, items, there = journal.rows(
            "SELECT total(value), count(*), total(s.reference) FROM scores s JOIN items USING (variant, item) "
            "WHERE variant = 1 AND task = 'quiz' AND metric = 'acc'"
        )[0]
        nats, tokens = journal.rows(
            "SELECT total(CASE metric WHEN 'nll_nats' THEN value END), total(CASE metric WHEN 'tokens' THEN value END) "
            "FROM scores WHERE variant = 1"
        )[0]
        assert json.loads(journal.meta("tasks")).keys() == {"quiz", "sums", "tales"}
    value, low, high = (f"{100 * part:.1f}" for part in wilson(int(right), int(items)))
    assert (items, right) == (3, there)
    assert f"quiz, {items} items" in output
    assert f"{value} % [{low}, {high}]" in output
    assert f"{np.exp(nats / tokens):.2f} [" in output
    for words in ("exact match", "small (2)", "large (1)", "right here alone", "latency saved"):
        assert words in output
    first, second = library.summarise(folder)
    assert [task.task for task in first.scores] == ["quiz", "sums", "tales"]
    assert first.scores[0].whole.items == 3
    assert [task.request_s > 0 for task in second.scores] == [True] * 3


def test_the_latency_is_that_of_the_items_own_requests(whole):
    folder, _ = whole
    tokens = {}
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        for request, begin_ns, end_ns in db.execute("SELECT request, begin_ns, end_ns FROM tokens WHERE variant = 1"):
            tokens[request] = tokens.get(request, 0) + end_ns - begin_ns
        spans = db.execute("SELECT task, request, requests FROM items WHERE variant = 1 ORDER BY item").fetchall()
    assert [request for _, first, count in spans for request in range(first, first + count)] == sorted(tokens)
    for scores in library.summarise(folder)[0].scores:
        own = [tokens[at] for task, first, count in spans if task == scores.task for at in range(first, first + count)]
        assert scores.request_s == pytest.approx(np.mean(own) / 1e9)


def test_show_prints_the_scores_too_and_a_replay_finds_all_of_it(whole):
    folder, output = whole
    table = output[output.index("quiz, 3 items") : output.index("journal:")]
    assert table.split("┃")[0] in cosim("show", folder).stdout
    assert cosim("replay", folder).returncode == 0


def test_a_changed_task_file_is_noticed(whole, asked, tmp_path):
    folder, _ = whole
    file = next(word for word in asked if str(word).endswith("quiz.jsonl"))
    before = file.read_bytes()
    file.write_bytes(before + b"\r\n")
    try:
        done = cosim("replay", folder)
    finally:
        file.write_bytes(before)
    assert (done.returncode, "meta, key tasks: recorded was" in done.stderr) == (1, True)


def test_killed_in_the_middle_it_goes_on_and_ends_with_the_same_journal(whole, asked, ns3_server, tmp_path):
    folder = tmp_path / "killed"
    options = [str(word) for word in ("--out", folder, "--connect", ns3_server, *asked)]
    with subprocess.Popen(
        [sys.executable, "-m", "cosim.cli", "eval", *options], stdout=subprocess.PIPE, text=True
    ) as process:
        next(line for line in process.stdout if "virtual time" in line)
        process.send_signal(signal.SIGKILL)
    with closing(Journal.open(folder)) as journal:
        assert not journal.is_finished()
        assert not journal.is_empty()
    done = cosim("eval", "--or-resume", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert fingerprint(folder) == fingerprint(whole[0])
    again = cosim("eval", "--or-resume", *options)
    assert (again.returncode, "quiz, 3 items" in again.stdout) == (0, True)


@pytest.mark.parametrize("exchanges", [4, 30])
def test_cut_anywhere_it_ends_with_the_same_journal(whole, ns3_server, tmp_path, exchanges):
    """What a kill leaves: a beginning of the record, items as far as their tokens came."""
    run = tmp_path / "cut"
    run.mkdir()
    with closing(sqlite3.connect(run / FILE_NAME)) as db, closing(sqlite3.connect(whole[0] / FILE_NAME)) as source:
        source.backup(db)
        request = db.execute("SELECT request FROM exchanges WHERE exchange = ?", [exchanges]).fetchone()[0]
        with db:
            for table in ("exchanges", "transfers", "links", "routing", "channel", "tracks"):
                db.execute(f"DELETE FROM {table} WHERE variant > 1 OR exchange > ?", [exchanges])
            db.execute("DELETE FROM tokens WHERE variant > 1 OR request >= ?", [request])
            gone = "variant > 1 OR item IN (SELECT item FROM items WHERE request + requests > ?)"
            db.execute(f"DELETE FROM scores WHERE {gone}", [request])
            db.execute("DELETE FROM items WHERE variant > 1 OR request + requests > ?", [request])
            for table in ("variants", "devices"):
                db.execute(f"DELETE FROM {table} WHERE variant > 1")
            for table in ("costs", "decisions", "events"):
                db.execute(f"DELETE FROM {table}")
            db.execute("DELETE FROM meta WHERE key = 'seal'")
    done = cosim("resume", run, "--connect", ns3_server)
    assert (done.returncode, done.stderr) == (0, "")
    assert fingerprint(run) == fingerprint(whole[0])


def test_a_what_if_scores_the_items_again(whole, tmp_path):
    done = cosim(
        "replay", whole[0], "--policy", "weight-to-latency", "--set", "quality=false", "--out", tmp_path / "new"
    )
    assert (done.returncode, done.stderr) == (0, "")
    (variant,) = library.summarise(tmp_path / "new")
    assert [task.whole.items for task in variant.scores] == [3, 2, 2]
    assert all(measure.there is None for task in variant.scores for measure in task.whole.measures.values())


def test_the_routing_of_an_evaluation_can_be_replayed(whole, tmp_path, ns3_server):
    assert cosim("routing", whole[0], tmp_path / "routing.parquet").returncode == 0
    settings = [f"model.routing={tmp_path / 'routing.parquet'}", "workload.requests=3", "radio.devices=3"]
    options = [word for setting in settings for word in ("--set", setting)]
    done = cosim("run", *options, "--scenario", "wired", "--connect", ns3_server, "--out", tmp_path / "run")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tasks", "nothing.jsonl"], "workload.tasks: nothing.jsonl: nothing.jsonl is neither a file nor one of"),
        (["--tasks", "cloze", "--lm-eval", "arc_easy"], "workload.lm_eval: asks the harness's tasks"),
        (["--set", "workload.requests=5"], "workload.requests: says what is asked, as the tasks do"),
        (["--set", "model.routing=x.parquet"], "workload.tasks: says how a model runs, but model.routing"),
        (["--or-resume"], "--or-resume: needs --out"),
        (["--set", "workload.tasks=[]", "--items", "3"], "workload.items: counts the items of tasks"),
    ],
)
def test_what_cannot_be_is_refused_by_name(words, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, text = said(["eval", *words], monkeypatch, capsys)
    assert (code, text.startswith(f"cosim: {message}")) == (2, True), text
    assert not list(tmp_path.iterdir())


def test_a_wrong_item_is_refused_before_anything_is_loaded(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("quiz.jsonl").write_text(json.dumps(QUIZ[0]) + "\n" + json.dumps({**QUIZ[1], "choices": [" 7", ""]}))
    code, text = said(["eval", "--tasks", "quiz.jsonl"], monkeypatch, capsys)
    assert (code, text) == (2, "cosim: workload.tasks: quiz.jsonl:2: choices[1]: is empty\n")
    assert [file.name for file in tmp_path.iterdir()] == ["quiz.jsonl"]


def test_without_tasks_the_shipped_ones_are_asked(tmp_path):
    from cosim.evaluation.evaluating import with_tasks

    shipped = load(None, with_tasks(None, (), (), None)).workload.tasks
    assert shipped == ["cloze", "held-out"]
    (tmp_path / "c.toml").write_text('workload.tasks = ["cloze"]')
    assert load(tmp_path / "c.toml", with_tasks(tmp_path / "c.toml", (), (), None)).workload.tasks == ["cloze"]
    (tmp_path / "c.toml").write_text("seed = 3")
    assert load(tmp_path / "c.toml", with_tasks(tmp_path / "c.toml", (), (), None)).workload.tasks == shipped
    with pytest.raises(RequestError, match="counts the items"):
        load(None, ["workload.items=3"])
