# SPDX-License-Identifier: GPL-2.0-only
"""The native library: C++ for the packet path, compiled against the installed ns-3 wheel at first use.

All folders of the sources are one include namespace, as in ns-3, and no two files have one name.

`python -m ns3_scenarios.wheel.build` compiles it ahead of time; with `--flags` it prints what a compiler needs for a
module of the user's own (`cosim flags`), with `--compile-flags`, one a line, what clang-tidy needs for ours, and with
`--batches` which of ours it may read at once. The result lies in the user's cache folder (`$XDG_CACHE_HOME/wdmoe-cosim`
or else `~/.cache/wdmoe-cosim`) under a hash of the sources, the compiler and the wheel, so that a change of any of them
makes a new one and nothing stale is ever loaded.
"""

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from importlib.metadata import distribution
from itertools import accumulate, groupby
from operator import itemgetter
from pathlib import Path

SOURCES = Path(__file__).parent.parent / "native"
# The wheel's own settings: other ones would change the layout or behaviour of ns-3's classes.
FLAGS = (
    "-std=c++20",
    "-O2",
    "-fPIC",
    "-DNS3_LOG_ENABLE",
    "-DNS3_ASSERT_ENABLE",
    "-DNS3_BUILD_PROFILE_RELEASE",
    "-D__LINUX__",
)
MODULES = (
    "lte",
    "wifi",
    "spectrum",
    "antenna",
    "propagation",
    "mobility",
    "internet",
    "traffic-control",
    "network",
    "core",
)
BATCHES = 2  # for two cores; with more of them the same headers are read more often

_LIBRARY = re.compile(r"libns(3[.\d]*)-(.+)\.so")


class BuildError(RuntimeError):
    """The native library cannot be compiled. The message says what is missing or what the compiler said."""


def wheel() -> Path:
    """The folder of the installed ns-3 wheel, without importing it."""
    return Path(str(distribution("ns3").locate_file("ns3")))


@cache
def _wheel_libraries() -> dict[str, Path]:
    """The wheel's shared libraries by the names of their ns-3 modules."""
    names = ((path, _LIBRARY.fullmatch(path.name)) for path in (wheel() / "lib64").iterdir())
    return {match[2]: path for path, match in names if match}


def wheel_modules() -> Set[str]:
    """The ns-3 modules whose libraries the wheel has."""
    return _wheel_libraries().keys()


def wheel_library(module: str) -> Path:
    """The wheel's shared library of one ns-3 module."""
    if module not in wheel_modules():
        raise BuildError(f"the ns3 wheel in {wheel()} has no library of the module {module}; reinstall ns3")
    return _wheel_libraries()[module]


def wheel_release() -> str:
    """The release of ns-3 that the wheel's libraries carry in their names: "3.44"."""
    match = _LIBRARY.fullmatch(wheel_library("core").name)
    assert match is not None
    return match[1]


def compiler() -> str:
    """The C++ compiler: `$CXX`, else g++."""
    name = os.environ.get("CXX", "g++")
    path = shutil.which(name)
    if path is None:
        raise BuildError(f"the compiler {name} is not installed; on Debian and Ubuntu: apt-get install g++")
    return path


def sources() -> list[Path]:
    """All that is compiled, in order. Raises `BuildError` where two files have one name."""
    found = sorted(SOURCES.rglob("*.cc"))
    names: dict[str, Path] = {}
    for path in sorted([*found, *SOURCES.rglob("*.h")]):
        other = names.setdefault(path.name, path)
        if other != path:
            raise BuildError(f"{path} and {other} have one name, and lie in one include namespace; rename one")
    return found


def include_folders() -> list[Path]:
    """The folders in which headers of ours lie, in order."""
    return sorted({path.parent for path in SOURCES.rglob("*.h")})


def include_arguments() -> list[str]:
    """What the compiler needs to find the headers of the wheel and ours."""
    return ["-isystem", str(wheel() / "include"), *(f"-I{folder}" for folder in include_folders())]


def compile_arguments() -> list[str]:
    """What the compiler needs for a source of ours."""
    return [*FLAGS, *include_arguments()]


