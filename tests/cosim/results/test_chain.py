# SPDX-License-Identifier: Apache-2.0
"""A run on each radio, its traces, and a run of `recorded` on them: the second takes as long as the first."""

import tomllib
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cosim import config
from cosim.experiment import run
from cosim.networks.ns3_side import Ns3Place
from cosim.record.journal import Journal
from cosim.results.rate_traces import CONFIG, export
from tests.support.routing_traces import make_rows, write_rows

CLOSE, NEAR = 0.15, 0.03
RADIOS = [
    ("lte", {"devices": 4}, CLOSE),
    ("lte-multicell", {"devices": 4}, CLOSE),
    ("nr", {"devices": 4}, CLOSE),
    ("wifi", {"devices": 4}, CLOSE),
    ("wired", {"devices": 4, "rate_bps": 50_000_000, "delay_s": 0.003}, NEAR),
    ("wired", {"devices": 4, "kind": "csma", "rate_bps": 100_000_000}, CLOSE),
    ("mixed", {"lte_devices": 2, "wifi_devices": 2}, CLOSE),
    ("recorded", {"devices": 4, "delay_s": 0.004}, NEAR),
]


@pytest.fixture(scope="module")
def routing(tmp_path_factory) -> Path:
    rows = make_rows(requests=4, prompt_tokens=40, new_tokens=4)
    return write_rows(rows, tmp_path_factory.mktemp("routing") / "made.parquet")


def medians_s(folder: Path) -> dict[str, float]:
    """Of the latency of a layer, by phase."""
    query = "SELECT (end_ns - depart_ns) / 1e9 FROM exchanges WHERE phase = ?"
    with closing(Journal.open(folder)) as journal:
        return {phase: float(np.median(journal.rows(query, phase))) for phase in ("prefill", "decode")}


@pytest.mark.parametrize(("radio", "parameters", "tolerance"), RADIOS)
def test_traces_of_a_run_take_as_long_as_the_run(routing, ns3_server, tmp_path, radio, parameters, tolerance):
    settings = [f"model.routing={routing}", *(f"radio.{name}={value}" for name, value in parameters.items())]
    at = Ns3Place(ns3_server)
    run(config.load(None, settings, scenario=radio), out=tmp_path / "run", at=at)
    written = export(tmp_path / "run", tmp_path / "traces")
    assert written[-1] == tmp_path / "traces" / CONFIG
    asked = tomllib.loads(written[-1].read_text())
    assert asked["model"]["routing"] == str(routing)
    assert asked["radio"]["scenario"] == "recorded"
    run(config.load(written[-1], []), out=tmp_path / "again", at=at)
    first, again = medians_s(tmp_path / "run"), medians_s(tmp_path / "again")
    assert again == pytest.approx(first, rel=tolerance)
