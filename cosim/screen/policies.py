# SPDX-License-Identifier: Apache-2.0
"""Expert-selection policies: listed, described, as a template."""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bridge.network import RequestError
from cosim.screen.fitting import print_table
from model_side.policies import COMPOSITIONS, POLICIES, Policy, policy_kinds
from model_side.policies.files import installed


def listed() -> list[dict[str, str]]:
    """The policies that there are, each with a summary."""
    known = {name: _summary(kind) for name, kind in POLICIES.items()}
    known |= {name: f"{steps}: one step after another." for name, steps in COMPOSITIONS.items()}
    known |= {name: f"of {point.value}" for name, point in installed().items()}
    return [{"name": name, "summary": summary} for name, summary in known.items()]


def print_list(console: Console) -> None:
    """Print the policies that there are, one line each."""
    table = Table(show_edge=False, pad_edge=False, box=None, show_header=False)
    for policy in listed():
        table.add_row(policy["name"], escape(policy["summary"]))
    console.print(table)


def described(name: str) -> list[dict[str, Any]]:
    """Each step of a policy, as `print_policy` prints it. Raises `RequestError` likewise."""
    return [
        {
            "name": kind.name,
            "summary": _summary(kind),
            "formula": kind.formula,
            "source": kind.source,
            "options": list(_options(kind)),
        }
        for kind in policy_kinds(name)
    ]


def print_policy(name: str, console: Console) -> None:
    """Print each step's rule, source and options. Raises `RequestError` for a policy that nobody knows."""
    for kind in policy_kinds(name):
        console.print(f"{kind.name}: {_summary(kind)}", highlight=False, markup=False, soft_wrap=True)
        for what in ("formula", "source"):
            if words := getattr(kind, what):
                console.print(f"{what}: {words}", highlight=False, markup=False, soft_wrap=True)
        if kind.__struct_fields__:
            print_table(_option_table(kind), console)


def template_of(name: str) -> str:
    """The source of a policy, to start one's own from. Raises `RequestError` for one of several steps."""
    kinds = policy_kinds(name)
    if len(kinds) > 1:
        raise RequestError("NAME", f"{name} has several steps, {', '.join(kind.name for kind in kinds)}; take one")
    module = sys.modules[kinds[0].__module__]
    source = Path(kinds[0].file or module.__file__ or "").read_text(encoding="utf-8")
    return re.sub(r"^    name: ClassVar\[str\] = .*\n", "", source, flags=re.MULTILINE)  # the class's own name does


def _options(kind: type[Policy]) -> Iterator[dict[str, str]]:
    said = inspect.getdoc(kind) or ""
    for field in msgspec.inspect.type_info(kind).fields:  # type: ignore[attr-defined]
        yield {
            "option": f"policy.{kind.name}.{field.name}",
            "type": type_in_words(field.type),
            "default": "" if field.default is msgspec.NODEFAULT else str(field.default),
            "meaning": meaning(field.name, said),
        }


def _option_table(kind: type[Policy]) -> Table:
    table = Table(title_justify="left", show_edge=False, pad_edge=False)
    for heading in ("option", "type", "default", "meaning"):
        table.add_column(heading, overflow="fold")
    for option in _options(kind):
        table.add_row(option["option"], option["type"], option["default"], escape(option["meaning"]))
    return table


def _summary(kind: type[Policy]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")


def meaning(option: str, said: str) -> str:
    """What the docstring `said` has behind an option's name, "" if nothing."""
    match = re.search(rf"^((?:`\w+`, )*`{option}`(?:, `\w+`)*): (.*?)(?=\n`|\n\n|\Z)", said, re.MULTILINE | re.DOTALL)
    return " ".join(match[2].split()) if match else ""


def type_in_words(kind: msgspec.inspect.Type) -> str:
    """A type in a user's words."""
    words = {
        msgspec.inspect.FloatType: "number",
        msgspec.inspect.IntType: "whole number",
        msgspec.inspect.BoolType: "true or false",
        msgspec.inspect.StrType: "text",
    }
    match kind:
        case msgspec.inspect.LiteralType():
            return ", ".join(f'"{value}"' for value in kind.values)
        case msgspec.inspect.UnionType():
            return " or ".join(
                type_in_words(part) for part in kind.types if not isinstance(part, msgspec.inspect.NoneType)
            )
        case msgspec.inspect.ListType() | msgspec.inspect.VarTupleType():
            return f"list of {type_in_words(kind.item_type)}"
        case msgspec.inspect.EnumType():
            return ", ".join(f'"{value.value}"' for value in kind.cls)
    bounds = [
        f"{sign} {bound if isinstance(bound, int) else f'{bound:g}'}"
        for sign, bound in ((">", getattr(kind, "gt", None)), (">=", getattr(kind, "ge", None)),
                            ("<", getattr(kind, "lt", None)), ("<=", getattr(kind, "le", None)))
        if bound is not None
    ]  # fmt: skip
    return ", ".join([words.get(type(kind), type(kind).__name__), *bounds])
