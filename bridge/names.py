# SPDX-License-Identifier: Apache-2.0
"""Names that nobody knows: what there is instead, and which of it was probably meant."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from enum import Enum
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

_SIMILAR = 0.6  # difflib's measure: 1 for the same word
_TOLD = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a section",
}
"""What msgspec calls a type, and what a user does who has read no manual of it."""
_GOT = _TOLD | {"float": "a number with a fraction"}


class Misfit(NamedTuple):
    """What msgspec found wrong with plain values: where, as `.section.key[3]`, and why; `unknown` names a stray key."""

    place: str
    unknown: str | None
    reason: str
    hint: str
    """What may have been meant, to go behind a reason; or ""."""


def meant(name: str, known: Iterable[str]) -> str:
    """`; did you mean NAME?` for the one of `known` that is most like `name`, or "" if none is."""
    words = {word.lower(): word for word in known}
    close = get_close_matches(name.lower(), words, n=1, cutoff=_SIMILAR)
    return f"; did you mean {words[close[0]]}?" if close else ""


def misfit(error: msgspec.ValidationError, kind: type[msgspec.Struct]) -> Misfit:
    """What was wrong with the values that were to become a `kind`."""
    reason, _, where = str(error).partition(" - at `$")
    place = where.rstrip("`")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", reason)
    if unknown:
        fields = [field for table in _tables(_at(kind, place)) for field in _keys(table)]
        return Misfit(place, unknown[1], reason, meant(unknown[1], fields))
    value = re.fullmatch(r"Invalid (?:enum )?value ('?)(.*)\1", reason)
    if value:
        there, others = _values(kind, place), _kinds(kind, place)
        choices = ", ".join(there) + (f", or {' or '.join(others)}" if others else "")
        hint = (f"; there are {choices}" if there else "") + meant(value[2], there)
        return Misfit(place, None, f"nobody knows {value[1]}{value[2]}{value[1]}", hint)
    return Misfit(place, None, _in_words(reason), "")


def _in_words(reason: str) -> str:
    """Msgspec's "Expected `int | null` >= 1, got `float`" as a user would say it."""
    found = re.fullmatch(r"Expected `([\w |]+)`( .*?)?(?:, got (?:`(\w+)`|(\d+)))?", reason)
    if not found:
        return reason
    names = [name for name in found[1].split(" | ") if name != "null"]
    bound = re.sub(r"\.0$", "", found[2] or "")
    if length := re.fullmatch(r" of length (>=|<=)? ?(\d+)", bound):
        how = {">=": "at least ", "<=": "at most ", None: ""}[length[1]]
        bound = f" of {how}{length[2]} {'item' if names == ['array'] else 'character'}{'s' * (length[2] != '1')}"
    brackets = " in [brackets]" if names == ["array"] else ""
    expected = "expected " + " or ".join(_TOLD.get(name, name) for name in names) + brackets + bound
    if found[4]:
        return f"{expected}, got {found[4]}"
    if not found[3]:
        return expected
    if names == ["bool"]:
        expected += ", in small letters and without quotes"
    got = _GOT if "int" in names and "float" not in names else _TOLD
    return f"{expected}, got {got.get(found[3], found[3])}"


def _at(kind: type[msgspec.Struct], place: str) -> list[inspect.Type]:
    """The types that a value can have at a place such as `.section.list[3].key`."""
    types: list[inspect.Type] = [inspect.type_info(kind)]
    for key, index in re.findall(r"\.(\w+)|\[(\d+|\.\.\.)\]", place):
        if key:
            types = [field.type for table in _tables(types) for field in table.fields if field.encode_name == key]
        else:
            types = [item for one in types for item in _items(one, index)]
    return types


def _items(kind: inspect.Type, index: str) -> list[inspect.Type]:
    match kind:
        case inspect.UnionType():
            return [item for part in kind.types for item in _items(part, index)]
        case inspect.TupleType():
            return list(kind.item_types[int(index) :][:1])
        case inspect.VarTupleType() | inspect.ListType():
            return [kind.item_type]
        case inspect.DictType():
            return [kind.value_type]
    return []


def _tables(types: Iterable[inspect.Type]) -> list[inspect.StructType]:
    tables = []
    for kind in types:
        if isinstance(kind, inspect.StructType):
            tables.append(kind)
        elif isinstance(kind, inspect.UnionType):
            tables += _tables(kind.types)
    return tables


def _keys(table: inspect.StructType) -> list[str]:
    tag = [table.tag_field] if table.tag_field else []
    return [*tag, *(field.encode_name for field in table.fields)]


def _values(kind: type[msgspec.Struct], place: str) -> list[str]:
    """The words that can stand at a place."""
    owner, _, key = place.rpartition(".")
    tags = [str(table.tag) for table in _tables(_at(kind, owner)) if table.tag_field == key]
    return tags or [word for one in _at(kind, place) for word in _words(one)]


def _kinds(kind: type[msgspec.Struct], place: str) -> list[str]:
    """What else than a word can stand at a place."""
    names = {inspect.IntType: "int", inspect.FloatType: "float", inspect.BoolType: "bool", inspect.ListType: "array"}
    parts = [part for one in _at(kind, place) for part in (one.types if isinstance(one, inspect.UnionType) else [one])]
    return list(dict.fromkeys(_TOLD[names[type(part)]] for part in parts if type(part) in names))


def _words(kind: Any) -> list[str]:
    match kind:
        case inspect.UnionType():
            return [word for part in kind.types for word in _words(part)]
        case inspect.LiteralType():
            return [str(value) for value in kind.values]
        case inspect.EnumType():
            return [str(member.value) for member in kind.cls if isinstance(member, Enum)]
    return []
