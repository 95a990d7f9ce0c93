# SPDX-License-Identifier: Apache-2.0
"""The journal of a what-if is written in batches, and is what it would be without."""

from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from cosim import config
from cosim.experiment import run, what_if
from cosim.networks.ns3_side import Ns3Place
from cosim.record import journal as journal_module
from cosim.record.journal import Journal
from cosim.screen.display import Silence
from tests.support.routing_traces import SHAPE, make_rows, write_rows

REQUESTS, NEW_TOKENS = 2, 3
EXCHANGES = REQUESTS * NEW_TOKENS * len(SHAPE["moe_layers"])


class Breaking(Silence):
    """A display that fails at the exchange of a number."""

    def __init__(self, failure: BaseException, at: int):
        self._failure, self._left = failure, at

    def exchanged(self, record):
        self._left -= 1
        if self._left == 0:
            raise self._failure


@pytest.fixture(scope="module")
def record(ns3_server, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("record")
    trace = write_rows(make_rows(REQUESTS, 5, NEW_TOKENS), folder / "trace.parquet")
    settings = [f"model.routing={trace}", f"workload.requests={REQUESTS}", "radio.devices=3", "quality=false"]
    run(config.load(None, settings, ["top-k"]), out=folder / "run", at=Ns3Place(ns3_server))
    return folder / "run"


def contents(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that a repetition gives again, by table."""
    with closing(Journal.open(folder)) as journal:
        tables = [table for table in journal_module.TABLES if table not in journal_module.UNREPEATABLE]
        return {table: journal.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables}


@pytest.mark.parametrize("batch", [7, 256])
def test_the_journal_is_the_same_batched_or_not(record, tmp_path, monkeypatch, batch):
    monkeypatch.setattr(journal_module, "BATCH", batch)
    what_if(record, policies=["top-k", "weight-to-latency"], out=tmp_path / "batched")
    monkeypatch.setattr(Journal, "batched", lambda self: nullcontext())
    what_if(record, policies=["top-k", "weight-to-latency"], out=tmp_path / "single")
    assert contents(tmp_path / "batched") == contents(tmp_path / "single")
    for name in ("batched", "single"):
        with closing(Journal.open(tmp_path / name)) as journal:
            assert journal.is_finished()
            assert journal.rows("SELECT variant, count(*) FROM exchanges GROUP BY 1") == [
                (1, EXCHANGES),
                (2, EXCHANGES),
            ]
            assert journal.rows("SELECT DISTINCT variant FROM costs ORDER BY 1") == [(1,), (2,)]


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), RuntimeError("for the test")])
@pytest.mark.parametrize("at", [1, 8, EXCHANGES + 5])
def test_what_is_on_record_of_a_broken_what_if_is_its_beginning(record, tmp_path, failure, at):
    what_if(record, policies=["top-k", "weight-to-latency"], out=tmp_path / "whole")
    with pytest.raises(type(failure)):
        what_if(record, policies=["top-k", "weight-to-latency"], out=tmp_path / "broken", display=Breaking(failure, at))
    whole, broken = contents(tmp_path / "whole"), contents(tmp_path / "broken")
    assert len(broken["exchanges"]) == at
    assert len(broken["tokens"]) == (at - 1) // len(SHAPE["moe_layers"])
    for table, rows in broken.items():
        assert rows == whole[table][: len(rows)], table
    for table in ("transfers", "links", "channel", "routing"):
        assert {row[:2] for row in broken[table]} == {row[:2] for row in broken["exchanges"]}, table
    with closing(Journal.open(tmp_path / "broken")) as journal:
        assert not journal.is_finished()
