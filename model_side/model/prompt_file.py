# SPDX-License-Identifier: Apache-2.0
"""Prompts of the user's own, one JSON object a line, each with a length of its own.

A line has `text`; or `tokens`, a list of token ids; or `messages`, a conversation for the model's chat template, as
`[{"role": "user", "content": "…"}]`. Other keys are left to the user. Read without PyTorch.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.network import RequestError

FIELD = "workload.text"
_KINDS = ("text", "tokens", "messages")


@dataclass(frozen=True)
class FilePrompt:
    """One line: where it stands, and the one of the three that it gives."""

    where: str
    text: str | None = None
    tokens: tuple[int, ...] | None = None
    messages: tuple[Mapping[str, Any], ...] | None = None


def is_prompt_file(text: str | Path) -> bool:
    """Whether a text is such a file, by its name."""
    return str(text).endswith(".jsonl")


def read_prompt_file(path: Path) -> list[FilePrompt]:
    """All prompts of a file. Raises `RequestError` naming `workload.text`, file, line and key."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(FIELD, f"{path} is not readable as UTF-8 text: {error}") from None
    return [_prompt(f"{path}, line {number}", line) for number, line in enumerate(lines, 1) if line.strip()]


def _prompt(where: str, line: str) -> FilePrompt:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise RequestError(FIELD, f"{where}: is no JSON: {error}") from None
    given = [kind for kind in _KINDS if isinstance(found, dict) and kind in found]
    if len(given) != 1:
        raise RequestError(FIELD, f"{where}: is no object with one of {', '.join(_KINDS)}")
    kind, value = given[0], found[given[0]]
    if kind == "text" and not (isinstance(value, str) and value):
        raise RequestError(FIELD, f"{where}: text is no text, or empty")
    if kind == "tokens" and not _is_list(value, lambda item: type(item) is int and item >= 0):
        raise RequestError(FIELD, f"{where}: tokens is no list of token ids, or empty")
    if kind == "messages" and not _is_list(value, lambda item: isinstance(item, dict) and "role" in item):
        raise RequestError(FIELD, f"{where}: messages is no list of objects with role and content, or empty")
    if kind == "text":
        return FilePrompt(where, text=value)
    return FilePrompt(where, tokens=tuple(value)) if kind == "tokens" else FilePrompt(where, messages=tuple(value))


def _is_list(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(map(fits, value))
