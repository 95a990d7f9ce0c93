# SPDX-License-Identifier: Apache-2.0
"""Pairs of Mahimahi traces, `STEM.up` and `STEM.down`."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bridge import csv_rows
from bridge.csv_rows import FileRefused
from bridge.network import RequestError

from .folder import told_of, write
from .links import radio

OPPORTUNITY_BITS = 8 * 1500
WAYS = (".down", ".up")


def pairs(files: Sequence[Path]) -> dict[str, list[Path]]:
    """By stem, the file down and the file up; either of them, or the stem, names both. Raises `RequestError`."""
    stems = dict.fromkeys(file.with_suffix("") if file.suffix in WAYS else file for file in files)
    found = {stem.name: [Path(f"{stem}{way}") for way in WAYS] for stem in stems}
    if len(found) < len(stems):
        raise RequestError("FILE", "two pairs of one stem; the devices are called by it")
    lacking = next((file for pair in found.values() for file in pair if not file.is_file()), None)
    if lacking is not None:
        raise RequestError("FILE", f"{lacking} is not there; a link has {' and '.join(WAYS)} with one stem")
    return found


def tell(found: dict[str, list[Path]]) -> list[str]:
    """For the preview. Raises `FileRefused` for a trace that cannot be played."""
    return [line for pair in found.values() for file in pair for line in told_of(file.name, [_told(file)])]


def write_pairs(found: dict[str, list[Path]], folder: Path) -> Path:
    """Copy the traces, and write `radio.toml`. Raises `RequestError` naming OUT."""
    files: dict[str, str | bytes] = {file.name: file.read_bytes() for pair in found.values() for file in pair}
    return write(folder, files, radio(folder, [*found], [*files], ""))


def _told(file: Path) -> str:
    times_ms: list[int] = []
    for number, line in csv_rows.lines(file):
        text = line.strip()
        if not (text.isascii() and text.isdigit() and len(text) < 12):
            raise FileRefused(f"{file}:{number}: {text!r} is not a whole number of milliseconds")
        if times_ms and int(text) < times_ms[-1]:
            raise FileRefused(f"{file}:{number}: {text} ms lies before the {times_ms[-1]} ms of the line before")
        times_ms.append(int(text))
    if not times_ms or times_ms[-1] == 0:
        raise FileRefused(f"{file}: the last time is how long the trace lasts, and cannot be 0 ms")
    seconds = [0] * -(-times_ms[-1] // 1000)
    for time_ms in times_ms:
        seconds[max(time_ms - 1, 0) // 1000] += 1
    rates = [count * OPPORTUNITY_BITS / 1e6 for count in seconds[: times_ms[-1] // 1000] or seconds]
    mean = len(times_ms) * OPPORTUNITY_BITS / times_ms[-1] / 1e3
    return (
        f"{len(times_ms)} packets over {times_ms[-1] / 1000:.10g} s; by the second, least {min(rates):.4g}, median "
        f"{median(rates):.4g}, greatest {max(rates):.4g}, mean over time {mean:.4g} Mbit/s"
    )
