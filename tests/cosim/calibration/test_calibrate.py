# SPDX-License-Identifier: Apache-2.0
"""`cosim calibrate`: measured once, kept by the model's hash."""

import os
from pathlib import Path

import pytest

from model_side.calibration import decoded
from tests.support.cosim_process import cosim
from tests.support.routing_traces import make_rows, write_rows


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def calibrate(cache: Path, *arguments: object):
    return cosim("calibrate", *arguments, env={**os.environ, "XDG_CACHE_HOME": str(cache)})


def tables(cache: Path) -> list[Path]:
    return sorted((cache / "wdmoe-cosim" / "calibration").iterdir())


def test_a_second_call_finds_what_the_first_has_measured(cache, tiny_model):
    first = calibrate(cache, tiny_model, "--tokens", 40)
    assert (first.returncode, first.stdout.splitlines()[0]) == (
        0,
        "3 MoE layers of 8 experts, 40 tokens: routing and outputs",
    )
    (file,) = tables(cache)
    table = decoded(file.read_bytes())
    assert file.stem == table.model
    assert table.sha256[:16] in first.stdout
    second = calibrate(cache, tiny_model, "--tokens", 40)
    assert second.stdout.splitlines() == ["measured before", *first.stdout.splitlines()]
    other = calibrate(cache, tiny_model, "--tokens", 30)
    assert "measured before" not in other.stdout
    assert [decoded(file.read_bytes()).tokens for file in tables(cache)] == [30]


def test_a_text_of_ones_own(cache, tiny_model, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("It was a bright cold day in April, and the clocks were striking thirteen. " * 10)
    first = calibrate(cache, tiny_model, "--text", text, "--tokens", 300)
    assert first.returncode == 0
    assert "measured before" in calibrate(cache, tiny_model, "--text", text, "--tokens", 300).stdout
    text.write_text(text.read_text().replace("cold", "warm"))
    assert "measured before" not in calibrate(cache, tiny_model, "--text", text, "--tokens", 300).stdout


def test_the_shipped_model_needs_no_measuring(cache):
    done = calibrate(cache, "shipped")
    assert done.stdout.splitlines()[0] == "measured before"


def test_recorded_routing(cache, tmp_path):
    trace = write_rows(make_rows(), tmp_path / "trace.parquet")
    done = calibrate(cache, trace)
    assert done.stdout.splitlines()[0] == "3 MoE layers of 8 experts, 14 tokens: routing alone"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/no/such"], "model.path: there is no folder /no/such"),
        (["/no/such.parquet"], "/no/such.parquet does not exist"),
        (["shipped", "--text", "/no/such"], "--text: /no/such cannot be read"),
        (["shipped", "--tokens", "1000000"], "--tokens: shipped has 114688 tokens, not 1000000"),
        (["shipped", "--tokens", "0"], "--tokens"),
        (["shipped", "--tokens", "5", "--dtype", "int8"], "model.dtype: 'int8' is none of float32"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_in_words(cache, arguments, words):
    done = calibrate(cache, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
