# SPDX-License-Identifier: Apache-2.0
"""What a policy remembers is a function of what it was shown: killed in the middle, it goes on as it would have."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cosim.config import load
from cosim.experiment import replay, resume, run
from cosim.networks.ns3_side import Ns3Place
from cosim.record.journal import FILE_NAME, Journal
from model_side.policies import POLICIES
from tests.support.calibrations import calibrate, keep_in

SIZES = ["radio.devices=4", "workload.requests=2", "workload.prompt_tokens=6", "workload.new_tokens=3", "quality=false"]
NAMES = [name for name, kind in POLICIES.items() if not (kind.allocates or kind.foresees)]
"""Those that give shares keep no state, and this network takes none; what foresees is of what-ifs."""


@pytest.fixture(scope="module")
def settings(tiny_model, tmp_path_factory):
    place = tmp_path_factory.mktemp("resumed")
    (place / "text.txt").write_text("Call me Ishmael. Some years ago, never mind how long precisely. " * 20)
    with pytest.MonkeyPatch.context() as patch:
        keep_in(place, patch)
        calibrate(tiny_model)
        yield [*SIZES, "radio.scenario=fixed", f"model.path={tiny_model}", f"workload.text={place / 'text.txt'}"]


@pytest.mark.parametrize("name", NAMES)
def test_killed_in_the_middle_it_goes_on_as_it_would_have(name, fixed_server, settings, tmp_path):
    place = Ns3Place(fixed_server)
    run(load(None, settings, [f"{name}+top-n"]), out=tmp_path / "run", at=place)
    whole = fingerprint(tmp_path / "run")
    kill_in_the_middle(tmp_path / "run")
    resume(tmp_path / "run", at=place)
    assert fingerprint(tmp_path / "run") == whole
    replay(tmp_path / "run")


def fingerprint(folder: Path) -> str:
    with closing(Journal.open(folder)) as journal:
        return journal.fingerprint()


def kill_in_the_middle(folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as db, db:
        ((half,),) = db.execute("SELECT max(exchange) / 2 FROM exchanges")
        for table in ("exchanges", "transfers", "links", "channel", "tracks", "routing"):
            db.execute(f"DELETE FROM {table} WHERE exchange > {half}")
        for table in ("tokens", "quality", "costs", "decisions", "events"):
            db.execute(f"DELETE FROM {table}")
        db.execute("DELETE FROM meta WHERE key = 'seal'")
