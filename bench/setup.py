# SPDX-License-Identifier: Apache-2.0
"""What the set-ups of `make run`, `containers`, `test`, `lint`, `bench`, `docs` cost, each in a fresh copy of the tree.

python -m bench.setup                                       # this tree; --write keeps it for make's own estimate
python -m bench.setup --against REVISION --target .venv/.ready   # and beside it, in turn, an earlier one's

Nothing is cached: pip's cache and that of the native library are empty folders of each turn's own.
"""

import argparse
import io
import os
import re
import resource
import shutil
import subprocess
import tarfile
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
KINDS = ("run", "containers", "test", "lint", "bench", "docs")
CORES_USED = 3  # interpreter, native library and pip go on side by side
_UNITS = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}


@dataclass
class Cost:
    """Wall clock and CPU (seconds), what pip fetched and what the environment grew by (bytes)."""

    wall_s: float
    cpu_s: float
    download_bytes: int
    disk_bytes: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*map(sum, zip(astuple(self), astuple(other), strict=True)))


def copy_working_tree(place: Path) -> None:
    listed = subprocess.check_output(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, text=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)


def copy_revision(revision: str, place: Path) -> None:
    archive = subprocess.check_output(["git", "archive", revision], cwd=ROOT)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(place, filter="data")


def fetched_bytes(log: str) -> int:
    """What pip says it has fetched, in its own rounded units, or taken from files of this machine."""
    sizes = re.findall(r"^\s*Downloading \S+ \(([\d.]+) (bytes|kB|MB|GB)\)", log, re.MULTILINE)
    files = re.findall(r"^Processing (/\S+\.whl)", log, re.MULTILINE)
    return round(sum(float(n) * _UNITS[unit] for n, unit in sizes) + sum(Path(f).stat().st_size for f in files))


def disk_bytes(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def measure(tree: Path, target: str) -> Cost:
    """`make target` in `tree`."""
    caches = {"PIP_CACHE_DIR": str(tree / ".pip"), "XDG_CACHE_HOME": str(tree / ".xdg")}
    inherited = {name: value for name, value in os.environ.items() if name != "CXX" and not name.startswith("MAKE")}
    venv = tree / ".venv"
    before = disk_bytes(venv) if venv.exists() else 0
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        ["make", target], cwd=tree, env=inherited | caches, capture_output=True, text=True, check=False
    )
    wall_s, now = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"make {target} failed in {tree}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    cpu_s = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return Cost(wall_s, cpu_s, fetched_bytes(done.stdout), disk_bytes(venv) - before)


def report(name: str, cost: Cost) -> None:
    print(
        f"{name:24} {cost.wall_s:6.0f} s, {cost.cpu_s:6.0f} CPU s, {cost.download_bytes / 1e6:6.0f} MB fetched, "
        f"{cost.disk_bytes / 1e6:6.0f} MB on disk, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def write(costs: dict[str, Cost]) -> None:
    """Keep `costs` for the estimate that make gives."""
    lines = ["# SPDX-License-Identifier: Apache-2.0"]
    lines.append("# What each set-up took, for environment.py's estimate: `python -m bench.setup --write` writes it.")
    lines.append(f'measured = "on {os.cpu_count()} cores with empty caches"')
    for kind, cost in costs.items():
        lines += ["", f"[{kind}]", f"download_bytes = {cost.download_bytes}", f"disk_bytes = {cost.disk_bytes}"]
        lines += [f"cpu_s = {cost.cpu_s:.0f}", f"cores_used = {CORES_USED if kind == 'run' else 1}"]
    (ROOT / "docker" / "costs.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="REVISION")
    parser.add_argument("--target", default=".venv/.run", help="what make makes of the set-up in that revision")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    costs: dict[str, Cost] = {}
    for _ in range(options.rounds):
        if options.against:
            with tempfile.TemporaryDirectory() as folder:
                copy_revision(options.against, Path(folder))
                report(f"{options.against}: {options.target}", measure(Path(folder), options.target))
        with tempfile.TemporaryDirectory() as folder:
            copy_working_tree(Path(folder))
            for kind in KINDS:
                costs[kind] = measure(Path(folder), f".venv/.{kind}")
                if kind == "test":  # which asks for all that the containers' check does, and found that here
                    costs[kind] += costs["containers"]
                report(f"here: {kind}", costs[kind])
    if options.write:
        write(costs)


if __name__ == "__main__":
    main()