@cache
def source_hash() -> str:
    """A hash of the native sources, the compiler's version and flags, and the wheel's version."""
    digest = hashlib.sha256()
    for path in sorted([*SOURCES.rglob("*.cc"), *SOURCES.rglob("*.h")]):
        digest.update(path.relative_to(SOURCES).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    version = subprocess.run([compiler(), "--version"], check=True, capture_output=True).stdout
    digest.update(b"\0".join([version, " ".join(FLAGS).encode(), distribution("ns3").version.encode()]))
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled files lie; made if it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = hashlib.sha256(str(wheel()).encode()).hexdigest()[:8]  # the library names the wheel's place
    folder = Path(base) / "wdmoe-cosim" / f"{source_hash()}-{place}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(f"cannot make the cache folder {folder}: {error.strerror}; set XDG_CACHE_HOME") from None
    return folder


def link_arguments() -> list[str]:
    """What the compiler needs to link a program or library with the wheel."""
    place = wheel() / "lib64"
    libraries = [f"-l:{wheel_library(module).name}" for module in MODULES]
    return [f"-L{place}", "-Wl,--allow-shlib-undefined", *libraries, f"-Wl,-rpath,{place}"]


def module_flags() -> list[str]:
    """What the compiler needs, behind the sources, to make an ns-3 module of the user's own a shared library.

    It names all of the wheel's libraries; those that the module uses become its dependencies, and no other.
    """
    place = wheel() / "lib64"
    libraries = [f"-l:{wheel_library(module).name}" for module in sorted(wheel_modules())]
    return [*compile_arguments(), "-shared", f"-L{place}", "-Wl,--as-needed", *libraries]


def library() -> Path:
    """The compiled native library; compiles it if this is the first use.

    Raises `BuildError` if there is no compiler or it fails.
    """
    folder = cache_folder()
    target = folder / "libcosim-native.so"
    if target.exists():
        return target
    with (folder / "lock").open("w") as lock:  # the second of two processes waits for the first
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            build(sources(), target, ["-shared"])
    return target


def build(files: list[Path], target: Path, options: Sequence[str], flags: Sequence[str] = FLAGS) -> None:
    """Compile `files` with `flags` and link them with `options` to `target`, which appears complete or not at all.

    They are compiled in a few batches, neighbours by name together: most of the time goes to reading ns-3's headers and
    to their templates, which is done once a batch. So what one source keeps to itself needs a name of its own.
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        batches = _batches(sorted(files))
        objects = [Path(scratch) / f"{batch[0].stem}.o" for batch in batches]
        list(pool.map(partial(_compile, flags=flags), batches, objects))
        linked = Path(scratch) / target.name
        _run([*options, *map(str, objects), *link_arguments(), "-o", str(linked)])
        linked.replace(target)


def _batches(sources: list[Path]) -> list[list[Path]]:
    """`sources` in their order, cut into `BATCHES` parts of about the same size or fewer; none is empty."""
    sizes = [source.stat().st_size for source in sources]
    ends = list(accumulate(sizes))
    numbers = [(end - size // 2) * BATCHES // (ends[-1] + 1) for size, end in zip(sizes, ends, strict=True)]
    pairs = groupby(zip(numbers, sources, strict=True), key=itemgetter(0))
    return [[source for _, source in batch] for _, batch in pairs]


def _compile(batch: list[Path], target: Path, flags: Sequence[str]) -> None:
    """Compile the sources of a batch as one: the last with the others before it."""
    _run([*flags, *include_arguments(), *_before(batch), "-c", str(batch[-1]), "-o", str(target)])


def _before(batch: list[Path]) -> list[str]:
    """What puts all sources of a batch but the last before that one."""
    return [word for source in batch[:-1] for word in ("-include", str(source))]


def _run(arguments: list[str]) -> None:
    done = subprocess.run([compiler(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"g++ failed; are g++ and its headers complete (apt-get install g++)?\n{done.stderr[-4000:]}")


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case ["--flags"]:
                print(shlex.join(module_flags()))
            case ["--compile-flags"]:
                print(*compile_arguments(), sep="\n")
            case ["--batches"]:
                for batch in _batches(sources()):
                    print(batch[-1], *(f"--extra-arg={word}" for word in _before(batch)))
            case _:
                print(library())
    except BuildError as error:
        sys.exit(f"cosim: {error}")
