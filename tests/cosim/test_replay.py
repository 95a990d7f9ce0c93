# SPDX-License-Identifier: Apache-2.0
"""Exact replay and resume: what is done again is held against the journal, and a broken run becomes a whole one."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bridge.network import RequestError
from cosim.config import load
from cosim.errors import Diverged
from cosim.record.journal import FILE_NAME, Journal
from tests.support.calibrations import calibrate, keep_in
from tests.support.cosim_process import cosim
from tests.support.servers import fixed_server

TABLES_OF_AN_EXCHANGE = ("exchanges", "transfers", "links", "routing")
LAYERS, REQUESTS, NEW_TOKENS = 3, 2, 3
EXCHANGES = LAYERS * REQUESTS * NEW_TOKENS


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with fixed_server() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def whole(server, tiny_model, tmp_path_factory) -> Path:
    """A finished run of two policies."""
    from cosim.experiment import run
    from cosim.networks.ns3_side import Ns3Place

    folder = tmp_path_factory.mktemp("runs")
    text = folder / "text.txt"
    text.write_text("All this happened, more or less. The war parts, anyway, are pretty much true. " * 20)
    sizes = {"requests": REQUESTS, "prompt_tokens": 5, "new_tokens": NEW_TOKENS, "text": text}
    settings = [f"workload.{key}={value}" for key, value in sizes.items()]
    settings += ["radio.scenario=fixed", "radio.devices=4", f"model.path={tiny_model}"]
    run(load(None, settings, ["top-k", "weight-to-latency"]), out=folder / "whole", at=Ns3Place(server))
    return folder / "whole"


def copied(run: Path, folder: Path) -> sqlite3.Connection:
    """A copy of the journal in a folder of its own, open for changes."""
    folder.mkdir()
    shutil.copy(run / FILE_NAME, folder)
    return sqlite3.connect(folder / FILE_NAME)


def cut(run: Path, folder: Path, exchanges: int) -> None:
    """What is on disk of a run that was killed behind so many exchanges."""
    variant, left = (1, exchanges) if exchanges < EXCHANGES else (2, exchanges - EXCHANGES)
    with closing(copied(run, folder)) as db, db:
        for table in TABLES_OF_AN_EXCHANGE:
            db.execute(
                f"DELETE FROM {table} WHERE variant > ? OR variant = ? AND exchange > ?", [variant, variant, left]
            )
        tokens = left // LAYERS
        db.execute("DELETE FROM tokens WHERE variant > ?", [variant])
        db.execute(
            "DELETE FROM tokens WHERE variant = ? AND (request, position) NOT IN (SELECT request, position FROM tokens "
            "WHERE variant = ? ORDER BY request, position LIMIT ?)",
            [variant, variant, tokens],
        )
        for table in ("variants", "devices"):
            db.execute(f"DELETE FROM {table} WHERE variant > ?", [variant])
        for table in ("quality", "costs", "decisions"):
            db.execute(f"DELETE FROM {table} WHERE variant >= ?", [variant])
        db.execute("DELETE FROM events")


def fingerprint(run: Path) -> str:
    with closing(Journal.open(run)) as journal:
        return journal.fingerprint()


def test_a_replay_of_what_was_recorded_finds_no_difference(whole):
    from cosim.experiment import replay

    before = (whole / FILE_NAME).read_bytes()
    replay(whole)
    assert (whole / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE transfers SET downlink_bytes = 1 WHERE exchange = 4", "exchange 4: asked otherwise: transfers was"),
        ("UPDATE exchanges SET depart_ns = 1 WHERE variant = 2 AND exchange = 7", "exchange 7: .* depart_ns was 1, is"),
        ("UPDATE exchanges SET end_ns = end_ns + 5 WHERE exchange = 8", "variant 1, exchange 9: .* depart_ns was"),
        ("UPDATE tokens SET token = 300 WHERE variant = 2", "tokens, variant 2, request 0, position 5: token differs"),
        ("UPDATE quality SET value = value + 1 WHERE metric = 'kl_nats'", "quality, .*metric kl_nats: value differs"),
        ("UPDATE routing SET gate_weights = zeroblob(40) WHERE exchange = 2", "exchange 2: gate_weights differs"),
        ("DELETE FROM exchanges WHERE variant = 1 AND exchange = 18", "exchange 18: the record ends before it"),
        ("DELETE FROM tokens WHERE variant = 1 AND request = 1", "tokens, variant 1, request 1.*was not recorded"),
        ("DELETE FROM variants WHERE variant = 2", "variant 2 was never recorded"),
    ],
)
def test_a_replay_names_the_first_difference(whole, tmp_path, change, words):
    from cosim.experiment import replay

    with closing(copied(whole, tmp_path / "run")) as db, db:
        db.execute(change)
    with pytest.raises(Diverged, match=words):
        replay(tmp_path / "run")


@pytest.mark.parametrize(
    "scenario", ["lte", "lte-multicell", "mixed", "nr", "nr-multicell", "recorded", "wifi", "wired"]
)
def test_every_built_in_scenario_and_policy_replays(scenario, ns3_server, tiny_model, tmp_path, monkeypatch):
    from cosim.experiment import replay, run
    from cosim.networks.ns3_side import Ns3Place
    from model_side.policies import POLICIES

    text = tmp_path / "text.txt"
    text.write_text("You don't know about me without you have read a book by the name of Tom Sawyer. " * 20)
    sizes = {"requests": 1, "prompt_tokens": 6, "new_tokens": 3, "text": text}
    settings = [f"workload.{key}={value}" for key, value in sizes.items()] + [f"model.path={tiny_model}"]
    folder = tmp_path / "run"
    shared = ["min-max"] if scenario in ("lte", "lte-multicell") else []
    live = [name for name, kind in POLICIES.items() if not kind.foresees]
    policies = live if scenario == "nr" else ["top-k", "weight-to-latency", *shared]
    keep_in(tmp_path / "kept", monkeypatch)
    calibrate(tiny_model)
    run(load(None, settings, policies, scenario), out=folder, at=Ns3Place(ns3_server))
    replay(folder)
    with closing(sqlite3.connect(folder / FILE_NAME)) as db, db:
        db.execute("UPDATE transfers SET uplink_bytes = uplink_bytes + 1 WHERE exchange = 5 AND variant = 2")
    with pytest.raises(Diverged, match="variant 2, exchange 5"):
        replay(folder)


def test_all_built_in_scenarios_are_replayed():
    from ns3_scenarios.scenarios import SCENARIOS

    (marks,) = test_every_built_in_scenario_and_policy_replays.pytestmark
    assert sorted(marks.args[1]) == sorted(
        name for name, kind in SCENARIOS.items() if kind.__module__.startswith("ns3_scenarios.")
    )


@pytest.mark.parametrize("exchanges", [0, 1, LAYERS, LAYERS * NEW_TOKENS + 1, EXCHANGES, EXCHANGES + 7, 2 * EXCHANGES])
def test_a_broken_run_that_is_resumed_is_a_whole_one(whole, server, tmp_path, exchanges):
    from cosim.experiment import resume
    from cosim.networks.ns3_side import Ns3Place

    cut(whole, tmp_path / "run", exchanges)
    assert fingerprint(tmp_path / "run") != fingerprint(whole)
    resume(tmp_path / "run", at=Ns3Place(server))
    assert fingerprint(tmp_path / "run") == fingerprint(whole)
    with pytest.raises(RequestError, match="nothing to resume"):
        resume(tmp_path / "run", at=Ns3Place(server))


def test_a_run_that_was_killed_before_its_last_word_needs_nothing_more(whole, server, tmp_path):
    from cosim.experiment import resume
    from cosim.networks.ns3_side import Ns3Place

    with closing(copied(whole, tmp_path / "run")) as db, db:
        db.execute("DELETE FROM events")
    resume(tmp_path / "run", at=Ns3Place(server))
    with closing(Journal.open(tmp_path / "run")) as journal:
        assert journal.is_finished()
        assert journal.fingerprint() == fingerprint(whole)


def test_a_network_that_does_not_repeat_the_record_is_named(whole, server, tmp_path):
    from cosim.experiment import resume
    from cosim.networks.ns3_side import Ns3Place

    cut(whole, tmp_path / "run", 5)
    with closing(sqlite3.connect(tmp_path / "run" / FILE_NAME)) as db, db:
        db.execute("UPDATE links SET cqi = 3 WHERE exchange = 3")  # at which no prediction looks
    with pytest.raises(Diverged, match="variant 1, exchange 3: ns-3 does not repeat the record"):
        resume(tmp_path / "run", at=Ns3Place(server))


def test_another_network_than_the_recorded_one_is_refused_by_what_changed(whole, server, tmp_path):
    from cosim.experiment import resume
    from cosim.networks.ns3_side import Ns3Place

    cut(whole, tmp_path / "run", 5)
    with closing(sqlite3.connect(tmp_path / "run" / FILE_NAME)) as db, db:
        db.execute("""UPDATE variants SET versions = '{"fixed": "0"}'""")
    with pytest.raises(Diverged, match=r"not the recorded one: versions\.fixed was '0', is '1'"):
        resume(tmp_path / "run", at=Ns3Place(server))


def test_a_run_of_other_versions_is_not_resumed(whole, server, tmp_path):
    from cosim.experiment import resume
    from cosim.networks.ns3_side import Ns3Place

    cut(whole, tmp_path / "run", 5)
    with closing(sqlite3.connect(tmp_path / "run" / FILE_NAME)) as db, db:
        db.execute("UPDATE meta SET value = replace(value, '\"torch\": \"', '\"torch\": \"0.') WHERE key = 'versions'")
    with pytest.raises(RequestError, match=r"made with torch 0\.\d.* \(here \d.*same versions"):
        resume(tmp_path / "run", at=Ns3Place(server))


def test_a_journal_has_one_writer(whole, tmp_path):
    cut(whole, tmp_path / "run", 5)
    with closing(Journal.reopen(tmp_path / "run")), pytest.raises(RequestError, match="written by another process"):
        Journal.reopen(tmp_path / "run")
    Journal.reopen(tmp_path / "run").close()


def test_the_commands_say_what_they_found(whole, server, tmp_path):
    done = cosim("replay", whole)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"as recorded: {2 * EXCHANGES} exchanges, {2 * REQUESTS * NEW_TOKENS} tokens" in done.stdout
    cut(whole, tmp_path / "run", 11)
    done = cosim("resume", tmp_path / "run", "--connect", server)
    assert (done.returncode, done.stderr) == (0, "")
    assert "caught up: 11 recorded exchanges" in done.stdout
    assert fingerprint(whole)[:16] in done.stdout
    with closing(sqlite3.connect(tmp_path / "run" / FILE_NAME)) as db, db:
        db.execute("UPDATE tokens SET token = 300")
    done = cosim("replay", tmp_path / "run")
    assert (done.returncode, "token differs: recorded was 300" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr
    assert cosim("resume", tmp_path).returncode == 2


def test_a_full_disk_loses_nothing(whole, server, tmp_path):
    """A limit on the size of files stands for it: SQLite learns of both in a write that fails."""
    cut(whole, tmp_path / "run", 1)
    size = (tmp_path / "run" / FILE_NAME).stat().st_size
    done = cosim(
        "resume",
        tmp_path / "run",
        "--connect",
        server,
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size // 2, size // 2)),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 1, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert cosim("show", tmp_path / "run").returncode == 0
    done = cosim("resume", tmp_path / "run", "--connect", server)
    assert (done.returncode, done.stderr) == (0, "")
    assert fingerprint(tmp_path / "run") == fingerprint(whole)


@pytest.mark.parametrize(("scenario", "policy", "its_own"), [("nr", "top-k", True), ("lte", "top-k+min-max", False)])
def test_a_killed_run_is_resumed_on_real_ns3(tiny_model, ns3_server, tmp_path, scenario, policy, its_own):
    """With a process of its own for ns-3, and on one that goes on meanwhile."""
    elsewhere = ("--connect", ns3_server)
    here = () if its_own else elsewhere
    text = tmp_path / "text.txt"
    text.write_text("It was a bright cold day in April, and the clocks were striking thirteen. " * 20)
    settings = [f"model.path={tiny_model}", f"workload.text={text}", "workload.requests=2", "workload.prompt_tokens=9"]
    settings += [f"radio.scenario={scenario}", "radio.devices=3"]
    arguments = ["--policy", policy, *(word for setting in settings for word in ("--set", setting))]
    assert cosim("run", "--out", tmp_path / "whole", *elsewhere, *arguments).returncode == 0
    command = [sys.executable, "-m", "cosim.cli", "run", "--out", str(tmp_path / "killed"), *here, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        next(line for line in process.stdout if "virtual time" in line)
        process.send_signal(signal.SIGKILL)
    done = cosim("resume", tmp_path / "killed", *here)
    assert (done.returncode, done.stderr) == (0, "")
    assert fingerprint(tmp_path / "killed") == fingerprint(tmp_path / "whole")
    assert cosim("replay", tmp_path / "killed").returncode == 0
