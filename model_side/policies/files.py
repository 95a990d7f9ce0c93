# SPDX-License-Identifier: Apache-2.0
"""Policies that are not built in: a class in a Python file of the user's own, or one that an installed package brings.

What goes wrong in such a file is told by its line, as a compiler would, and not by a traceback through ours.
"""

import hashlib
import importlib.metadata
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bridge.network import RequestError
from model_side.policies.policy import Policy

ENTRY_POINTS = "wdmoe_cosim.policies"
"""The group under which a package names its policies."""

_FIELD = "policies"
_MODULE = "cosim_policy"


def parts(step: str) -> tuple[Path, str | None] | None:
    """File and class of `FILE.py` or `FILE.py:CLASS`; None for a name."""
    match = re.fullmatch(r"(.+\.py)(?::(\w+))?", step)
    return (Path(match[1]), match[2]) if match else None


def load_policy(step: str) -> type[Policy]:
    """The policy class that a file defines, read anew at each call.

    Raises `RequestError` naming `policies` if there is no such file or class, and `FILE:LINE` for what the file raises.
    """
    found = parts(step)
    assert found is not None
    path, wanted = found
    if not path.is_file():
        raise RequestError(_FIELD, f"{path} does not exist")
    kinds = _kinds(path)
    if not kinds:
        raise RequestError(_FIELD, f"{path} defines no class that derives from model_side.policies.Policy")
    if wanted is None and len(kinds) > 1:
        raise RequestError(
            _FIELD, f"{path} defines {', '.join(kinds)}; say which, as in {path.name}:{next(iter(kinds))}"
        )
    name = wanted or next(iter(kinds))
    if name not in kinds:
        raise RequestError(_FIELD, f"{path} has no policy {name}; it defines {', '.join(kinds)}")
    kind = kinds[name]
    if kind.__call__ is Policy.__call__:
        raise RequestError(_FIELD, f"{path}: {name} has no method __call__(self, layer)")
    kind.name = vars(kind).get("name") or name  # not that of a class which it derives from
    kind.file = str(path)
    return kind


def installed() -> dict[str, importlib.metadata.EntryPoint]:
    """The policies that installed packages bring, by name."""
    return {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def load_installed(point: importlib.metadata.EntryPoint) -> type[Policy]:
    """The class of an entry point. Raises `RequestError` naming `policies` if that is no policy or cannot be loaded."""
    try:
        kind = point.load()
    except Exception as error:
        raise RequestError(_FIELD, f"{point.name}, which {point.value} names, cannot be loaded: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, Policy)):
        raise RequestError(_FIELD, f"{point.name}, which {point.value} names, is no model_side.policies.Policy")
    kind.name = point.name
    kind.file = sys.modules[kind.__module__].__file__ or ""
    return kind


def digest(kind: type[Policy]) -> str:
    """SHA-256 of the file that a policy of a user's own is in."""
    return hashlib.sha256(Path(kind.file).read_bytes()).hexdigest()


@contextmanager
def told_by_line(file: str) -> Iterator[None]:
    """Turn what a file's code raises into `RequestError("FILE:LINE", message)`, its line being the innermost there."""
    try:
        yield
    except RequestError:
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        if isinstance(error, SyntaxError) and error.filename == file:
            lines.append(error.lineno)
        if not lines:
            raise
        words = str(error) or "no message"
        raise RequestError(f"{file}:{lines[-1]}", f"{type(error).__name__}: {words}") from error


def _kinds(path: Path) -> dict[str, type[Policy]]:
    file = str(path)
    module = ModuleType(_MODULE)
    module.__file__ = file
    names: dict[str, Any] = vars(module)
    sys.modules[_MODULE] = module  # where msgspec looks for the types of annotations
    with told_by_line(file):
        exec(compile(path.read_bytes(), file, "exec"), names)
        return {
            name: kind
            for name, kind in names.items()
            if isinstance(kind, type) and issubclass(kind, Policy) and kind.__module__ == _MODULE
        }
