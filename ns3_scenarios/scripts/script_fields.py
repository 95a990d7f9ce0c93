# SPDX-License-Identifier: GPL-2.0-only
"""Whether a script's fields can be parameters, beside those and the methods that every scenario has."""

import ast
import inspect
from pathlib import Path

from msgspec import inspect as types

from bridge.network import RequestError

from ..scenario import Scenario

_OURS = {field.name: field.type for field in types.type_info(Scenario).fields}  # type: ignore[attr-defined]
_ANNOTATIONS = {
    "transport": 'Literal["udp", "tcp"]',
    "movement": "Movement | None",
    "life": "tuple[Life, ...]",
    "background": "tuple[Load, ...]",
    "outputs": "tuple[Output, ...]",
}
_MAY_BE_FIELDS = {"attach_s", "build_limit_s"}
_TAKEN = {name for name in dir(Scenario) if not name.startswith("_")} - _OURS.keys() - _MAY_BE_FIELDS | {
    "name",
    "scenario",
}


def check_fields(kind: type[Scenario], path: Path) -> None:
    """Raise `RequestError("FILE:LINE", reason)` for a field, or a plain attribute, whose name means something else.

    A parameter of every scenario may get another default, in a field of the same type.
    """
    for field in types.type_info(kind).fields:  # type: ignore[attr-defined]
        if field.name in _TAKEN:
            raise _refusal(kind, path, field.name, "is not free for a parameter: every scenario has it for another use")
        if field.name in _OURS and field.type != _OURS[field.name]:
            reason = "is a parameter of every scenario, of another type; give yours another name"
            raise _refusal(kind, path, field.name, reason)
    for owner in kind.__mro__[: kind.__mro__.index(Scenario)]:
        for name in _OURS.keys() & vars(owner).keys() - inspect.get_annotations(owner).keys():
            reason = "is a parameter of every scenario; another default needs the annotation that it has there"
            raise _refusal(kind, path, name, f"{reason}, {name}: {_ANNOTATIONS[name]}")


def _refusal(kind: type[Scenario], path: Path, name: str, reason: str) -> RequestError:
    return RequestError(f"{path}:{_line(kind, path, name)}", f"{name} {reason}")


def _line(kind: type[Scenario], path: Path, name: str) -> int:
    """Where a class of the file, or one that it derives from, gives this name a meaning."""
    owners = {owner.__name__ for owner in kind.__mro__}
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ClassDef) and node.name in owners:
            for statement in node.body:
                targets = (
                    statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
                )
                if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                    return statement.lineno
    return 1
