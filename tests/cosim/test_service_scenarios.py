# SPDX-License-Identifier: Apache-2.0
"""One request in the batch, on every built-in scenario: what a service does is what one request after another does."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cosim import config, experiment
from cosim.networks.ns3_side import Ns3Place
from cosim.record.journal import FILE_NAME, Journal
from cosim.record.schema import TABLES
from tests.support.routing_traces import make_rows, write_rows

REQUESTS = 2
SERVICE = ("arrivals.process=offline", "service.requests=1")
OF_A_SERVICE = {"requests", "passes", "pass_rows"}
OTHERWISE = {"meta", "costs", "decisions", "events"}
"""What was asked, and wall-clock time."""
SCENARIOS = {
    "lte": ["radio.devices=2", "radio.fading=umi"],
    "lte-multicell": ["radio.devices=2"],
    "mixed": ["radio.lte_devices=1", "radio.wifi_devices=1"],
    "nr": ["radio.devices=2"],
    "nr-multicell": ["radio.devices=2"],
    "recorded": ["radio.devices=2"],
    "wifi": ["radio.devices=2"],
    "wired": ["radio.devices=2"],
}


@pytest.fixture(scope="module")
def trace(tmp_path_factory) -> Path:
    return write_rows(make_rows(REQUESTS, 3, 2), tmp_path_factory.mktemp("trace") / "trace.parquet")


def rows(run: Path, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(run / FILE_NAME)) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


def test_all_built_in_scenarios_are_here():
    from ns3_scenarios.scenarios import SCENARIOS as KNOWN

    built_in = {name for name, kind in KNOWN.items() if kind.__module__.startswith("ns3_scenarios.")}
    assert built_in == set(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_request_in_the_batch_has_the_outcomes_of_one_by_one(scenario, trace, ns3_server, tmp_path):
    """To the nanosecond, and in every table but those that only a service has, what was asked, and wall-clock time."""
    plain = [f"model.routing={trace}", f"workload.requests={REQUESTS}", *SCENARIOS[scenario]]
    one_by_one, batch = (
        experiment.run(
            config.load(None, [*plain, *service], ["weight-to-latency"], scenario),
            out=tmp_path / name,
            at=Ns3Place(ns3_server),
        )
        for name, service in (("one-by-one", ()), ("batch", SERVICE))
    )
    for table in [name for name in TABLES if name not in OF_A_SERVICE | OTHERWISE]:
        assert rows(one_by_one, table) == rows(batch, table), table
    assert len(rows(batch, "transfers")) > 0
    assert [rows(one_by_one, table) for table in sorted(OF_A_SERVICE)] == [[], [], []]
    passes, tokens = rows(batch, "passes"), rows(batch, "tokens")
    assert len(passes) == len(rows(batch, "pass_rows")) == len(tokens) == 2 * REQUESTS


HANDOVER = [
    "radio.inter_site_distance_m=100",
    "radio.line_of_sight=always",
    "radio.shadowing_sigma_db=0",
    "radio.fading=false",
    'radio.movement={kind="constant-velocity", velocities_mps=[[150.0, 0.0, 0.0], [-150.0, 0.0, 0.0]]}',
]
OUTAGE = ['radio.life=[{kind="outage", intervals_s=[[0.05, 0.2]]}]', "exchange.deadline_s=0.1"]


@pytest.mark.parametrize(("scenario", "settings"), [("nr-multicell", HANDOVER), ("nr", OUTAGE)])
def test_a_batch_goes_on_over_a_handover_and_an_outage(scenario, settings, ns3_server, tmp_path):
    requests, new_tokens = 3, 20
    trace = write_rows(make_rows(requests, 3, new_tokens), tmp_path / "trace.parquet")
    asked = [f"model.routing={trace}", f"workload.requests={requests}", "radio.devices=2", "arrivals.process=offline"]
    run = experiment.run(
        config.load(None, [*asked, *settings], ["top-k"], scenario), out=tmp_path / "run", at=Ns3Place(ns3_server)
    )
    with closing(Journal.open(run)) as journal:
        endings = journal.rows("SELECT request, ending FROM requests ORDER BY request")
        tokens = journal.rows("SELECT request, count(*) FROM tokens GROUP BY request ORDER BY request")
        last = journal.rows("SELECT max(exchange) FROM exchanges")[0][0]
        cells = journal.rows("SELECT count(DISTINCT cell) FROM links WHERE cell IS NOT NULL GROUP BY device")
        late = journal.rows("SELECT DISTINCT exchange FROM transfers WHERE status <> 'done'")
    assert endings == [(request, "done") for request in range(requests)]
    assert tokens == [(request, new_tokens) for request in range(requests)]
    assert (max(cells) > (1,)) == (settings is HANDOVER)
    assert (len(late) > 0) == (settings is OUTAGE)
    assert all(0 < exchange < last for (exchange,) in late)
