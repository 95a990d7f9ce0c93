# SPDX-License-Identifier: Apache-2.0
"""The co-simulation: a model on one side, a radio on the other, one clock, one record."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def load(run: Path | str) -> "dict[str, pd.DataFrame]":
    """A run folder's tables as pandas DataFrames; see `cosim.results.tables.load`."""
    from cosim.results import tables  # noqa: PLC0415  (pandas is needed by who asks for it)

    return tables.load(run)
