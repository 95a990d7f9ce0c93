# SPDX-License-Identifier: Apache-2.0
"""Text of two columns without names, `seconds Mbit/s`, as many trace collections have it."""

from pathlib import Path

from bridge import csv_rows
from bridge.csv_rows import FileRefused

from .datasets import BITS, Columns
from .links import Link
from .measurements import series
from .rates import Sample


def read(file: Path, columns: Columns, hold_s: float | None) -> Link:
    """The downlink, or with a name in `columns.up` the uplink, of such a text. Raises `FileRefused`."""
    samples: list[Sample] = []
    for number, text in csv_rows.lines(file):
        place, words = f"{file}:{number}", text.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        if len(words) != 2:
            raise FileRefused(f"{place}: {len(words)} values, where seconds and {columns.unit} are two")
        time_s, amount = (
            csv_rows.figure(place, name, word, 0, most)
            for name, word, most in zip(("time", "rate"), words, (1e12, 1e13), strict=True)
        )
        if samples and time_s < samples[-1].time_s:
            raise FileRefused(f"{place}: {words[0]} s goes back")
        samples.append(Sample(time_s, amount * BITS[columns.unit or "Mbit/s"]))
    found = series(file, "the rate", samples, columns, hold_s)
    return Link(file.stem, None, found) if columns.up else Link(file.stem, found, None)
