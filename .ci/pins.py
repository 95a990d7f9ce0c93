# SPDX-License-Identifier: Apache-2.0
"""Try the pins of constraints.txt with other Pythons: python .ci/pins.py 3.12 3.13.

For each version pip looks for a wheel of every pinned package. Those known to have none are named in `EXCEPT` with the
reason, and printed; any other that is missing fails, and so does a version of Python that pyproject.toml admits and
ns-3 has no wheel for, or the other way round.
"""

import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXCEPT = {
    "torch": "not tried: which build is taken is the machine's choice (README.md)",
    "cppyy": "comes as sources, compiled at install",
    "cppyy-backend": "comes as sources, compiled at install",
    "CPyCppyy": "comes as sources, compiled at install",
}


def without_wheel(requirements: list[str], version: str) -> str:
    """What pip says of those that have no wheel for Python `version`; nothing if all have one."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text("\n".join(requirements))
        target = ["--dry-run", "--ignore-installed", "--target", f"{folder}/none", "--python-version", version]
        options = ["-q", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
        command = [sys.executable, "-m", "pip", "install", *options, *target, "-r", str(listed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return "\n".join(errors or [done.stderr]) if done.returncode else ""


def first_excluded(project: dict[str, str]) -> str:
    """The first minor version of Python above those that `requires-python` admits: "3.14"."""
    return project["requires-python"].rpartition("<")[2].strip()


def main() -> int:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0]: line for line in lines if "==" in line}
    tried = [line for name, line in pinned.items() if name not in EXCEPT]
    for name, reason in EXCEPT.items():
        print(f"{pinned[name]}: {reason}")
    end = first_excluded(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])
    versions = sys.argv[1:]
    with ThreadPoolExecutor() as pool:
        beyond = pool.submit(without_wheel, [pinned["ns3"]], end)
        missing = dict(zip(versions, pool.map(lambda version: without_wheel(tried, version), versions), strict=True))
    for version, errors in missing.items():
        print(f"Python {version}: {errors or f'all {len(tried)} others have a wheel'}")
    if not beyond.result():
        print(f"Python {end}: ns3 has a wheel, but requires-python ends before it")
    return 1 if any(missing.values()) or not beyond.result() else 0


if __name__ == "__main__":
    sys.exit(main())
