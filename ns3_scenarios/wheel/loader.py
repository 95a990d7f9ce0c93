# SPDX-License-Identifier: GPL-2.0-only
"""Load the ns-3 wheel, but only what a scenario needs.

The wheel's own `from ns import ns` parses the headers of 42 modules, which takes 8 s and 640 MB. Here the
shared libraries are loaded first, and then only the headers that are asked for are parsed. What comes back
is the same `ns`: C++'s namespace `ns3` as seen by cppyy.
"""

import ctypes
import difflib
import faulthandler
import os
import re
import signal
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from bridge.network import RequestError

from . import build, contrib
from .contrib import Contrib

CORE_HEADERS = (
    "ns3/simulator.h",
    "ns3/rng-seed-manager.h",
    "ns3/config.h",
    "ns3/names.h",
    "ns3/node-container.h",
    "ns3/node-list.h",
    "ns3/string.h",
    "ns3/uinteger.h",
    "ns3/double.h",
    "ns3/boolean.h",
    "ns3/enum.h",
    "ns3/pointer.h",
    "ns3/ipv4.h",
    "ns3/ipv4-address.h",
    "exchange.h",
    "load.h",
    "neighbours.h",
)


def load(modules: Iterable[str] = (), headers: Iterable[str] = (), contribs: Iterable[Contrib] = ()) -> Any:
    """Return `ns` with the libraries of `modules` loaded and `headers` parsed, beside what every scenario needs.

    `modules` are ns-3's names ("lte", "point-to-point"), `headers` as in C++ ("ns3/lte-helper.h"), `contribs` modules
    of the user's own. May be called again for more. Raises `BuildError` if the native library cannot be compiled,
    and `RequestError` for a module or header that is not there or does not fit.
    """
    cppyy = _cppyy()
    for module in modules:
        _open(_of_the_wheel(module))
    _open(build.library())
    for each in contribs:
        _open_contrib(each)
    for header in (*CORE_HEADERS, *headers):
        _include(header)
    return cppyy.gbl.ns3


@cache
def _cppyy() -> Any:
    if Path.cwd() == Path("/"):
        os.chdir(Path.home())  # cppyy and ns-3 search below the working directory: never all of the disk
    import cppyy  # noqa: PLC0415 - starting the C++ interpreter costs 0.3 s: only who needs ns-3 pays it
    import libcppyy  # type: ignore[import-not-found]  # noqa: PLC0415

    for crash in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE):
        signal.signal(crash, signal.SIG_DFL)  # cppyy's own handlers spend seconds on a backtrace of the interpreter
    if faulthandler.is_enabled():  # those were laid over Python's
        faulthandler.disable()
        faulthandler.enable(2)
    libcppyy.AddSmartPtrType("Ptr")
    cppyy.add_include_path(str(build.wheel() / "include"))
    for folder in build.include_folders():
        cppyy.add_include_path(str(folder))
    return cppyy


def _of_the_wheel(module: str) -> Path:
    if module not in build.wheel_modules():
        near = difflib.get_close_matches(module, build.wheel_modules(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise RequestError("radio.scenario", f"modules: ns-3's wheel has no module {module!r}{hint}")
    return build.wheel_library(module)


@cache
def _open(library: Path) -> None:
    # Lazily bound, which `ctypes.CDLL` cannot do: config-store lacks its GTK functions and never calls them.
    if _dlopen(library, os.RTLD_LAZY) is not None:
        raise build.BuildError(f"{library} cannot be loaded; reinstall ns3, or empty the cache folder")


_loaded: dict[str, str] = {}
"""The fingerprint of each contrib library in this process, by its file's name."""


def _open_contrib(module: Contrib) -> None:
    library = Path(module.library)
    needed = contrib.check(module)
    fingerprint = contrib.fingerprint(module)
    if _loaded.get(library.name, fingerprint) != fingerprint:  # ns-3 cannot register the same classes again
        raise contrib.refusal(library, "another one of that name is loaded already; start the ns-3 side anew")
    if library.name in _loaded:
        return
    for name in needed:
        _open(build.wheel_library(name))
    said = _dlopen(library, os.RTLD_NOW)  # what is undefined is missed now, not at its first call
    if said is not None:
        raise contrib.why_not_loaded(module, said)
    _cppyy().add_include_path(str(module.headers))
    _loaded[library.name] = fingerprint


def _dlopen(library: Path, mode: int) -> str | None:
    """Load a library for all to see; None, or what the dynamic loader has against it."""
    loader = ctypes.CDLL(None)
    loader.dlopen.restype, loader.dlerror.restype = ctypes.c_void_p, ctypes.c_char_p
    loader.dlopen.argtypes = [ctypes.c_char_p, ctypes.c_int]
    if loader.dlopen(str(library).encode(), mode | os.RTLD_GLOBAL) is not None:
        return None
    return bytes(loader.dlerror()).decode(errors="replace")


@cache
def _include(header: str) -> None:
    try:
        _cppyy().include(header)
    except ImportError as error:
        errors = re.findall(r"^(.+?:\d+:\d+): (?:fatal )?error: (.*)$", str(error), re.MULTILINE)
        place, words = errors[0] if errors else ("", str(error))
        if place.startswith("input_line"):
            raise RequestError(
                "radio.scenario", f"headers: {words}; neither ns-3 nor a contrib module has it"
            ) from None
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise RequestError(place, f"{words}{more}, in the header {header}") from None
