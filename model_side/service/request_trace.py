# SPDX-License-Identifier: Apache-2.0
"""Recorded arrivals: a CSV of time, prompt tokens and new tokens, read row by row, so that any length fits in memory.

Three sets of columns are known: our own, those of the Azure LLM inference traces, and those of BurstGPT. In BurstGPT's
a request that failed has a response of 0 tokens; it is passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bridge.csv_rows import FileRefused, Row, lines, parsed
from bridge.network import NS_PER_S, RequestError

FIELD = "arrivals.trace"
_MOST_TOKENS = 2**31 - 1
_MOST_S = 1e9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RecordedRequest(NamedTuple):
    """A request that arrived `at_ns` after the first one; `place` is its `FILE:LINE`."""

    at_ns: int
    prompt_tokens: int
    new_tokens: int
    place: str


@dataclass(frozen=True)
class _Columns:
    """The names of the three columns; `dated`: whether times are dates; `fails`: whether 0 new tokens are a failure."""

    time: str
    prompt: str
    new: str
    dated: bool = False
    fails: bool = False

    @property
    def names(self) -> tuple[str, str, str]:
        """All three."""
        return self.time, self.prompt, self.new


_OWN = _Columns("time_s", "prompt_tokens", "new_tokens")
_AZURE = _Columns("TIMESTAMP", "ContextTokens", "GeneratedTokens", dated=True)
_BURST_GPT = _Columns("Timestamp", "Request tokens", "Response tokens", fails=True)


def read_trace(path: Path) -> Iterator[RecordedRequest]:
    """The requests of a trace in their order. Raises `RequestError` with `FILE:LINE` for what is none.

    Times count from the first row's, and never go back.
    """
    try:
        yield from _requests(path)
    except FileRefused as error:
        raise RequestError(FIELD, str(error)) from None


def _requests(path: Path) -> Iterator[RecordedRequest]:
    first_ns = latest_ns = None
    for row, columns in _rows(path):
        at_ns = _time_ns(row, columns)
        prompt, new = (_tokens(row, name, 0 if columns.fails else 1) for name in columns.names[1:])
        if latest_ns is not None and at_ns < latest_ns:
            early = f"{columns.time} {row.values[columns.time]!r} is before that of the row above"
            raise FileRefused(f"{row.place}: {early}; sort the rows by time")
        latest_ns = at_ns
        first_ns = at_ns if first_ns is None else first_ns
        if prompt and new:
            yield RecordedRequest(at_ns - first_ns, prompt, new, row.place)
        elif new:
            raise FileRefused(f"{row.place}: {columns.prompt} is 0; a request has a prompt")
    if first_ns is None:
        raise FileRefused(f"{path}: there is no request in it")


def _rows(path: Path) -> Iterator[tuple[Row, _Columns]]:
    """The rows, and which columns they have; these are told by the first line that is no comment."""
    numbered = lines(path)
    before: list[tuple[int, str]] = []
    columns = _OWN
    for number, line in numbered:
        before.append((number, line))
        if line.strip() and not line.lstrip().startswith("#"):
            named = {name.strip().strip('"') for name in line.replace(";", ",").replace("\t", ",").split(",")}
            columns = next((each for each in (_AZURE, _BURST_GPT) if {*each.names} <= named), _OWN)
            break
    for row in parsed(path, _both(before, numbered), columns.names):
        yield row, columns


def _both(before: list[tuple[int, str]], after: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield from before
    yield from after


def _time_ns(row: Row, columns: _Columns) -> int:
    if not columns.dated:
        return round(row.figure(columns.time, 0, _MOST_S) * NS_PER_S)
    text = row.values[columns.time]
    whole, _, rest = text.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    try:
        moment = datetime.fromisoformat(whole + rest[digits:])
    except ValueError:
        raise FileRefused(f"{row.place}: {columns.time} {text!r} is no time, as 2023-11-16 18:15:46.6805900") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * NS_PER_S + int(rest[:digits].ljust(9, "0")[:9])


def _tokens(row: Row, name: str, least: int) -> int:
    value = row.figure(name, least, _MOST_TOKENS)
    if value != int(value):
        raise FileRefused(f"{row.place}: {name} {row.values[name]!r} is no whole number")
    return int(value)
