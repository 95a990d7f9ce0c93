# SPDX-License-Identifier: Apache-2.0
"""What Dask has each worker process here do first (`preload`)."""

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C to the client, which ends its workers: each of them would say its own about it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
