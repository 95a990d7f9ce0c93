# SPDX-License-Identifier: Apache-2.0
"""A figure as it is drawn, with what it says in words; and how figures come to their numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cosim.reporting.cases import Case
from cosim.reporting.style import colour, dash
from model_side.routing import Floats

MOST_CASES = 4
"""Of figures that show each case by itself."""
MOST_DEVICES = 16
"""Of figures that name each device."""
_CURVE_POINTS = 400


class Lacking(Exception):
    """These runs have not what a figure shows; the message says what that is."""


@dataclass(frozen=True)
class Drawn:
    """A figure: `text` says what it shows, with its numbers."""

    figure: Figure
    text: str


def distribution(axes: Axes, values: Floats, label: str, index: int) -> None:
    """Draw the share of values that are at most x, in ms for values in s."""
    if not len(values):
        return
    shares = np.linspace(0, 1, min(len(values), _CURVE_POINTS) + 1)[1:]
    at = np.quantile(values * 1e3, shares, method="inverted_cdf")
    axes.step(
        np.append(at[0], at), np.append(0, shares), where="post", label=label, color=colour(index), ls=dash(index)
    )


def median_p95(values: Floats) -> str:
    """In ms, of values in s."""
    if not len(values):
        return "none"
    median, p95 = np.quantile(values * 1e3, [0.5, 0.95])
    return f"{ms(median)} (95th percentile {ms(p95)})"


def ms(value: float) -> str:
    """A figure in ms as text."""
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"


def pooled(values: Sequence[Floats]) -> Floats:
    """All of them, one after the other."""
    return np.concatenate([*values, np.empty(0)])


def listed(parts: Sequence[str]) -> str:
    """As words: a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def shown(cases: Sequence[Case]) -> tuple[list[Case], str]:
    """Those cases that a figure of each case by itself shows, and what to say of the others."""
    some = [case for case in cases if len(case.exchanges["exchange"])]
    rest = len(some) - MOST_CASES
    return some[:MOST_CASES], f" The first {MOST_CASES} of {len(some)} are shown." if rest > 0 else ""


def busiest(cases: Sequence[Case], most: int) -> list[int]:
    """The devices that were sent most tokens, in their own order; none that was never asked, unless none ever was."""
    count = max(len(case.devices) for case in cases)
    sent = sum(
        np.bincount(case.transfers["device"].astype(int), case.transfers["tokens"], minlength=count) for case in cases
    )
    order = np.argsort(-np.asarray(sent), kind="stable")[:most]
    return sorted(device for device in order.tolist() if np.asarray(sent)[device] > 0) or list(range(min(count, most)))


def padded(values: Floats, count: int) -> Floats:
    """Values of the devices of one run, with 0 for those that only others have."""
    return np.pad(values, (0, count - len(values)))


def names(cases: Sequence[Case]) -> list[str]:
    """A title for each case: its label, and the run where the same label stands for several."""
    labels = [case.label for case in cases]
    return [
        f"{case.label}, seed {case.run.config['seed']}" if labels.count(case.label) > 1 else case.label
        for case in cases
    ]
