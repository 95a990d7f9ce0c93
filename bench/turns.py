# SPDX-License-Identifier: Apache-2.0
"""Contestants that take turns: blocks of rounds in processes of their own, and what CPU they take."""

import os
import signal
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import psutil

BLOCK_S = 0.5
ANSWER_S = 20.0
"""A contestant that has not begun, or not ended a block, after so long has failed."""

SPAWN = get_context("spawn")
More = Callable[[], bool]
"""Called before every round: whether there shall be one."""


def contest(contestant: Callable[[More], None], link: Connection) -> None:
    """A contestant's first process: a block of rounds whenever `link` asks for one, until its other end is closed.

    Says on `link` when it is ready, and after each block when each round began and the last one ended, in ns.
    """
    os.setsid()  # not reached by Ctrl-C, which closes the link: everything ends in good order
    stamps, end_ns = array("q"), 0

    def more() -> bool:
        nonlocal stamps, end_ns
        stamps.append(time.perf_counter_ns())
        if stamps[-1] >= end_ns:
            try:
                link.send(stamps)
                block_s = link.recv()
            except (EOFError, OSError):
                return False
            stamps = array("q", [time.perf_counter_ns()])
            end_ns = stamps[0] + round(block_s * 1e9)
        return True

    contestant(more)


class Running:
    """A contestant at work: how long its rounds took, an array a block, and its CPU per second. Or it has failed."""

    def __init__(self, contestant: Callable[[More], None]):
        self.rounds_us: list[Any] = []
        self.cpu: list[float] = []
        self.failed = False
        self._link, theirs = SPAWN.Pipe()
        self._first = SPAWN.Process(target=contest, args=(contestant, theirs))
        self._first.start()
        theirs.close()
        with self._failing():
            self._stamps()
            first = psutil.Process(self._first.pid)
            self._processes = [first, *first.children(recursive=True)]

    def block(self) -> None:
        """One block of rounds."""
        if self.failed:
            return
        with self._failing():
            before_s = cpu_s(self._processes)
            self._link.send(BLOCK_S)
            stamps = self._stamps()
            self.cpu.append((cpu_s(self._processes) - before_s) / (stamps[-1] - stamps[0]) * 1e9)
            self.rounds_us.append(np.diff(stamps) / 1e3)

    def end(self) -> None:
        """Let it end in good order; kill what has not."""
        self._link.close()
        self._first.join(10)
        with suppress(ProcessLookupError):
            os.killpg(self._first.pid or 0, signal.SIGKILL)
        self._first.kill()
        self._first.join()

    def _stamps(self) -> "array[int]":
        if not self._link.poll(ANSWER_S):
            raise TimeoutError
        stamps: array[int] = self._link.recv()
        return stamps

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError, psutil.NoSuchProcess):
            self.failed = True


@contextmanager
def partner(work: Callable[..., None], *arguments: Any) -> Iterator[int]:
    """`work` in a process of its own; gives its number. At the end it has ended by itself, or is killed."""
    process = SPAWN.Process(target=work, args=arguments)
    process.start()
    try:
        yield process.pid or 0
    finally:
        process.join(5)
        process.kill()
        process.join()


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """Seconds of CPU that they have taken."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)
