# SPDX-License-Identifier: GPL-2.0-only
"""What scenarios there are and what parameters they have, as JSON: `python -m ns3_scenarios.catalogue`.

Without an argument a list of the built-in scenarios; with NAME, FILE.py or FILE.py:CLASS its parameters; with
`--template` behind it its source, fit to stand in a file of its own; with `--values`, and these as msgpack on standard
input, also how many devices it has with them ("devices", null where only building it tells), or a list of that for a
list of values. A refusal, also of the values, is JSON too, with exit code 2; of a list's, with the "number" in it.
"""

import argparse
import faulthandler
import inspect
import os
import re
import sys
from contextlib import redirect_stdout
from importlib.util import resolve_name
from typing import Any

import msgspec
from msgspec import inspect as types

from bridge.network import RequestError

from .scenario import Scenario
from .scenarios import SCENARIOS, scenario_class
from .scripts.said import Said
from .scripts.script import told_by_line

UNITS = {
    "s": "s",
    "m": "m",
    "mps": "m/s",
    "db": "dB",
    "dbm": "dBm",
    "ns": "ns",
    "hz": "Hz",
    "mhz": "MHz",
    "bps": "bit/s",
    "bytes": "bytes",
    "bits": "bits",
    "packets": "packets",
    "deg": "degrees",
    "j": "J",
    "w": "W",
}
"""What the end of a parameter's name says of its unit."""


def main() -> int:
    """Print what was asked for. Exit code 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m ns3_scenarios.catalogue")
    parser.add_argument("scenario", nargs="?")
    parser.add_argument("--template", action="store_true")
    parser.add_argument("--values", action="store_true")
    arguments = parser.parse_args()
    values = msgspec.msgpack.decode(sys.stdin.buffer.read()) if arguments.values else None
    faulthandler.enable(2)
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # whatever a script writes, also past Python, is no part of the answer
        with Said(sys.stderr) as said, redirect_stdout(said):
            answer, code = _answer_or_refusal(arguments.scenario, arguments.template, values)
        answers.write(msgspec.json.encode(answer))
    return code


Values = dict[str, Any] | list[dict[str, Any]] | None


def _answer_or_refusal(scenario: str | None, template: bool, values: Values) -> tuple[Any, int]:
    try:
        return _answer(scenario, template, values), 0
    except _Refused as refused:
        return {"field": refused.error.field, "reason": refused.error.reason, "number": refused.number}, 2
    except RequestError as error:
        return {"field": error.field, "reason": error.reason}, 2


class _Refused(Exception):
    """Which of a list's values were refused."""

    def __init__(self, number: int, error: RequestError):
        self.number, self.error = number, error


def _answer(scenario: str | None, template: bool, values: Values) -> Any:
    if scenario is None:
        return {name: summary(kind) for name, kind in sorted(SCENARIOS.items())}
    kind = scenario_class(scenario)
    if template:
        return source(kind)
    with told_by_line(scenario):
        devices = _each(kind, values) if isinstance(values, list) else _devices(kind, values)
        return {"summary": summary(kind), "parameters": parameters(kind), "devices": devices}


def _each(kind: type[Scenario], values: list[dict[str, Any]]) -> list[int | None]:
    found = []
    for number, each in enumerate(values):
        try:
            found.append(_devices(kind, each))
        except RequestError as error:
            raise _Refused(number, error) from None
    return found


def _devices(kind: type[Scenario], values: dict[str, Any] | None) -> int | None:
    devices = None if values is None else getattr(kind.parse(values), "devices", None)
    return devices if isinstance(devices, int) else None


def summary(kind: type[msgspec.Struct]) -> str:
    """The first line of the docstring; "" if it has none of its own."""
    return inspect.cleandoc(vars(kind).get("__doc__") or "").partition("\n")[0]


