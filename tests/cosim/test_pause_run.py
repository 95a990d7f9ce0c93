# SPDX-License-Identifier: Apache-2.0
"""A run whose requests come with a pause between them, on NR as testbeds have it: the first layer after it pays."""

import sqlite3
from contextlib import closing
from pathlib import Path

from cosim import config, experiment
from cosim.networks.ns3_side import Ns3Place
from cosim.record.journal import FILE_NAME, Journal
from tests.support.routing_traces import make_rows, write_rows

NS_PER_MS = 1_000_000
PAUSE_S = 12.0  # more than the 10 s after which a device is released
PAGED_MS, ACCESS_MS = 1280, 100  # at most
ASLEEP_MS = 200  # more than what one waits that has its connection and was not needed for a while, and a layer takes


def test_the_first_layer_after_a_pause_waits_for_its_devices(ns3_server, tmp_path):
    """For their pages and connections, once; nothing is lost, and another run has the same."""
    trace = write_rows(make_rows(2, 3, 2), tmp_path / "trace.parquet")
    arrivals = tmp_path / "arrivals.csv"
    arrivals.write_text(f"time_s,prompt_tokens,new_tokens\n0,3,2\n{PAUSE_S},3,2\n", encoding="utf-8")
    asked = [
        *(f"model.routing={trace}", "workload.requests=2", "radio.devices=3", "radio.timing=testbed"),
        *("arrivals.process=trace", f"arrivals.trace={arrivals}", "service.requests=1"),
    ]

    def run(name: str) -> Path:
        read = config.load(None, asked, ["top-k"], "nr")
        return experiment.run(read, out=tmp_path / name, at=Ns3Place(ns3_server))

    folder = run("run")
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        statuses = db.execute("SELECT DISTINCT status FROM transfers").fetchall()
        longest = "SELECT exchange, max(uplink_end_ns) - min(downlink_begin_ns) FROM transfers GROUP BY exchange"
        took = sorted(db.execute(longest).fetchall())
    assert statuses == [("done",)]
    first = len(took) // 2  # of the second request's layers
    assert all(ns < ASLEEP_MS * NS_PER_MS for exchange, ns in took if exchange != took[first][0])
    assert ASLEEP_MS * NS_PER_MS < took[first][1] < (PAGED_MS + ACCESS_MS + ASLEEP_MS) * NS_PER_MS
    prints = []
    for each in (folder, run("again")):
        with closing(Journal.open(each)) as journal:
            prints.append(journal.fingerprint())
    assert prints[0] == prints[1]
