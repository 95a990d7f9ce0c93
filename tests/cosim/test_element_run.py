# SPDX-License-Identifier: Apache-2.0
"""Runs whose wire carries other elements than the model's own: bytes, quality, replay and what-if."""

import io
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from cosim import config
from cosim.experiment import replay, run, what_if
from cosim.record.journal import Journal
from cosim.results.summary import summarise
from cosim.screen.report import print_report
from model_side.element import Element
from tests.support.small_run import Side, small_run

BYTES = {"own": 8192, "fp16": 8192, "bf16": 8192, "fp8": 4100, "int8": 4100, "int4": 2304}
"""Of a token of Mixtral 8x7B."""


def assert_bytes(folder: Path, element: str) -> None:
    """Of each transfer: 2 slots of 6 bytes with each token down, and 16 bytes before either way."""
    header, slots = (0, 0) if element == "own" else (16, 12)
    with closing(Journal.open(folder)) as journal:
        rows = journal.rows("SELECT tokens, downlink_bytes, uplink_bytes FROM transfers")
    assert len(rows) > 20
    for tokens, down, up in rows:
        assert (down, up) == (header + tokens * (BYTES[element] + slots), header + tokens * BYTES[element])


@pytest.fixture(scope="module")
def model_runs(tiny_model, tmp_path_factory) -> dict[str, Path]:
    """A run of a tiny model with each element."""
    folder = tmp_path_factory.mktemp("elements")
    small = ["workload.requests=2", "workload.prompt_tokens=12", "workload.new_tokens=3", f"model.path={tiny_model}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cosim.experiment.Ns3Side", Side)
        patch.setattr("cosim.experiment.check_scenario", lambda asked: None)
        return {
            element: run(
                config.load(None, [*small, f"exchange.element={element}"], scenario="fixed"), out=folder / element
            )
            for element in Element
        }


@pytest.mark.parametrize("element", Element)
def test_a_run_of_each_element_has_its_bytes_and_replays(model_runs, element):
    assert_bytes(model_runs[element], element)
    replay(model_runs[element])


def test_quality_answers_to_the_element(model_runs):
    kl = {element: summarise(folder)[0].quality.mean_kl_nats for element, folder in model_runs.items()}
    assert kl["own"] == 0
    assert 0 < kl["fp16"] < kl["bf16"] < kl["fp8"] < 0.5
    assert 0 < kl["int8"] < kl["int4"]


def test_a_what_if_asks_for_another_element_of_a_record(model_runs, tmp_path):
    """The model runs again, so what it costs is that of a live run, if no answer is late."""
    asked = what_if(model_runs["own"], ["exchange.element=int8"], out=tmp_path / "asked")
    assert_bytes(asked, "int8")
    (what,), (live,) = summarise(asked), summarise(model_runs["int8"])
    assert what.quality == live.quality
    assert what.virtual_s == pytest.approx(live.virtual_s, rel=0.02)
    assert what.virtual_s < 0.8 * summarise(model_runs["own"])[0].virtual_s


def report(folder: Path) -> str:
    console = Console(file=io.StringIO(), width=160)
    print_report(summarise(folder), console)
    return console.file.getvalue()


def test_recorded_routing_has_the_bytes_and_says_that_it_knows_no_quality(tmp_path):
    folder = small_run(tmp_path, "exchange.element=fp8")
    assert_bytes(folder, "fp8")
    replay(folder)
    assert "quality by proxy only: no model ran, so what fp8 costs is not known" in report(folder)


def test_with_the_models_own_type_nothing_is_said(tmp_path):
    folder = small_run(tmp_path)
    assert_bytes(folder, "own")
    assert "quality by proxy only: no model ran, so what" not in report(folder)
