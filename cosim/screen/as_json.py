# SPDX-License-Identifier: Apache-2.0
"""What a command prints as a table, as JSON: the same figures with all their digits, units in the names."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np


def print_json(value: Any) -> None:
    """Print it: dataclasses as objects, NaN as null, of an array how many, mean, median and 95th percentile."""
    print(msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=1).decode())


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _series(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"nobody prints a {type(value).__name__}")


def _series(values: Any) -> dict[str, float | int | None]:
    if not len(values):
        return {"count": 0, "mean": None, "median": None, "p95": None}
    median, p95 = np.percentile(values, (50, 95)).tolist()
    return {"count": len(values), "mean": float(values.mean()), "median": median, "p95": p95}
