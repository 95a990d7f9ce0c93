# SPDX-License-Identifier: GPL-2.0-only
"""Load the ns-3 wheel, but only what a scenario needs.

The wheel's own `from ns import ns` parses the headers of 42 modules, which takes 8 s and 640 MB. Here the
shared libraries are loaded first, and then only the headers that are asked for are parsed. What comes back
is the same `ns`: C++'s namespace `ns3` as seen by cppyy.
"""

import ctypes
import os
import signal
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from . import native

CORE_HEADERS = (
    "ns3/simulator.h",
    "ns3/rng-seed-manager.h",
    "ns3/config.h",
    "ns3/node-container.h",
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
)


def load(modules: Iterable[str] = (), headers: Iterable[str] = ()) -> Any:
    """Return `ns` with the libraries of `modules` loaded and `headers` parsed, beside what every scenario needs.

    `modules` are ns-3's names ("lte", "point-to-point"), `headers` as in C++ ("ns3/lte-helper.h"). May be
    called again for more. Raises `BuildError` if the native library cannot be compiled.
    """
    cppyy = _cppyy()
    for module in modules:
        _open(native.wheel_library(module))
    _open(native.library())
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
    libcppyy.AddSmartPtrType("Ptr")
    cppyy.add_include_path(str(native.wheel() / "include"))
    cppyy.add_include_path(str(native.SOURCES))
    return cppyy


@cache
def _open(library: Path) -> None:
    # Lazily bound, which `ctypes.CDLL` cannot do: config-store lacks its GTK functions and never calls them.
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype = ctypes.c_void_p
    dlopen.argtypes = [ctypes.c_char_p, ctypes.c_int]
    if dlopen(str(library).encode(), os.RTLD_LAZY | os.RTLD_GLOBAL) is None:
        raise native.BuildError(f"{library} cannot be loaded; reinstall ns3, or empty the cache folder")


@cache
def _include(header: str) -> None:
    _cppyy().include(header)
