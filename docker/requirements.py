# SPDX-License-Identifier: Apache-2.0
"""Print the project's dependencies for pip, but for those that are named: one side's image lacks the other's.

python docker/requirements.py pyproject.toml torch transformers
"""

import re
import sys
import tomllib
from pathlib import Path


def requirements(project: Path, without: set[str]) -> list[str]:
    """The dependencies in `project`, a pyproject.toml. Raises `ValueError` for a name that is none of them."""
    wanted = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    names = [re.split(r"[^\w.-]", requirement)[0] for requirement in wanted]
    if unknown := without.difference(names):
        raise ValueError(f"{', '.join(sorted(unknown))}: no dependency of {project}")
    return [requirement for name, requirement in zip(names, wanted, strict=True) if name not in without]


if __name__ == "__main__":
    print("\n".join(requirements(Path(sys.argv[1]), set(sys.argv[2:]))))
