# SPDX-License-Identifier: Apache-2.0
"""Policies that give shares of the band: where they may, and what is kept of it."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from bridge.network import Outcome, RequestError
from cosim import config
from cosim.experiment import replay, resume, run
from cosim.record.journal import Journal
from tests.support.routing_traces import make_rows, write_rows
from tests.support.small_run import ChannelNetwork, Side

SHARING = ["top-k", "weight-to-latency+equal", "min-max"]


class Sides:
    """Stands in for ns-3's side; its networks take shares or not, and break at an exchange, if at any."""

    def __init__(self, takes_shares: bool, break_at: int | None = None):
        self.takes_shares, self.break_at = takes_shares, break_at
        self.asked = 0

    def __call__(self, *_: object) -> "Sides":
        return self

    def open(self, name: str) -> ChannelNetwork:
        sides = self

        class Network(ChannelNetwork):
            def exchange(self, *asked: Any) -> Outcome:
                sides.asked += 1
                if sides.asked == sides.break_at:
                    raise KeyboardInterrupt
                return super().exchange(*asked)

        network = Network()
        network.info = replace(network.info, takes_shares=self.takes_shares)
        return network

    abandon, close = Side.abandon, Side.close


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Runs policies in a folder of that name, on networks of closed form."""
    trace = write_rows(make_rows(2, 4, 2), tmp_path / "trace.parquet")
    monkeypatch.setattr("cosim.experiment.check_scenario", lambda asked: None)

    def start(name: str, sides: Sides, policies: list[str], networks: tuple[str, ...] = ("live",)) -> Path:
        monkeypatch.setattr("cosim.experiment.Ns3Side", sides)
        asked = config.load(None, [f"model.routing={trace}", "workload.requests=2", "radio.scenario=fixed"])
        return run(asked, policies=policies, networks=networks, out=tmp_path / name)

    return start


def fingerprint(folder: Path) -> str:
    with closing(Journal.open(folder)) as journal:
        return journal.fingerprint()


@pytest.mark.parametrize("networks", [("live",), ("live", "analytic"), ("analytic", "live")])
def test_what_gives_shares_is_refused_before_anything_runs_where_there_are_none(begin, tmp_path, networks):
    sides = Sides(takes_shares=False)
    with pytest.raises(RequestError, match="equal of weight-to-latency\\+equal gives shares of the band") as refused:
        begin("run", sides, SHARING, networks)
    assert refused.value.field == "policies"
    assert sides.asked <= 1  # the analytic network asks what the channel is
    assert not (tmp_path / "run").exists()


def test_the_analytic_network_takes_shares_whatever_the_live_one_does(begin):
    folder = begin("run", Sides(takes_shares=False), SHARING, ("analytic",))
    replay(folder)
    with closing(Journal.open(folder)) as journal:
        assert journal.is_finished()
        assert journal.rows("SELECT count(*) FROM exchanges WHERE shares IS NOT NULL") > [(0,)]


@pytest.mark.parametrize("break_at", [1, 4, 11, 17])
def test_shares_are_kept_replayed_and_resumed(begin, monkeypatch, break_at):
    folder = begin("whole", Sides(takes_shares=True), SHARING)
    with closing(Journal.open(folder)) as journal:
        for variant in range(1, 4):
            blobs = [blob for (blob,) in journal.rows("SELECT shares FROM exchanges WHERE variant = ?", variant)]
            assert len(blobs) >= break_at // 3
            if variant == 1:
                assert set(blobs) == {None}
            else:
                assert [np.frombuffer(blob, "<f8").sum() for blob in blobs] == pytest.approx([1] * len(blobs))
    replay(folder)
    with pytest.raises(KeyboardInterrupt):
        begin("broken", Sides(takes_shares=True, break_at=break_at), SHARING)
    monkeypatch.setattr("cosim.experiment.Ns3Side", Sides(takes_shares=True))
    if break_at > 1:  # else nothing was recorded, and the folder is gone
        resume(folder.with_name("broken"))
        assert fingerprint(folder.with_name("broken")) == fingerprint(folder)


@pytest.mark.parametrize("scenario", ["nr", "lte", "lte-multicell"])
def test_what_runs_live_takes_shares(tmp_path, scenario):
    small = ["quality=false", "workload.requests=1", "workload.prompt_tokens=12", "workload.new_tokens=2"]
    folder = run(config.load(None, [*small, "radio.devices=4"], ["top-k+min-max"], scenario), out=tmp_path / "run")
    replay(folder)
    with closing(Journal.open(folder)) as journal:
        assert journal.rows("SELECT count(*) FROM exchanges WHERE shares IS NULL") == [(0,)]
        assert journal.rows("SELECT count(*) FROM transfers WHERE status = 'done'")[0][0] > 0
