# SPDX-License-Identifier: Apache-2.0
"""What a run takes in beside its configuration: the files and folders that this names, by what is in them."""

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from cosim.config import Config


def inputs_of(config: Config) -> dict[str, str]:
    """A digest of each file, and of the files right in each folder, that a value of the configuration names.

    Relative names hold from the working directory. What is no file here (a built-in name, a model of the hub) is in
    the configuration as it is.
    """
    found = {}
    for text in _texts(msgspec.to_builtins(config)):
        path = Path(re.sub(r"^\w[\w-]*:(?!/)|(?<=\.py):\w+$", "", text)).expanduser()  # READER:FILE, FILE.py:CLASS
        if path.exists():
            found[text] = digest_of(path.resolve())
    return found


def _texts(value: Any) -> Iterator[str]:
    """All texts in plain values that can name a file."""
    if isinstance(value, str):
        yield from (step for step in value.split("+") if re.search(r"[/.]", step))
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


@cache
def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of the files right in a folder; read once in a process."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    parts = [f"{each.name} {digest_of(each)}" for each in sorted(path.iterdir()) if each.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
