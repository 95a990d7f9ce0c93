# SPDX-License-Identifier: Apache-2.0
"""Runs compared in pairs: what a policy changes against the first, seed by seed, and whether chance could have done it.

Two cases with the same seeds have had the same prompts and the same channel, so that chance which both share is not in
their difference. The interval of the mean difference is the percentile bootstrap's (`cosim.reporting.intervals`).
Significance is by the sign-flip test on the pairs, an idea of R. A. Fisher ("The Design of Experiments", 1935): the
share of all ways to swap the two of each pair that give a mean difference at least as large. With n pairs it cannot be
below 2 / 2^n, so that fewer than 6 never tell anything at 5 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from bridge.network import RequestError
from cosim.reporting.cases import Data, load
from cosim.reporting.intervals import mean_interval
from cosim.reporting.measures import MEASURES, Measure
from cosim.reporting.place import is_study
from model_side.routing import Floats

LEVEL = 0.05
FEWEST = 6
_ENUMERATED, _DRAWN = 16, 65_536


@dataclass(frozen=True)
class Difference:
    """One measure of a label against the first one's, over `pairs` seeds that both have.

    `base`, `value`: means over these. `difference`: of the means, with its interval from `low` to `high` (all three the
    same with a single pair). `p`: of the sign-flip test.
    """

    label: str
    measure: Measure
    pairs: int
    base: float
    value: float
    difference: float
    low: float
    high: float
    p: float

    @property
    def verdict(self) -> str:
        """Whether chance could have done it."""
        if self.pairs < FEWEST:
            return f"too few seeds ({self.pairs})"
        return "significant" if self.p < LEVEL else "not significant"


def compared(paths: Sequence[Path]) -> tuple[str, list[Difference]]:
    """The runs in these folders, or the rows of a study in one: the first label, and the others against it.

    Raises `RequestError` naming RUN or STUDY.
    """
    if any(map(is_study, paths)):
        from cosim.reporting.studies.rows import study_rows  # noqa: PLC0415  (pyarrow is only for who has studies)

        if len(paths) > 1:
            raise RequestError("STUDY", "is compared by itself; leave the others away")
        study = study_rows(paths[0])
        return next(iter(study.groups)), compare_groups(study.groups, study.measures, "STUDY")
    data = load(paths)
    return next(iter(data.groups)), compare(data)


def compare(data: Data) -> list[Difference]:
    """Every label against the first, measure by measure.

    Raises `RequestError` naming RUN where there is nothing to compare: one label alone, or no seed in common.
    """
    groups = {label: {case.run.seeds: case for case in cases} for label, cases in data.groups.items()}
    return compare_groups(groups, MEASURES)


def compare_groups(
    groups: Mapping[str, Mapping[Any, Any]], measures: Sequence[Measure], field: str = "RUN"
) -> list[Difference]:
    """The same of anything that `measures` can be taken of: by label, and there by what makes its chance.

    Raises `RequestError` naming `field` as `compare`.
    """
    first, *others = groups.items()
    if not others:
        raise RequestError(
            field, f"only {first[0]} is in these runs; give those of another policy or configuration too"
        )
    found = []
    for label, cases in others:
        pairs = [(first[1][seeds], case) for seeds, case in cases.items() if seeds in first[1]]
        if not pairs:
            raise RequestError(field, f"{label} and {first[0]} have no seed in common, and cannot be compared in pairs")
        found += [each for measure in measures if (each := _difference(label, measure, pairs)) is not None]
    return found


def p_value(differences: Floats) -> float:
    """Of the two-sided sign-flip test; over all flips, or many drawn ones where there are more than 16 pairs."""
    count = len(differences)
    if count <= _ENUMERATED:
        signs = np.array(list(product((1.0, -1.0), repeat=count)))
        own = 0
    else:
        signs = np.random.default_rng(count).choice([1.0, -1.0], (_DRAWN, count))
        own = 1  # what was seen is one of the ways
    means = np.abs(signs @ differences)
    seen = abs(differences.sum())
    return float(((means >= seen * (1 - 1e-12)).sum() + own) / (len(signs) + own))


def _difference(label: str, measure: Measure, pairs: Sequence[tuple[Any, Any]]) -> Difference | None:
    known = [(old, new) for old, new in ((measure.of(a), measure.of(b)) for a, b in pairs) if None not in (old, new)]
    if not known:
        return None
    base, value = np.array(known, dtype=np.float64).T
    mean, low, high = mean_interval((value - base).tolist())
    return Difference(
        label, measure, len(known), float(base.mean()), float(value.mean()), mean, low, high, p_value(value - base)
    )
