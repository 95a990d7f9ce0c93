# SPDX-License-Identifier: Apache-2.0
"""The `cosim` command in a process of its own, forked from one that has PyTorch loaded.

Loading it takes longer than most of what the tests ask for. How `cosim` starts by itself, and what becomes of a process
that is killed, is tested with `python -m cosim.cli`.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(["tests.support.preloaded"])


def cosim(
    *arguments: object,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
    preexec_fn: Callable[[], Any] | None = None,
    merged: bool = False,
) -> "subprocess.CompletedProcess[str]":
    """What `cosim ARGUMENTS` says and returns, with the options of `subprocess.run`; killed after `timeout` seconds.

    If `merged`, what it says on standard error stands between the lines of its output.
    """
    words = ["cosim", *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / name for name in ("stdout", "stderr")]
        place = str(cwd or Path.cwd())
        streams = [outputs[0]] * 2 if merged else outputs
        outputs[1].touch()
        process = _forking.Process(target=_become, args=(words, streams, place, dict(env or os.environ), preexec_fn))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, timeout, *(output.read_bytes() for output in outputs))
        said = [output.read_text(encoding="utf-8") for output in outputs]
        return subprocess.CompletedProcess(words, process.exitcode, *said)


def _become(
    words: list[str], outputs: list[Path], place: str, environment: dict[str, str], first: Callable[[], Any] | None
) -> None:
    """Be a process that began as `cosim`: nothing before this looked at what is set here."""
    from cosim import cli

    for number, output in enumerate(outputs, 1):
        with output.open("ab") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    os.chdir(place)
    if first:
        first()
    sys.argv = words
    cli.main()
