# SPDX-License-Identifier: Apache-2.0
"""Set up the virtual environment of `make`: python docker/environment.py .venv run|containers|test|lint|bench|docs.

A run comes first, with what it needs and nothing else; tests, linters and benches add to it. What takes long goes on
side by side: pip fetches and unpacks while ns-3's C++ interpreter and the native library are compiled. Byte code is
made of what a run imports only, and of the rest at its first import.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT, CONSTRAINTS = ROOT / "pyproject.toml", ROOT / "constraints.txt"
COSTS = Path(__file__).with_name("costs.toml")
# ns-3's interpreter comes as sources. Each names other versions to be built with than it runs with, so pip would fetch
# 48 MB three times and compile the back end twice; built against the installed ones, none of this is needed.
SOURCES = ("cppyy-backend", "CPyCppyy", "cppyy")
ALONE = ("ns3", "sionna-no-rt")  # without what they ask for: cppyy is made here, and of sionna only tables are read
MODEL_IMPORTS = (
    "import cosim.cli, cosim.screen.report, cosim.experiment; from model_side.model import model_run; "
    "from transformers import AutoModelForCausalLM, AutoTokenizer, MixtralForCausalLM, PreTrainedTokenizerFast"
)
NETWORK_IMPORTS = "import cppyy, bridge.health, ns3_scenarios.__main__"
SIGN_OF_LIFE_S = 30


class SetupError(Exception):
    """A step failed. The message names it and has what it said last."""


@dataclass
class Step:
    """A program that runs beside others. What it prints goes to `log`, or to the terminal if there is none."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path | None
    started_s: float


class Environment:
    """The virtual environment in `folder`, and the time since its set-up began."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.python = self.folder / "bin" / "python"
        self.began_s = time.monotonic()

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began_s:4.0f} s] {text}", flush=True)

    def installed(self) -> dict[str, str]:
        """Names (lower case, with hyphens) and versions of the packages that it has."""
        place = self.folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        return {normal(each.name): each.version for each in distributions(path=[str(place)])}

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those of `names` that it lacks in the pinned version."""
        have, pinned = self.installed(), pins()
        return [name for name in names if have.get(normal(name)) != pinned[normal(name)]]

    def start(self, name: str, *command: str | Path, shown: bool = False, python: str | Path = "") -> Step:
        """Start Python (the environment's own, if no other is named) with the arguments `command`."""
        self.say(name)
        whole = [python or self.python, *command]
        if shown:
            return Step(name, subprocess.Popen(whole, cwd=ROOT, process_group=0), None, time.monotonic())
        log = self.folder / "log" / f"{name.replace(' ', '-')}.txt"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            process = subprocess.Popen(whole, cwd=ROOT, process_group=0, stdout=out, stderr=out)
        return Step(name, process, log, time.monotonic())

    def pip(self, name: str, *arguments: str | Path, shown: bool = False) -> Step:
        common = ["-m", "pip", "--disable-pip-version-check", arguments[0]]
        return self.start(name, *common, "-c", CONSTRAINTS, *arguments[1:], shown=shown)

    def wait(self, *steps: Step) -> None:
        """Wait for all of them and say when each is done. The first that fails ends the others: `SetupError`."""
        waiting, said_s = list(steps), time.monotonic()
        try:
            while waiting:
                for step in [each for each in waiting if each.process.poll() is not None]:
                    waiting.remove(step)
                    self._ended(step)
                    said_s = time.monotonic()
                if waiting and time.monotonic() - said_s > SIGN_OF_LIFE_S:
                    self.say("still at it: " + ", ".join(step.name for step in waiting))
                    said_s = time.monotonic()
                time.sleep(0.1)
        finally:
            for step in waiting:  # with the compilers that it has started
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(step.process.pid, signal.SIGTERM)
                step.process.wait()

    def _ended(self, step: Step) -> None:
        if step.process.returncode:
            said = step.log.read_text(errors="replace")[-4000:] if step.log else "its own words stand above"
            raise SetupError(f"{step.name} failed\n{said}\nmend this and run make again; what is done is kept")
        self.say(f"{step.name}: done in {time.monotonic() - step.started_s:.0f} s")


def normal(name: str) -> str:
    return name.lower().replace("_", "-")


