# SPDX-License-Identifier: Apache-2.0
"""`oracle` answers a what-if, no later than `lookahead` does, and is refused by name everywhere else."""

import numpy as np
import pytest

from bridge.network import RequestError
from cosim.config import load
from cosim.experiment import replay, run, what_if
from cosim.networks.ns3_side import Ns3Place
from cosim.results.summary import summarise

SIZES = ["quality=false", "workload.requests=1", "workload.prompt_tokens=48", "workload.new_tokens=4"]


@pytest.fixture(scope="module")
def record(ns3_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("oracle") / "record"
    run(load(None, SIZES, ["top-k"], "nr"), out=folder, at=Ns3Place(ns3_server))
    return folder


def test_it_knows_what_comes(record, tmp_path):
    answer = what_if(record, policies=["lookahead", "oracle"], out=tmp_path / "answer")
    expecting, knowing = summarise(answer)
    _, again = summarise(what_if(record, policies=["lookahead", "oracle"], out=tmp_path / "again"))
    total_s = [sum(map(np.sum, each.layer_s.values())) for each in (expecting, knowing)]
    assert total_s[1] <= 1.02 * total_s[0]  # it weighs harm against time, and the other one errs about the time
    assert knowing.layer_s["prefill"].tolist() == again.layer_s["prefill"].tolist()


def test_it_is_refused_where_nobody_knows(record, ns3_server, tmp_path):
    with pytest.raises(RequestError, match="oracle has to know what will come, which live cannot tell"):
        run(load(None, SIZES, ["top-k", "top-k+oracle"], "nr"), out=tmp_path / "live", at=Ns3Place(ns3_server))
    assert not (tmp_path / "live").exists()
    answer = what_if(record, policies=["oracle"], out=tmp_path / "answer")
    with pytest.raises(RequestError, match="which a record alone cannot tell; ask a run: cosim replay RUN --policy"):
        replay(answer)
