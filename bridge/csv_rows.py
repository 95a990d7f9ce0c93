# SPDX-License-Identifier: Apache-2.0
"""CSV as both sides read it: links, movement, background traffic, and what is imported into them.

One rule for all. Text is UTF-8, with or without a byte order mark; lines end with LF, CRLF or CR. Blank lines, and
those that begin with `#`, are passed over. The first other line names the columns, in any order, parted by commas, or
by semicolons or tabs where it has no comma; every further one has as many values. Values may stand in double quotes
and have blanks around them. Columns that nobody asked for are passed over, but for one that looks like a misspelt
other.
"""

import csv
import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EPOCH_S = 1e8
"""Times above, three years of virtual time, are taken for those of the epoch: seconds since 1970, or parts of them."""

_SEPARATORS = ",;\t"
_LIKENESS = 0.8


class FileRefused(ValueError):
    """A file that cannot be read. The message begins with `FILE:LINE`, or with FILE alone."""


@dataclass(frozen=True)
class Row:
    """A line's values by the names of their columns; `place` is its `FILE:LINE`."""

    place: str
    values: Mapping[str, str]

    def figure(self, name: str, least: float, most: float) -> float:
        """A number of the column. Raises `FileRefused` where it is none from `least` to `most`."""
        return figure(self.place, name, self.values[name], least, most)


def figure(place: str, name: str, text: str, least: float, most: float) -> float:
    """A number that stands at `FILE:LINE`. Raises `FileRefused` where it is none from `least` to `most`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        late = name.startswith("time") and EPOCH_S <= most < value < math.inf
        hint = ": a time of the epoch? They count from the recording's beginning" if late else ""
        raise FileRefused(f"{place}: {name} {text!r} is not a number from {least:g} to {most:g}{hint}")
    return value


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file from 1, without their ends. Raises `FileRefused`."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                yield number, line.rstrip("\n")
    except UnicodeDecodeError:
        raise FileRefused(f"{path}: cannot be read: not text in UTF-8") from None
    except OSError as error:
        raise FileRefused(f"{path}: cannot be read: {error.strerror or error}") from None


def rows(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a CSV that has at least the columns `required`, with the values of these and of those `optional`.

    Raises `FileRefused`.
    """
    return parsed(path, lines(path), required, optional)


def parsed(
    path: Path, numbered: Iterable[tuple[int, str]], required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[Row]:
    """As `rows`, from lines that were read from `path` before."""
    told = ((number, line) for number, line in numbered if line.strip() and not line.lstrip().startswith("#"))
    number, header = next(told, (0, ""))
    if not number:
        raise FileRefused(f"{path}: there is nothing in it")
    separator = next((mark for mark in _SEPARATORS if mark in header), ",")
    names = _names(f"{path}:{number}", header, separator, required, optional)
    place = f"{path}:{number}"

    def texts() -> Iterator[str]:
        nonlocal place
        for number, line in told:
            place = f"{path}:{number}"
            yield line + "\n"

    reader = csv.reader(texts(), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for values in reader:
            if len(values) != len(names):
                raise FileRefused(f"{place}: {len(values)} values for {len(names)} columns")
            known = zip(names, values, strict=True)
            yield Row(place, {name: value.strip() for name, value in known if name is not None})
    except csv.Error as error:
        raise FileRefused(f"{place}: not CSV: {error}") from None


def _names(
    place: str, header: str, separator: str, required: Sequence[str], optional: Sequence[str]
) -> list[str | None]:
    """The columns' names in their order, None for those that nobody asked for."""
    try:
        (found,) = csv.reader([header], delimiter=separator, skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise FileRefused(f"{place}: not CSV: {error}") from None
    found = [name.strip() for name in found]
    asked = [*required, *optional]
    wanted = ",".join([*required, *(f"[{name}]" for name in optional)])
    twice = next((name for name in asked if found.count(name) > 1), None)
    if twice is not None:
        raise FileRefused(f"{place}: two columns {twice}")
    missing = [name for name in asked if name not in found]
    for name in found:
        meant = None if name in asked else next((other for other in missing if _alike(name, other)), None)
        if meant is not None:
            raise FileRefused(f"{place}: there is a column {name}; is it {meant}? The columns are {wanted}")
    lacking = next((name for name in required if name not in found), None)
    if lacking is not None:
        raise FileRefused(f"{place}: no column {lacking} among {','.join(found)}; the columns are {wanted}")
    return [name if name in asked else None for name in found]


def _alike(name: str, other: str) -> bool:
    """Whether a name is another but for capitals, unit or a typing mistake: Delay, delay_ms, dealy_s for delay_s."""
    name, other = name.lower(), other.lower()
    same_stem = name.replace(" ", "_").partition("_")[0] == other.partition("_")[0]
    return same_stem or difflib.SequenceMatcher(None, name, other).ratio() >= _LIKENESS