def parameters(kind: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """For each parameter its name, type, unit, default and meaning, as text, and the tables that it can hold.

    Of each such table the key and value by which it is chosen among others ("" if there are none), its summary and
    its parameters.
    """
    info = types.type_info(kind)
    assert isinstance(info, types.StructType)
    meanings = _meanings(kind)
    return [
        {
            "name": field.name,
            "type": described(field.type),
            "unit": UNITS.get(field.name.rpartition("_")[2], "") if "_" in field.name else "",
            "default": _default(field),
            "meaning": meanings.get(field.name, ""),
            "tables": [
                {
                    "choice": f'{table.tag_field} = "{table.tag}"' if table.tag_field else "",
                    "summary": summary(table.cls),
                    "parameters": parameters(table.cls),
                }
                for table in _tables(field.type)
            ],
        }
        for field in info.fields
    ]


def _tables(kind: types.Type) -> list[types.StructType]:
    """The structs that a value of this type can be or hold."""
    match kind:
        case types.StructType():
            return [kind]
        case types.UnionType():
            return [table for part in kind.types for table in _tables(part)]
        case types.TupleType():
            return [table for part in kind.item_types for table in _tables(part)]
        case types.VarTupleType() | types.ListType():
            return _tables(kind.item_type)
    return []


def described(kind: types.Type) -> str:
    """A parameter's type and constraints in words."""
    match kind:
        case types.LiteralType():
            return ", ".join(str(value) for value in kind.values)
        case types.UnionType():
            return " or ".join(dict.fromkeys(map(described, kind.types)))
        case types.TupleType():
            items = [described(item) for item in kind.item_types]
            same = len(items) > 1 and len(set(items)) == 1
            return f"[{len(items)} × {items[0]}]" if same else f"[{', '.join(items)}]"
        case types.VarTupleType() | types.ListType():
            length = _range(kind.min_length, None, kind.max_length, None)
            item = described(kind.item_type)
            return f"list of {'tables' if item == 'table' else item}" + (length and f"; length{length}")
        case types.IntType() | types.FloatType():
            return _WORDS[type(kind)] + _range(kind.ge, kind.gt, kind.le, kind.lt)
    return _WORDS.get(type(kind)) or type(kind).__name__.removesuffix("Type").lower()


_WORDS: dict[type[types.Type], str] = {
    types.BoolType: "true or false",
    types.IntType: "integer",
    types.FloatType: "number",
    types.StrType: "text",
    types.NoneType: "unset",
    types.StructType: "table",
}


def source(kind: type[Scenario]) -> str:
    """The source of the file in which a scenario is written, with imports that hold anywhere."""
    module = inspect.getmodule(kind)
    assert module is not None
    package = module.__name__.rpartition(".")[0]

    def absolute(match: re.Match[str]) -> str:
        return f"from {resolve_name(match[1], package)} import"

    return re.sub(r"^from (\.[\w.]*) import", absolute, inspect.getsource(module), flags=re.MULTILINE)


def _range(ge: float | None, gt: float | None, le: float | None, lt: float | None) -> str:
    if ge is not None and le is not None:
        return f" {ge:.10g} to {le:.10g}"
    bounds = ((">=", ge), (">", gt), ("<=", le), ("<", lt))
    return "".join(f" {sign} {bound:.10g}" for sign, bound in bounds if bound is not None)


def _default(field: types.Field) -> str:
    value = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    if value is msgspec.NODEFAULT:
        return "required"
    return "unset" if value is None else msgspec.json.encode(value).decode()


def _meanings(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The paragraphs of the docstrings, a base's before its heirs', that begin with "`name`: " or "`a`, `b`: "."""
    meanings: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        text = inspect.cleandoc(vars(owner).get("__doc__") or "")
        for paragraph in re.split(r"\n(?=`\w+`(?:, `\w+`)*: )|\n\s*\n", text):
            names, colon, meaning = paragraph.partition(": ")
            if colon and re.fullmatch(r"`\w+`(, `\w+`)*", names):
                meanings |= dict.fromkeys(re.findall(r"\w+", names), " ".join(meaning.split()))
    return meanings


if __name__ == "__main__":
    sys.exit(main())
