# SPDX-License-Identifier: Apache-2.0
"""What `cosim doctor` looks at, part by part, and what mends it."""

import io
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from rich.console import Console

from bridge.network import PartnerLost, RequestError

PROJECT = "wdmoe-cosim"
EXTRAS = ("tables", "import", "eval", "checkpoints", "study", "tune", "learn")
"""What a user may leave out, and which commands want."""


class Finding(NamedTuple):
    """One part: what was found of it, and what mends it; empty if all is well. `took_s`: wall-clock time."""

    part: str
    found: str
    mend: str
    took_s: float


class Ill(Exception):
    """What was found, and what mends it."""

    def __init__(self, found: str, mend: str):
        super().__init__(found)
        self.mend = mend


def examine(keys: Path | None = None) -> Iterator[Finding]:
    """Each part in turn. `keys`: a folder of keys to be looked at too."""
    parts: dict[str, Callable[[], str]] = {
        "Python": _python,
        "packages": _packages,
        "extras": _extras,
        "C++ compiler": _compiler,
        "SQLite": _sqlite,
        "bridge": _bridge,
        "native library": _native,
        "ns-3": _ns3,
        "model": _model,
        **({} if keys is None else {"keys": lambda: _keys(keys)}),
    }
    for part, look in parts.items():
        began_s = time.monotonic()
        found, mend = _looked(look)
        yield Finding(part, found, mend, time.monotonic() - began_s)


def _looked(look: Callable[[], str]) -> tuple[str, str]:
    try:
        return look(), ""
    except Ill as ill:
        return str(ill), ill.mend
    except (RequestError, PartnerLost) as error:
        return str(error), "mend what it names, and run cosim doctor again"
    except Exception as error:  # whatever is wrong with a part is what is asked here
        return f"{type(error).__name__}: {error}", "install it again: make, or pip install wdmoe-cosim"


def _python() -> str:
    return f"{platform.python_version()} at {sys.executable}"


def _unmet(extra: str) -> list[str]:
    """The requirements of the project, or of one of its extras, that are not met, with what is there instead."""
    unmet = []
    for requirement in map(Requirement, requires(PROJECT) or []):
        wanted = f'extra == "{extra}"' in str(requirement.marker) if extra else requirement.marker is None
        if not wanted or requirement.name == PROJECT:
            continue
        try:
            there = version(requirement.name)
        except PackageNotFoundError:
            unmet.append(f"{requirement.name} is missing")
        else:
            if not requirement.specifier.contains(there, prereleases=True):
                unmet.append(f"{requirement.name} {there} is not {requirement.specifier}")
    return unmet


def _packages() -> str:
    if unmet := _unmet(""):
        raise Ill("; ".join(unmet), "make, or pip install wdmoe-cosim")
    shown = (PROJECT, "ns3", "torch", "transformers", "numpy", "pyzmq")
    return ", ".join(f"{name} {version(name)}" for name in shown)


def _extras() -> str:
    """None is needed: what lacks is said, and is no illness."""
    told = []
    for extra in EXTRAS:
        unmet = _unmet(extra)
        told.append(f"{extra}: {'; '.join(unmet)} (pip install 'wdmoe-cosim[{extra}]')" if unmet else f"{extra}: there")
    return ", ".join(told)


def _compiler() -> str:
    name = os.environ.get("CXX", "g++")
    path = shutil.which(name)
    if path is None:
        raise Ill(
            f"{name} is not there", "install g++ (Debian: apt-get install g++); ns-3's interpreter reads its headers"
        )
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=60)
    if said.returncode:
        raise Ill(f"{path} does not run: {said.stderr.strip()}", "install g++, or unset CXX")
    return said.stdout.splitlines()[0]


def _sqlite() -> str:
    with tempfile.TemporaryDirectory() as folder:
        db = sqlite3.connect(Path(folder) / "journal.sqlite")
        try:
            (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        finally:
            db.close()
    if mode != "wal":
        raise Ill(
            f"{sqlite3.sqlite_version} in {tempfile.gettempdir()} has no write-ahead log", "set TMPDIR to a local disk"
        )
    return f"{sqlite3.sqlite_version}, with a write-ahead log"


def _bridge() -> str:
    import zmq  # noqa: PLC0415

    if not zmq.has("curve"):
        raise Ill(f"ZeroMQ {zmq.zmq_version()} cannot encrypt", "pip install --force-reinstall pyzmq")
    return f"ZeroMQ {zmq.zmq_version()}, with CURVE"


def _native() -> str:
    """Compiles it where that was not done before."""
    command = [sys.executable, "-m", "ns3_scenarios.wheel.build"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Ill(
            (done.stderr or done.stdout).strip(), "install g++ and make, or remove the cache ~/.cache/wdmoe-cosim"
        )
    return done.stdout.strip() or "compiled"


def _ns3() -> str:
    """A scenario is built in ns-3's own process, and its device is sent a probe and answers."""
    from cosim import config as configuration  # noqa: PLC0415
    from cosim.screen.scenarios import check  # noqa: PLC0415

    said = io.StringIO()
    wired = configuration.load(None, ["radio.devices=1"], scenario="wired")
    if not check(wired, Console(file=said, width=200)):
        raise Ill(said.getvalue().strip(), "install it again: make, or pip install wdmoe-cosim")
    return "a probe over a cable came back"


def _model() -> str:
    """The shipped model continues a text; a sum that is not finite, or another vocabulary, is an illness."""
    import torch  # noqa: PLC0415

    from model_side.model.loading import load_model, load_tokenizer  # noqa: PLC0415

    model, tokenizer = load_model(), load_tokenizer()
    ids = tokenizer("It is a truth universally acknowledged", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits = model.model(ids).logits[0, -1]
    if not torch.isfinite(logits).all():
        raise Ill("the shipped model computes what is not finite", "pip install --force-reinstall torch transformers")
    return f"the shipped model goes on with {tokenizer.decode(int(logits.argmax()))!r}"


def _keys(folder: Path) -> str:
    from bridge.keys import keys_for  # noqa: PLC0415

    sides = []
    for side in ("network", "model"):
        try:
            keys_for("tcp://127.0.0.1:1", side, folder, plain_tcp=False)
        except RequestError as error:
            sides.append(str(error))
    if len(sides) == 2:
        raise Ill("; ".join(sides), "cosim keys FOLDER makes new ones")
    return f"{folder} has those of {'one side' if sides else 'both sides'}"
