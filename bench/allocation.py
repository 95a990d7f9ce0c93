# SPDX-License-Identifier: Apache-2.0
"""`min-max` against SciPy's SLSQP on the same problem: `python -m bench.allocation`, some seconds."""

import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize

from model_side.policies.min_max import all_at_once
from model_side.routing import Floats

DEVICES = (2, 8, 64)
CASES = 50


def slsqp(fixed_s: Floats, air_s: Floats) -> Floats:
    """The shares [M] by SLSQP: least T with fixed + air / share <= T for all; in units of the equal shares' T."""
    count = len(air_s)
    equal = np.full(count, 1 / count)
    unit_s = float((fixed_s + air_s / equal).max())
    fixed, air = fixed_s / unit_s, air_s / unit_s
    found = minimize(
        lambda x: x[-1],
        np.append(equal, 1.0),
        jac=lambda _: np.append(np.zeros(count), 1.0),
        bounds=[(1e-9, 1)] * count + [(0, 1)],
        constraints=[
            {
                "type": "ineq",  # times the share, which makes it nearly linear
                "fun": lambda x: x[:-1] * (x[-1] - fixed) - air,
                "jac": lambda x: np.column_stack([np.diag(x[-1] - fixed), x[:-1]]),
            },
            {"type": "ineq", "fun": lambda x: 1 - x[:-1].sum(), "jac": lambda _: np.append(-np.ones(count), 0.0)},
        ],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-10},
    )
    shares = np.maximum(found.x[:-1], 1e-9)
    return np.asarray(shares / shares.sum())


def main() -> None:
    """Print the median time of either, and by how much SLSQP's slowest device is later."""
    table = Table(title="shares of a band, one layer", title_justify="left", show_edge=False)
    for column in ("devices", "min-max, us", "SLSQP, us", "times", "SLSQP later by, most"):
        table.add_column(column, justify="right")
    chance = np.random.default_rng(1)
    for devices in DEVICES:
        cases = [(chance.uniform(0.001, 0.02, devices), chance.uniform(0.001, 0.1, devices)) for _ in range(CASES)]
        ours, theirs = (_measure(way, cases) for way in (all_at_once, slsqp))
        later = max(their / our - 1 for our, their in zip(ours[1], theirs[1], strict=True))
        table.add_row(str(devices), f"{ours[0]:.0f}", f"{theirs[0]:.0f}", f"{theirs[0] / ours[0]:.0f}", f"{later:.1e}")
    Console(width=100).print(table)


def _measure(way: Callable[[Floats, Floats], Floats], cases: list[tuple[Floats, Floats]]) -> tuple[float, list[float]]:
    """Median microseconds, and of each case when the slowest device is done."""
    spent_us, slowest_s = [], []
    for fixed_s, air_s in cases:
        began_s = time.perf_counter()
        shares = way(fixed_s, air_s)
        spent_us.append((time.perf_counter() - began_s) * 1e6)
        slowest_s.append(float((fixed_s + air_s / shares).max()))
    return float(np.median(spent_us)), slowest_s


if __name__ == "__main__":
    main()
