# SPDX-License-Identifier: Apache-2.0
"""Wireshark's packet list, exported as CSV: the columns Time, Source, Destination and Length."""

from collections import Counter
from pathlib import Path

from bridge import csv_rows

from .datasets import Columns
from .loads import Capture, Packet, capture
from .measurements import timed

ETHERNET_BYTES = 14
_LONGEST_BYTES = 2**18  # what a capture keeps of one


def read(file: Path, user: str | None) -> Capture:
    """A user's packets; of each frame 14 bytes are Ethernet's. Raises `FileRefused`."""
    skipped: Counter[str] = Counter()
    packets = []
    rows = csv_rows.rows(file, ["Time", "Source", "Destination", "Length"])
    for time_s, row in timed(rows, Columns(time="Time"), skipped):
        size = int(row.figure("Length", 0, _LONGEST_BYTES)) - ETHERNET_BYTES
        packets.append(Packet(time_s, row.values["Source"], row.values["Destination"], size))
    return capture(file, packets, user, skipped)
