# SPDX-License-Identifier: Apache-2.0
"""Work that is begun ahead of the need for it, in a thread of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")

_NAME = "ahead"


class Ahead(Generic[T]):
    """What `work` gives or raises, worked on from now on.

    Nobody has to wait for it: the thread ends with the program (`is_busy`), or when it is done.
    """

    def __init__(self, work: Callable[[], T]):
        self._future: Future[T] = Future()
        self._work = work
        threading.Thread(target=self._run, name=_NAME, daemon=True).start()

    def check(self) -> None:
        """Raise what the work has raised by now, if it has."""
        if self._future.done():
            self._future.result()

    def result(self) -> T:
        """What the work gives, as soon as it is done; raises what it raised."""
        return self._future.result()

    def _run(self) -> None:
        try:
            self._future.set_result(self._work())
        except BaseException as error:
            self._future.set_exception(error)


def is_busy() -> bool:
    """Whether any such work goes on. PyTorch takes it ill when the interpreter ends while it is being loaded."""
    return any(thread.name == _NAME for thread in threading.enumerate())
