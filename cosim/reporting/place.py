# SPDX-License-Identifier: Apache-2.0
"""What lies in a folder that is to be looked at: a run, or a study."""

from pathlib import Path

RESULTS = "results.parquet"


def is_study(path: Path) -> bool:
    """Whether a folder holds a study's data set."""
    return (path / RESULTS).is_file()