def pins() -> dict[str, str]:
    """The pinned versions by name."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {normal(name): version.split(";")[0].strip() for name, version in pairs}


def set_up_run(env: Environment) -> None:
    """What `cosim run` needs."""
    if not env.python.exists():
        env.wait(env.start("making the virtual environment", "-m", "venv", env.folder, python=sys.executable))
    pinned = pins()
    exact = {name: f"{name}=={pinned[normal(name)]}" for name in (*SOURCES, *ALONE, "cppyy-cling")}
    tools = ["setuptools", "wheel", "packaging"]
    install = ["install", "--no-compile"]
    first = env.pip(
        "fetching ns-3 and cling", *install, "--no-deps", *tools, exact["ns3"], exact["cppyy-cling"], shown=True
    )
    env.wait(first)

    wheels = env.folder / "wheels"
    build: list[str | Path] = ["wheel", "--no-deps", "--no-build-isolation", "-w", wheels]
    missing = env.missing(SOURCES)
    listed: list[str | Path] = [sys.executable, ROOT / "docker/requirements.py", PROJECT, *ALONE]
    requirements = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()
    steps = [env.pip(f"compiling {name}", *build, exact[name]) for name in reversed(SOURCES[:2]) if name in missing]
    steps += [
        env.start("compiling the native library", "-m", "ns3_scenarios.wheel.build"),
        env.pip("fetching PyTorch and the rest", *install, *requirements, shown=True),
    ]
    env.wait(*steps)

    bare: list[str | Path] = [*install, "--no-deps", "--find-links", wheels]
    made = [exact[name] for name in SOURCES[:2] if name in missing]
    env.wait(env.pip("installing this project", *bare, *made, exact["sionna-no-rt"], "-e", ROOT))
    if "cppyy" in missing:  # makes the precompiled headers, with the back end that is there now
        env.wait(env.pip("compiling cppyy's headers", *bare, "--no-build-isolation", exact["cppyy"]))
    env.wait(
        env.start("byte code of the model's side", "-c", MODEL_IMPORTS),
        env.start("byte code of the network's side", "-c", NETWORK_IMPORTS),
    )


def extra_requirements(extra: str) -> list[str]:
    """What the extra `extra` of pyproject.toml asks for, its references to other extras resolved."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    found: list[str] = []
    for each in project["optional-dependencies"][extra]:
        if each.startswith(f"{project['name']}["):
            for other in each[each.index("[") + 1 : -1].split(","):
                found += extra_requirements(other.strip())
        else:
            found.append(each)
    return found


def set_up_extra(env: Environment, extra: str) -> None:
    """What the containers' check, tests, linters, benches or pages need beside a run."""
    wanted = extra_requirements(extra)
    if extra == "test":  # its own code, which ours is tested against
        wanted.append("sionna-no-rt")
    env.wait(env.pip(f"fetching what make {extra} adds", "install", "--no-compile", *wanted, shown=True))


def estimate(kind: str) -> str:
    """What the set-up of `kind` will take, from what was measured of it (`python -m bench.setup --write`)."""
    costs = tomllib.loads(COSTS.read_text(encoding="utf-8"))
    cost, cores = costs.get(kind, {}), os.cpu_count() or 1
    parts = []
    if fetched_mb := cost.get("download_bytes", 0) / 1e6:
        parts.append(f"{fetched_mb:.0f} MB to fetch ({fetched_mb * 8 / 100:.0f} s at 100 Mb/s)")
    if disk_mb := cost.get("disk_bytes", 0) / 1e6:
        parts.append(f"{disk_mb:.0f} MB on disk")
    if cpu_s := cost.get("cpu_s", 0):
        waiting = os.getloadavg()[0] / cores
        work_s = cpu_s * (1 + waiting) / min(cores, cost["cores_used"])
        parts.append(f"about {work_s:.0f} s of work on {cores} cores{' that are busy' if waiting > 1 else ''}")
    text = f"make {kind} sets up .venv first: {', '.join(parts) or 'not measured yet'} (measured {costs['measured']})"
    if kind == "run":
        text += "\nThat is with a CPU build of PyTorch; an index's usual one brings CUDA, several GB more."
    return text


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    env = Environment(folder)
    fresh = not env.python.exists() if kind == "run" else not (env.folder / f".{kind}").exists()
    print(estimate(kind) if fresh else f"make {kind}: brings .venv up to date", flush=True)
    try:
        if kind == "run":
            set_up_run(env)
        else:
            set_up_extra(env, kind)
    except SetupError as error:
        print(f"make: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("make: stopped by the user; run make again to go on", file=sys.stderr)
        return 130
    env.say(".venv is ready" if kind == "run" else f".venv is ready for make {kind}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
