# SPDX-License-Identifier: GPL-2.0-only
"""Scenario scripts: a scenario class in a Python file of the user's own, `FILE.py` or `FILE.py:CLASS`.

What goes wrong in such a file is told by its line, as a compiler would, and not by a traceback through ours.
"""

import gc
import inspect
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from bridge.network import RequestError

from ..scenario import BUILD_LIMIT_S, Scenario
from ..topology import ScriptError
from .hang import bounded
from .script_fields import check_fields

_FIELD = "radio.scenario"


def is_script(scenario: str) -> bool:
    """Whether `scenario` names a file rather than a built-in scenario."""
    return _parts(scenario) is not None


def refuse_foreign(scenario: str, allowed: Sequence[Path]) -> None:
    """Raise `RequestError` for a script that is none of the files `allowed` and lies in none of the folders there.

    To load a script is to run it, so that a server runs only what was named to it.
    """
    parts = _parts(scenario)
    if parts is not None and not any(parts[0].resolve().is_relative_to(place.resolve()) for place in allowed):
        reason = f"{parts[0]} is not among the scripts that this ns-3 side may run; start it with --scripts FOLDER"
        raise RequestError(_FIELD, reason)


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
    with told_by_line(scenario), bounded(BUILD_LIMIT_S):
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
    check_fields(found[name], path)
    return found[name]


@contextmanager
def told_by_line(scenario: str) -> Iterator[None]:
    """Turn what a script raises into `RequestError("FILE:LINE", message)`, the line being the innermost in the script.

    Also what it raises in a function that C++ calls. A `RequestError` passes unchanged, as does all that has no line in
    the script, and everything of a built-in.
    """
    parts = _parts(scenario)
    if parts is None:
        yield
        return
    file = str(parts[0])
    with _Watch(file) as watch:
        try:
            yield
        except RequestError:
            raise
        except (Exception, SystemExit) as error:
            raised, line = watch.behind(error) or (error, _line(error, file))
            if str(error).endswith("callable was deleted"):
                raise _gone(file) from error
            if line is None and isinstance(error, ScriptError):
                line = watch.returned
            if line is None:
                raise
            raise RequestError(f"{file}:{line}", _message(raised)) from error


class _Watch:
    """Keeps the latest exception in a file and its line: cppyy drops both on the way through C++, all but the words."""

    def __init__(self, file: str):
        self._file = file
        self._error: BaseException | None = None
        self._line = 0
        self.returned: int | None = None
        """The line at which the latest function of the file returned."""

    def __enter__(self) -> "_Watch":
        self._before = sys.gettrace()
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def behind(self, error: BaseException) -> tuple[BaseException, int] | None:
        """The exception that came back through C++ as `error`, and its line; None if `error` is no such thing.

        cppyy makes a new exception of the same type from the old one's words, or a TypeError where it takes more.
        """
        seen = self._error
        if seen is None or seen is error or not (type(seen).__name__ in str(error) or isinstance(error, TypeError)):
            return None
        return seen, self._line

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != self._file:
            return None
        frame.f_trace_lines = False
        return self._in_the_file

    def _in_the_file(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "exception" and argument[1] is not self._error:
            self._error, self._line = argument[1], frame.f_lineno
        if event == "return":
            self.returned = frame.f_lineno
        return self._in_the_file


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


def _gone(file: str) -> RequestError:
    """Which of the file's functions ns-3 may have wanted to call: those made by others that are no longer there."""
    alive = [f for f in gc.get_objects() if isinstance(f, FunctionType) and f.__code__.co_filename == file]
    there = {function.__code__ for function in alive}
    made = {code for function in alive for code in _within(function.__code__)}
    gone = sorted(made - there, key=lambda code: code.co_firstlineno)
    names = [f"{code.co_name.replace('<lambda>', 'the lambda')} of line {code.co_firstlineno}" for code in gone]
    which = " or ".join(names) or "one of an object's own (self.…), which is made anew each time that it is named"
    reason = f"a Python function that ns-3 calls is gone: {which}; give it a name, and put that in the Topology's keep"
    return RequestError(f"{file}:{gone[0].co_firstlineno}" if len(gone) == 1 else file, reason)


def _within(code: CodeType) -> Iterator[CodeType]:
    """The functions that a function makes, and those that these do; no comprehensions and class bodies."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_flags & inspect.CO_OPTIMIZED and (inner.co_name[0] != "<" or inner.co_name == "<lambda>"):
                yield inner
            yield from _within(inner)


def _message(error: BaseException) -> str:
    if isinstance(error, ScriptError):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    unknown = re.match(r"<namespace cppyy\.gbl\.ns3 .*> has no attribute '(\w+)'", str(error))
    if unknown:
        return f"AttributeError: ns has no {unknown[1]}: misspelt, or its header is not among `headers`"
    words = "".join(traceback.format_exception_only(error)).strip()
    return re.sub(r"^script .*?\.py\.", "", words)  # the module's name of an exception that the script defines
