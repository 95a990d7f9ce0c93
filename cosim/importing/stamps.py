# SPDX-License-Identifier: Apache-2.0
"""Time stamps as people write them, in seconds. Those that name no time zone are taken for UTC."""

from collections.abc import Callable
from datetime import UTC, datetime

from bridge.csv_rows import FileRefused

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
EPOCH_FROM = {"ns": 1e17, "us": 1e14, "ms": 1e11}
"""Numbers that begin so high count, since 1970, in such a unit; lower ones are seconds."""
WRITTEN = ("%Y.%m.%d_%H.%M.%S", "%a %b %d %H:%M:%S UTC %Y")
"""Beside ISO 8601: as G-NetTrack writes them, and as `date` does."""

Clock = Callable[[str], float]


def find(text: str, told: str | None, place: str) -> tuple[str, Clock]:
    """What time stamps are and how they are read, from the first of them.

    `told`: "s", "ms", "us", "ns", "iso" or a format of `strptime`; None finds out. A clock raises `ValueError`.
    Raises `FileRefused` where nothing known fits.
    """
    names = [told] if told is not None else [_by_size(text), "iso", *WRITTEN]
    for name in names:
        clock = _clock(name)
        try:
            clock(text)
        except ValueError:
            continue
        return name, clock
    reason = f"as {told} says" if told is not None else "that is known; say which (s, ms, us, ns, iso, or as strptime)"
    raise FileRefused(f"{place}: {text!r} is no time {reason}")


def _by_size(text: str) -> str:
    try:
        size = float(text)
    except ValueError:
        return "s"
    return next((unit for unit, least in EPOCH_FROM.items() if size >= least), "s")


def _clock(name: str) -> Clock:
    if name in UNITS:
        return lambda text: float(text) * UNITS[name]
    if name == "iso":
        return lambda text: _seconds(datetime.fromisoformat(text))
    return lambda text: _seconds(datetime.strptime(text, name))


def _seconds(time: datetime) -> float:
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
