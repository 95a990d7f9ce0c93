# SPDX-License-Identifier: Apache-2.0
"""Rows of task files, with what is wrong in them said by file, line and field."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from bridge.network import RequestError

FIELD = "workload.tasks"


class Row:
    """One row of a file: its fields by name. Every method refuses what a field cannot be."""

    def __init__(self, path: Path, line: int, values: Any):
        self.path, self.line = path, line
        if not isinstance(values, dict):
            raise RequestError(FIELD, f"{path}:{line}: is no object with fields in braces")
        self.values: dict[str, Any] = values

    def refuse(self, field: str, reason: str) -> NoReturn:
        """Raise `RequestError` for a field."""
        raise RequestError(FIELD, f"{self.path}:{self.line}: {field}: {reason}")

    def value(self, field: str) -> Any:
        """A field that has to be there."""
        if field not in self.values:
            there = ", ".join(self.values) or "none at all"
            self.refuse(field, f"is not there; the fields are {there}")
        return self.values[field]

    def text(self, field: str, *, empty: bool = False) -> str:
        """A text, which may be empty only if so said."""
        return self._text(field, self.value(field), empty)

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of texts, of which none is empty."""
        return self.checked_texts(field, self.value(field))

    def checked_texts(self, field: str, values: Any) -> tuple[str, ...]:
        """`values` as such a list."""
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            self.refuse(field, "is no list of texts")
        return tuple(self._text(f"{field}[{index}]", value, False) for index, value in enumerate(values))

    def choices(self, field: str, values: Any = None) -> tuple[str, ...]:
        """A list of at least two texts; `values` as such a list, if they are given."""
        choices = self.checked_texts(field, self.value(field) if values is None else values)
        if len(choices) < 2:
            self.refuse(field, "has one choice alone")
        return choices

    def index(self, field: str, count: int) -> int:
        """A number from 0 to below `count`, which may be written as text."""
        value = self.value(field)
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if value in ("", "-1", -1):
            self.refuse(field, "the answer is kept secret here; take the file for validation")
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
            self.refuse(field, f"{value!r} is no number from 0 to {count - 1}")
        return value

    def truth(self, field: str) -> bool:
        """True or false; also as 1 or 0."""
        value = self.value(field)
        if value not in (True, False):
            self.refuse(field, f"{value!r} is neither true nor false")
        return bool(value)

    def label(self, field: str, labels: Sequence[str]) -> int:
        """Which of `labels` it is."""
        value = self.text(field).strip()
        if value not in labels:
            self.refuse(field, f"{value!r} is none of {', '.join(labels)}")
        return list(labels).index(value)

    def part(self, field: str) -> "Row":
        """The object that a field holds."""
        value = self.value(field)
        if not isinstance(value, dict):
            self.refuse(field, "is no object with fields in braces")
        return Row(self.path, self.line, value)

    def _text(self, field: str, value: Any, empty: bool) -> str:
        if not isinstance(value, str):
            self.refuse(field, f"{value!r} is no text")
        if not empty and not value.strip():
            self.refuse(field, "is empty")
        try:
            value.encode()
        except UnicodeEncodeError:
            self.refuse(field, "has half of a pair of surrogates, which is no character")
        return value


def rows(path: Path) -> list[Row]:
    """The rows of a file of JSON objects, one a line, or a Parquet file; `.gz` is unpacked.

    Lines may end as on Windows, the file may begin with a byte order mark, and empty lines are passed over. Raises
    `RequestError` for a file without rows, or one that cannot be read, by line.
    """
    found = list(_parquet(path) if path.suffix == ".parquet" else _json(path))
    if not found:
        raise RequestError(FIELD, f"{path} is empty")
    return found


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 text file with their numbers, from 1, without their ends."""
    data = read_bytes(path)
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise RequestError(FIELD, f"{path} cannot be unpacked: {error}") from None
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            yield number, line.removesuffix(b"\r").decode()
        except UnicodeDecodeError as error:
            raise RequestError(FIELD, f"{path}:{number}: is no UTF-8 text: {error.reason}") from None


def csv_rows(path: Path, fields: Sequence[str]) -> list[Row]:
    """The rows of a CSV file without a head line, whose columns are `fields`."""
    whole = "\n".join(line for _, line in lines(path))
    reader = csv.reader(io.StringIO(whole, newline=""), strict=True)
    found, first = [], 1
    try:
        for columns in reader:
            if columns:
                if len(columns) != len(fields):
                    wanted = f"{len(fields)} columns ({', '.join(fields)})"
                    raise RequestError(FIELD, f"{path}:{first}: has {len(columns)} columns, not {wanted}")
                found.append(Row(path, first, dict(zip(fields, columns, strict=True))))
            first = reader.line_num + 1
    except csv.Error as error:
        raise RequestError(FIELD, f"{path}:{reader.line_num}: is no CSV: {error}") from None
    return found


def read_bytes(path: Path) -> bytes:
    """What a file holds. Raises `RequestError` for one that cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(FIELD, f"{path} cannot be read: {error.strerror}") from None


def _json(path: Path) -> Iterator[Row]:
    for number, line in lines(path):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RequestError(FIELD, f"{path}:{number}: is no JSON: {error}") from None
        yield Row(path, number, values)


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow  # noqa: PLC0415  (an extra; only for those who have such files)
        from pyarrow import parquet  # noqa: PLC0415
    except ModuleNotFoundError:
        raise RequestError(FIELD, f"{path} needs pyarrow; pip install 'wdmoe-cosim[tables]'") from None
    try:
        table = parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise RequestError(FIELD, f"{path} is no Parquet file: {str(error).splitlines()[0]}") from None
    for number, values in enumerate(table.to_pylist(), 1):
        yield Row(path, number, values)
