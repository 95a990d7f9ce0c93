# SPDX-License-Identifier: Apache-2.0
"""Tasks by what a user calls them: a shipped one, `READER:FILE`, or a file in this program's own format."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from bridge.names import meant
from bridge.network import RequestError
from model_side.tasks import public
from model_side.tasks.item import Item, Task, Text
from model_side.tasks.own import own
from model_side.tasks.rows import FIELD, Row, read_bytes, rows
from model_side.tasks.wikitext import wikitext

_SHIPPED = Path(__file__).parent.parent / "shipped"


def held_out(row: Row) -> Item:
    """A passage of held-out text, by its source."""
    return Text(line=row.line, subject=row.text("source"), text=row.text("text"))


def _by_row(reader: Callable[[Row], Item]) -> Callable[[Path], list[Item]]:
    return lambda path: [reader(row) for row in rows(path)]


READERS: dict[str, Callable[[Path], list[Item]]] = {
    "mmlu": public.mmlu,
    "arc": _by_row(public.arc),
    "piqa": public.piqa,
    "boolq": _by_row(public.boolq),
    "hellaswag": _by_row(public.hellaswag),
    "gsm8k": _by_row(public.gsm8k),
    "wikitext": wikitext,
    "humaneval": _by_row(public.humaneval),
}
"""Of public files, by the name that goes before theirs."""

SHIPPED: dict[str, tuple[Path, Callable[[Path], list[Item]]]] = {
    "cloze": (_SHIPPED / "tasks" / "cloze.jsonl", _by_row(own)),
    "held-out": (_SHIPPED / "prompts" / "held-out.jsonl", _by_row(held_out)),
}
"""Files and readers of what comes with the package."""


def read_task(asked: str) -> Task:
    """The task `asked`. Raises `RequestError` naming `workload.tasks`, and file, line and field that are wrong."""
    if asked in SHIPPED:
        path, reader = SHIPPED[asked]
        name = asked
    else:
        kind, _, file = asked.partition(":")
        if not file:
            kind, file = "", asked
        path = Path(file).expanduser()
        name = f"{kind}:{path.stem}" if kind else path.stem
        if kind and kind not in READERS:
            raise RequestError(
                FIELD, f"there is no reader {kind!r}; there are {', '.join(READERS)}{meant(kind, READERS)}"
            )
        reader = READERS[kind] if kind else _by_row(own)
    if not path.exists():
        there = f"neither a file nor one of {', '.join(SHIPPED)}{meant(asked, SHIPPED)}"
        raise RequestError(FIELD, f"{asked}: {path} is {there}")
    if path.is_dir() and asked.partition(":")[0] != "mmlu":
        raise RequestError(FIELD, f"{path} is a folder; name a file")
    items = reader(path)
    _hold_one_kind(path, items)
    return Task(name, str(path), digest(path), tuple(items))


def read_tasks(asked: Sequence[str]) -> list[Task]:
    """The tasks `asked`, each named once."""
    tasks = [read_task(each) for each in asked]
    names = [task.name for task in tasks]
    for name in names:
        if names.count(name) > 1:
            raise RequestError(FIELD, f"two tasks are called {name}; rename one of their files")
    return tasks


def _hold_one_kind(path: Path, items: Sequence[Item]) -> None:
    first = items[0]
    for item in items:
        if type(item) is not type(first):
            kinds = f"{type(item).__name__.lower()}, and line {first.line} of {type(first).__name__.lower()}"
            raise RequestError(FIELD, f"{path}:{item.line}: is of the kind {kinds}; give each kind a file of its own")


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of the names and digests of its files."""
    if path.is_file():
        return hashlib.sha256(read_bytes(path)).hexdigest()
    parts = "".join(f"{file.name} {digest(file)}\n" for file in sorted(path.glob("*.csv")))
    return hashlib.sha256(parts.encode()).hexdigest()
