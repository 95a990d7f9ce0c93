# SPDX-License-Identifier: Apache-2.0
"""The process that workers here are forked from: what they need is loaded in it, once for all of them.

It is the fork server of `multiprocessing`, which Dask can have its workers from, with `cosim.studies.loaded` in it. A
fork takes one thread along, so nothing in it may start another: PyTorch and BLAS have one, and CUDA is not touched.
"""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from typing import Any

import msgspec

from cosim.fitted import working_in
from cosim.studies import work
from cosim.studies.runs import StudyRun

_NEEDS = "COSIM_STEM"
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "PYTHONHASHSEED": "6640",
}
"""As Dask starts its workers (`distributed.nanny.pre-spawn-environ`): it has to be there before the process is."""


class _Needs(msgspec.Struct, frozen=True):
    """What runs need: the `records` that are asked, by their paths, and whether any `has_model`.

    `model`: path and type of elements of the one that lies in the memory of this machine, `ran_in`: from where the path
    holds. Of several none is loaded: a fork keeps what it has of this process, also where it needs another.
    """

    records: list[str]
    has_model: bool
    model: tuple[str, str] | None
    ran_in: str


@contextmanager
def stem(runs: Sequence[StudyRun]) -> Iterator[None]:
    """Inside, `multiprocessing` forks from a process that has loaded what these runs need, or is about to.

    Where it forks from another one already, it goes on with that, and workers load what they need by themselves.
    """
    server: Any = forkserver._forkserver
    is_there = server._forkserver_pid is not None
    if is_there:
        yield
        return
    before = server._preload_modules
    forkserver.set_forkserver_preload(["cosim.studies.loaded"])
    with _environment({**_ENVIRONMENT, _NEEDS: msgspec.json.encode(_needs(runs)).decode()}):
        forkserver.ensure_running()  # which is asked again should it have gone
        try:
            yield
        finally:
            os.kill(server._forkserver_pid, signal.SIGKILL)  # it may still be loading; its forks have ended
            server._stop()
            forkserver.set_forkserver_preload(before)


def load() -> None:
    """Load what is needed, in the process that is forked from. What does not load is said by the run that needs it."""
    needs = msgspec.json.decode(os.environ[_NEEDS], type=_Needs)
    for record in needs.records:
        with suppress(Exception):
            work.fitted_once(record)
    if not needs.has_model:
        return
    with suppress(Exception), working_in(needs.ran_in):
        from model_side.model import loading, model_run  # noqa: F401, PLC0415  (recorded routing needs no PyTorch)
        from model_side.model.loaded_model import load_here  # noqa: PLC0415

        loading.keep_loaded()
        if needs.model is not None:
            load_here(*needs.model, threads=1)


def _needs(runs: Sequence[StudyRun]) -> _Needs:
    records = list(dict.fromkeys(run.record_path for run in runs if run.record_path is not None))[: work.RECORDS]
    modelled = [run for run in runs if not run.config.model.routing]
    here = [run for run in modelled if (run.config.model.device, run.config.model.experts) == ("cpu", "memory")]
    models = {(run.config.model.path, run.config.model.dtype, run.ran_in) for run in here}
    if len(models) != 1:
        return _Needs(records, bool(modelled), None, os.getcwd())
    path, dtype, ran_in = models.pop()
    return _Needs(records, bool(modelled), (path, dtype), ran_in)


@contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
