# SPDX-License-Identifier: GPL-2.0-only
"""ns-3 modules from outside its release: a shared library and headers that the user compiled against the wheel.

Here they are held against the wheel before anything of them runs, and what does not fit is named. Loading is the
business of `ns3_scenarios.wheel.loader`. The tools that look into a library (readelf, nm, c++filt) come with any g++.
"""

import ctypes
import hashlib
import inspect
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.network import RequestError

from . import build

_HEADERS = {".h", ".hh", ".hpp", ".hxx"}
_GENERATED = re.compile(r".*-(config|module|profile)\.h")  # differ from build to build of the same ns-3
_PROFILES = r"-(default|debug|release|relwithdebinfo|minsizerel|optimized)"  # of ns-3's build system
_SHOWN = 4
_AGAIN = "compile it again with what `cosim flags` prints"


@dataclass(frozen=True)
class Contrib:
    """A module of the user's own: its shared library and the folder of its headers, as from the scenario's file.

    The folder is searched for what the scenario's `headers` name, behind the wheel's own.
    """

    library: str | Path
    headers: str | Path


def contribs(scenario: type) -> tuple[Contrib, ...]:
    """The modules that a scenario class names, their paths absolute. Raises `RequestError` for what is no `Contrib`."""
    owner = next(kind for kind in scenario.__mro__ if "contrib" in vars(kind))
    named: Sequence[Contrib] = vars(owner)["contrib"]
    if not named:
        return ()
    folder = Path(inspect.getfile(owner)).parent
    if not isinstance(named, Sequence) or not all(isinstance(each, Contrib) for each in named):
        raise RequestError("radio.scenario", "contrib is not a tuple of Contrib(LIBRARY, HEADERS); mind the comma")
    return tuple(Contrib((folder / each.library).resolve(), (folder / each.headers).resolve()) for each in named)


def fingerprint(module: Contrib) -> str:
    """A hash of its library and its headers."""
    folder = Path(module.headers)
    digest = hashlib.sha256(Path(module.library).read_bytes())
    for path in _headers(folder):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def check(module: Contrib) -> list[str]:
    """The wheel's modules that the library names as its own dependencies.

    Raises `RequestError` if it is missing, no shared library for this machine, or built with another ns-3.
    """
    library, headers = Path(module.library), Path(module.headers)
    if not library.is_file():
        raise refusal(library, "there is no such file")
    if not headers.is_dir():
        raise refusal(library, f"the folder of its headers, {headers}, is not there")
    ours, theirs = _described(build.wheel_library("core")), _described(library)
    if ours is None or theirs is None or theirs["Type"] != ours["Type"]:
        raise refusal(library, "it is not a shared library; link it with -shared")
    if theirs["Machine"] != ours["Machine"]:
        raise refusal(library, f"it was built for another machine: {theirs['Machine']}, this is {ours['Machine']}")
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", theirs["dynamic"])
    if any(name.startswith("libc++.") for name in needed):
        raise refusal(
            library, "it was built with clang's libc++, ns-3's wheel with GNU's libstdc++; leave -stdlib away"
        )
    _check_headers(library, headers)
    return _needed_modules(library, needed)


def refusal(library: Path, reason: str) -> RequestError:
    """The error for a module that is refused."""
    return RequestError("radio.scenario", f"contrib {library}: {reason}")


