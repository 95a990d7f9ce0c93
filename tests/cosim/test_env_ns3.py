# SPDX-License-Identifier: Apache-2.0
"""The environment on ns-3 itself: an episode is the run of its seed, packet by packet."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from bridge.network import NS_PER_S
from cosim.env import ExpertSelection
from cosim.experiment import run
from cosim.networks.ns3_side import Ns3Place
from cosim.record.journal import Journal
from tests.support.routing_traces import make_rows, write_rows

SEED, BETA = 7, 0.6


@pytest.fixture(scope="module")
def trace(tmp_path_factory) -> Path:
    return write_rows(make_rows(2, 4, 2), tmp_path_factory.mktemp("trace") / "trace.parquet")


@pytest.mark.parametrize("network", ["live", "analytic"])
def test_an_agent_that_leaves_experts_out_has_the_latencies_of_the_run_that_does(ns3_server, trace, tmp_path, network):
    at = Ns3Place(ns3_server)
    settings = [f"model.routing={trace}", "workload.requests=2", "radio.scenario=lte", "radio.devices=3"]
    seconds, over = [], False
    with closing(ExpertSelection(settings=settings, network=network, at=at)) as env:
        env.reset(seed=SEED)
        while not over:
            *_, over, _, info = env.step(np.full(env.action_space.shape, BETA, np.float32))
            seconds.append(info["layer_s"])
    config = {
        "seed": SEED,
        "model": {"routing": str(trace)},
        "workload": {"requests": 2},
        "radio": {"scenario": "lte", "devices": 3},
        "policy": {"ratio": {"beta": BETA}},
    }
    done = run(config, policies=["ratio"], networks=[network], out=tmp_path / "run", at=at)
    with closing(Journal.open(done)) as journal:
        exchanges = journal.rows("SELECT depart_ns, end_ns FROM exchanges ORDER BY exchange")
    assert seconds == [(end_ns - depart_ns) / NS_PER_S for depart_ns, end_ns in exchanges]
    assert len(set(seconds)) > len(seconds) / 2  # as a radio has it
