# SPDX-License-Identifier: Apache-2.0
"""The process that workers are forked from has what they need, on one thread; forks compute what any process does."""

import os
import subprocess
import sys
from multiprocessing import forkserver

import msgspec
import torch

from cosim.studies import stem
from cosim.studies.runs import runs_of
from cosim.studies.study import study_of
from model_side.model import loading
from tests.support.small_run import small_run

FORK = """
import os
import sys

import cosim.studies.loaded
from cosim.studies.work import fitted_once
from model_side.model import loading
from model_side.model.loaded_model import load_here

path, out = sys.argv[1:]
assert len(os.listdir("/proc/self/task")) == 1
assert fitted_once.cache_info().currsize == 1
(kept,) = loading._kept.values()
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
import torch
loaded = load_here(path, "float32", 2)
assert loaded.split is kept[0]
with torch.inference_mode():
    torch.save(loaded.split.model(torch.arange(100)[None]).logits, out)
os._exit(0)
"""


def test_a_fork_has_it_all_and_computes_as_any_process(tiny_model, tmp_path):
    record = small_run(tmp_path)
    base = {"model": {"path": str(tiny_model), "routing": ""}}
    runs = runs_of(study_of({"record": str(record), "base": base, "grid": {"policies": ["top-k", "top-n"]}}, "study"))
    needs = msgspec.json.encode(stem._needs(runs)).decode()
    environment = os.environ | stem._ENVIRONMENT | {stem._NEEDS: needs}
    command = [sys.executable, "-c", FORK, str(tiny_model), str(tmp_path / "logits")]
    subprocess.run(command, env=environment, check=True, timeout=240)
    with torch.inference_mode():
        alone = loading.load_model(tiny_model).model(torch.arange(100)[None]).logits
    torch.testing.assert_close(torch.load(tmp_path / "logits"), alone, rtol=1e-5, atol=1e-6)


def test_what_does_not_load_is_left_to_the_run_that_needs_it(tmp_path, monkeypatch):
    needs = stem._Needs([str(tmp_path)], True, (str(tmp_path / "nowhere"), "float32"), str(tmp_path))
    monkeypatch.setattr(loading, "_kept", None)
    monkeypatch.setenv(stem._NEEDS, msgspec.json.encode(needs).decode())
    stem.load()


def test_what_is_on_a_gpu_or_one_of_several_is_not_loaded_where_forks_are_made():
    asked = {"grid": {"model.device": ["cuda", "cpu"], "model.dtype": ["bfloat16"], "seed": [1]}}
    runs = runs_of(study_of(asked, "study"))
    assert stem._needs(runs).model == ("shipped", "bfloat16")
    others = runs_of(study_of({"grid": {"model.path": ["shipped", "qwen2-moe-12m"], "seed": [1]}}, "study"))
    assert stem._needs(others).model is None
    assert stem._needs(runs[:1]) == stem._Needs([], True, None, os.getcwd())


def test_one_that_is_there_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(forkserver._forkserver, "_forkserver_pid", 1)
    with stem.stem([]):
        assert stem._NEEDS not in os.environ