def why_not_loaded(module: Contrib, said: str) -> RequestError:
    """The error for a library that the dynamic loader refused with the words `said`: what it lacks, and who has it."""
    library = Path(module.library)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(build.wheel() / "lib64")}
    listed = _run(["ldd", "-r", str(library)], environment).stdout
    loaded = ctypes.CDLL(None)
    symbols = re.findall(rf"^undefined symbol: ([^\s,]+).*\({re.escape(str(library))}\)$", listed, re.MULTILINE)
    missing = sorted(symbol for symbol in set(symbols) if not hasattr(loaded, symbol))
    if not missing:
        return refusal(library, said.removeprefix(f"{library}: "))
    names = _run(["c++filt"], text="\n".join(missing)).stdout.splitlines()
    if any(re.search(r"\bstd::(string\b|basic_string<)", name) for name in names):
        return refusal(library, f"it was compiled with _GLIBCXX_USE_CXX11_ABI=0, ns-3's wheel with 1; {_AGAIN}")
    modules = _suppliers(missing)
    told = [
        f"{name} ({'of the ns-3 module ' + modules[symbol] if symbol in modules else 'of no ns-3 module'})"
        for symbol, name in zip(missing, names, strict=True)
    ]
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    reason = f"it needs what no loaded library has: {'; '.join(told[:_SHOWN])}{more}"
    if modules:
        reason += f"; add {', '.join(repr(name) for name in sorted(set(modules.values())))} to `modules`"
    if len(modules) < len(missing):
        reason += "; what is of no module was left out of the library, or belongs to another ns-3 release"
    return refusal(library, reason)


def _headers(folder: Path) -> Iterator[Path]:
    """The headers in it and below it, in order; hidden folders (.git, .venv) are left out."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if Path(name).suffix in _HEADERS)


def _check_headers(library: Path, headers: Path) -> None:
    wheels = build.wheel() / "include"
    own = (path.relative_to(headers) for path in sorted((headers / "ns3").glob("*.h")))
    both = [path for path in own if (wheels / path).is_file() and not _GENERATED.fullmatch(path.name)]
    strange = [path for path in both if (headers / path).read_bytes() != (wheels / path).read_bytes()]
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        reason = f"{headers / strange[0]}{more} differ from the wheel's: headers of another ns-3; {_AGAIN}"
        raise refusal(library, reason)


def _needed_modules(library: Path, needed: Sequence[str]) -> list[str]:
    """Of the libraries that it needs, the wheel's; raises `RequestError` for one of another ns-3."""
    release, known = build.wheel_release(), build.wheel_modules()
    found = []
    for name in needed:
        match = re.fullmatch(r"libns(3(?:[.]\d+)*(?:-dev)?)-(.+)\.so", name)
        if match is None:
            continue
        if match[1] != release:
            raise refusal(library, f"it was built for ns-3 {match[1]} ({name}), this is ns-3 {release}; {_AGAIN}")
        if re.sub(_PROFILES + "$", "", match[2]) in known - {match[2]}:
            raise refusal(library, f"it was linked with another build of ns-3 {release} ({name}); {_AGAIN}")
        if match[2] in known:
            found.append(match[2])
    return found


def _described(library: Path) -> dict[str, str] | None:
    """`Type` and `Machine` of an ELF file, and its dynamic section; None for any other file."""
    done = _run(["readelf", "-W", "-h", "-d", str(library)])
    fields = dict(re.findall(r"^  (Type|Machine): +(.*)$", done.stdout, re.MULTILINE))
    return {**fields, "dynamic": done.stdout} if done.returncode == 0 and len(fields) == 2 else None


def _suppliers(symbols: Sequence[str]) -> dict[str, str]:
    """For each symbol that one of the wheel's modules defines, that module."""
    libraries = {str(build.wheel_library(module)): module for module in sorted(build.wheel_modules())}
    listed = _run(["nm", "-D", "-A", "-P", "--defined-only", *libraries]).stdout
    wanted, found = set(symbols), dict[str, str]()
    for line in listed.splitlines():
        library, _, rest = line.partition(": ")
        symbol = rest.partition(" ")[0]
        if symbol in wanted:
            found.setdefault(symbol, libraries[library])
    return found


def _run(
    command: list[str], environment: dict[str, str] | None = None, text: str = ""
) -> "subprocess.CompletedProcess[str]":
    if shutil.which(command[0]) is None:
        raise build.BuildError(
            f"{command[0]} is not installed; on Debian and Ubuntu: apt-get install binutils libc-bin"
        )
    environment = {**(environment or os.environ), "LC_ALL": "C"}
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environment)
