# SPDX-License-Identifier: Apache-2.0
"""When, by which command, and from which commit of this code a run was made: what nobody could tell from it later."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec

_EXACTLY = ("--always", "--dirty", "--abbrev=40", "--exclude=*")
_ROOT = Path(__file__).resolve().parents[2]


class Made(msgspec.Struct, frozen=True):
    """`when`: date and time with its zone, to the second. `command`: its words. `commit`: of the working tree that the
    code lies in, with `-dirty` where something in it was changed; None where it lies in none."""

    when: str
    command: list[str]
    commit: str | None


def made() -> Made:
    """Of a run that begins now, in this process."""
    command = [Path(sys.argv[0]).name, *sys.argv[1:]] if sys.argv else []
    return Made(datetime.now(UTC).isoformat(timespec="seconds"), command, _commit())


@cache
def _commit() -> str | None:
    git = shutil.which("git")
    if git is None or not (_ROOT / ".git").exists():
        return None
    command = [
        git,
        "-C",
        str(_ROOT),
        "--no-optional-locks",
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ]
    try:
        done = subprocess.run([*command, *_EXACTLY], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
