# SPDX-License-Identifier: Apache-2.0
"""This program's own task format: one JSON object a line (docs/runs/evaluation.md)."""

from typing import Any

from bridge.names import meant
from model_side.tasks.item import Choice, Generation, Item, Text
from model_side.tasks.rows import Row

_ALWAYS = {"context", "subject"}
_CHOICE = _ALWAYS | {"choices", "answer"}
_GENERATION = _ALWAYS | {"answer", "until", "new_tokens", "number"}
_TEXT = _ALWAYS | {"text"}
_MOST_NEW_TOKENS = 1 << 16


def own(row: Row) -> Item:
    """An item of the kind that its fields say: with `choices`, with an `answer` alone, or with `text`."""
    if "choices" in row.values:
        _hold_fields(row, _CHOICE)
        choices = row.choices("choices")
        return Choice(answer=_answer(row, choices), choices=choices, **_common(row))
    if "text" in row.values:
        _hold_fields(row, _TEXT)
        return Text(text=row.text("text"), **_common(row))
    if "answer" not in row.values:
        row.refuse("choices", "is not there, nor an answer alone, nor a text; a public file is named as READER:FILE")
    _hold_fields(row, _GENERATION)
    new_tokens, number = row.values.get("new_tokens", 64), row.values.get("number", False)
    if isinstance(new_tokens, bool) or not isinstance(new_tokens, int) or not 1 <= new_tokens <= _MOST_NEW_TOKENS:
        row.refuse("new_tokens", f"{new_tokens!r} is no number from 1 to {_MOST_NEW_TOKENS}")
    if not isinstance(number, bool):
        row.refuse("number", f"{number!r} is neither true nor false")
    until = row.values.get("until", ["\n"])
    if not isinstance(until, list) or not all(isinstance(end, str) and end for end in until):
        row.refuse("until", "is no list of texts")
    answers = row.texts("answer") if isinstance(row.value("answer"), list) else (row.text("answer"),)
    return Generation(answers=answers, until=tuple(until), new_tokens=new_tokens, number=number, **_common(row))


def _common(row: Row) -> dict[str, Any]:
    named = {field: row.text(field, empty=True) for field in sorted(_ALWAYS) if field in row.values}
    return {"line": row.line, **named}


def _answer(row: Row, choices: tuple[str, ...]) -> int:
    """The number of the right choice, or its text."""
    value = row.value("answer")
    if isinstance(value, str):
        if choices.count(value) > 1:
            row.refuse("answer", f"{value!r} is {choices.count(value)} of the choices; say its number, from 0 on")
        if value not in choices:
            row.refuse("answer", f"{value!r} is none of the choices, nor a number from 0 on")
        return choices.index(value)
    return row.index("answer", len(choices))


def _hold_fields(row: Row, known: set[str]) -> None:
    for field in row.values:
        if field not in known:
            row.refuse(field, f"is not known here; there are {', '.join(sorted(known))}{meant(field, known)}")
