# SPDX-License-Identifier: GPL-2.0-only
"""What a script does without an end, ended: by the process, which says where it stood.

A thread of C waits, since Python's own may never get a turn: a loop within ns-3 holds the interpreter's lock.
"""

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def bounded(limit_s: float | None) -> Iterator[None]:
    """End this process, with every thread's stack on standard error, if what is within takes longer; None: never."""
    if limit_s is None:
        yield
        return
    faulthandler.dump_traceback_later(limit_s, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
