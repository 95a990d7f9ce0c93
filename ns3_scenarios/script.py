# SPDX-License-Identifier: GPL-2.0-only
"""Scenario scripts: a scenario class in a Python file of the user's own, `FILE.py` or `FILE.py:CLASS`.

What goes wrong in such a file is told by its line, as a compiler would, and not by a traceback through ours.
"""

import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from bridge.network import RequestError

from .scenario import Scenario

_FIELD = "radio.scenario"


def is_script(scenario: str) -> bool:
    """Whether `scenario` names a file rather than a built-in scenario."""
    return _parts(scenario) is not None


def load_script(scenario: str) -> type[Scenario]:
    """The scenario class that the file defines, read anew at each call.

    Raises `RequestError` naming `radio.scenario` if there is no such file or class, and `FILE:LINE` for what the
    file itself raises.
    """
    parts = _parts(scenario)
    assert parts is not None
    path, wanted = parts
    if not path.is_file():
        raise RequestError(_FIELD, f"{path} does not exist on the host where the ns-3 side runs")
    with told_by_line(scenario):
        module = _execute(path)
    found = {
        name: kind
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, Scenario) and kind.__module__ == module.__name__
    }
    if not found:
        raise RequestError(_FIELD, f"{path} defines no class that derives from ns3_scenarios.scenario.Scenario")
    if wanted is None and len(found) > 1:
        raise RequestError(
            _FIELD, f"{path} defines {', '.join(found)}; say which, as in {path.name}:{next(iter(found))}"
        )
    name = wanted or next(iter(found))
    if name not in found:
        raise RequestError(_FIELD, f"{path} has no scenario {name}; it defines {', '.join(found)}")
    if found[name].build is Scenario.build:
        raise RequestError(_FIELD, f"{path}: {name} has no method build(self, ns)")
    return found[name]


@contextmanager
def told_by_line(scenario: str) -> Iterator[None]:
    """Turn what a script raises into `RequestError("FILE:LINE", message)`, the line being the innermost in the script.

    A `RequestError` passes unchanged, as does all that has no line in the script, and everything of a built-in.
    """
    try:
        yield
    except RequestError:
        raise
    except (Exception, SystemExit) as error:
        parts = _parts(scenario)
        line = parts and _line(error, str(parts[0]))
        if parts is None or line is None:
            raise
        raise RequestError(f"{parts[0]}:{line}", _message(error)) from error


def _parts(scenario: str) -> tuple[Path, str | None] | None:
    match = re.fullmatch(r"(.+\.py)(?::(\w+))?", scenario)
    return (Path(match[1]).absolute(), match[2]) if match else None


def _execute(path: Path) -> ModuleType:
    """The file as a module. Not the import system's way: it would leave a cache beside the file and trust it."""
    module = ModuleType(f"script {path}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where `inspect` and annotations look for it
    exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    return module


def _line(error: BaseException, file: str) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    frames = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    return frames[-1] if frames else None


def _message(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    unknown = re.match(r"<namespace cppyy\.gbl\.ns3 .*> has no attribute '(\w+)'", str(error))
    if unknown:
        return f"AttributeError: ns has no {unknown[1]}: misspelt, or its header is not among `headers`"
    return "".join(traceback.format_exception_only(error)).strip()
