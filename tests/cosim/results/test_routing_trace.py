# SPDX-License-Identifier: Apache-2.0
"""The routing that is written of a run of shared passes is that which it replayed, request by request."""

from contextlib import closing

import numpy as np
import pandas as pd

from cosim.record.journal import Journal
from cosim.results.routing_trace import write_routing
from model_side.routing_trace import RoutingTrace
from tests.support.small_run import service_run

GATES = ("gate_experts", "gate_weights", "probabilities")


def test_who_shared_passes_has_those_that_it_would_have_alone(tmp_path):
    """In chunks of prompts, with requests that were turned away, and some that left midway."""
    run = service_run(tmp_path, "service.timeout_s=0.2")
    with closing(Journal.open(run)) as journal:
        given = dict(journal.rows("SELECT request, count(*) FROM tokens WHERE variant = 1 GROUP BY request"))
        turned_away = len(journal.rows("SELECT 1 FROM requests WHERE variant = 1 AND ending = 'queue-full'"))
    assert turned_away > 0
    assert len({*given.values()}) > 1
    assert write_routing(run, tmp_path / "own.parquet") == sum(given.values())
    own, original = (pd.read_parquet(tmp_path / name) for name in ("own.parquet", "trace.parquet"))
    for number, (request, passes) in enumerate(sorted(given.items())):
        found = own[own["request"] == number]
        wanted = original[original["request"] == request]
        wanted = wanted[wanted["pass"] < wanted["pass"].min() + passes]
        for column in ("phase", "layer", "position"):
            assert found[column].tolist() == wanted[column].tolist(), column
        for column in GATES:
            assert np.array_equal(np.stack(found[column].to_list()), np.stack(wanted[column].to_list())), column
    assert len(np.unique(RoutingTrace.read(tmp_path / "own.parquet").request)) == len(given)
