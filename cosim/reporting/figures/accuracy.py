# SPDX-License-Identifier: Apache-2.0
"""Accuracy by data set, where tasks were asked: each policy beside the unmodified model."""

import math
from typing import Any

import numpy as np

from cosim.reporting.cases import Case, Data
from cosim.reporting.figures.drawn import Drawn, Lacking
from cosim.reporting.style import HATCHES, INK, colour, legend, panels

NAME = "accuracy"
TITLE = "Accuracy by data set"
_Z = 1.959964
"""Of the standard normal distribution: 95 % lie nearer to 0."""


def draw(data: Data) -> Drawn:
    groups = {label: [case for case in cases if case.accuracy] for label, cases in data.groups.items()}
    groups = {label: cases for label, cases in groups.items() if cases}
    tasks = list(dict.fromkeys(task for cases in groups.values() for case in cases for task in case.accuracy))
    if not tasks:
        raise Lacking("no task was asked (cosim eval)")
    figure, (panel,) = panels()
    width, said = 0.8 / len(groups), []
    for index, (label, cases) in enumerate(groups.items()):
        told = []
        for at, task in enumerate(tasks):
            right, count, reference = _summed(cases, task)
            if not count:
                continue
            low, high = wilson(right, count)
            share, x = right / count, at + (index - (len(groups) - 1) / 2) * width
            looks: dict[str, Any] = {
                "color": colour(index),
                "hatch": HATCHES[index % 6],
                "lw": 0.3,
                "label": "" if at else label,
            }
            off = np.maximum([[share - low], [high - share]], 0)
            looks["label"] = "" if at else label
            panel.bar(x, 100 * share, width, yerr=100 * off, error_kw={"elinewidth": 0.6, "ecolor": INK}, **looks)
            if reference is not None:
                panel.plot([x - width / 2, x + width / 2], [100 * reference] * 2, ":", color=INK, lw=0.9)
            unmodified = "" if reference is None else f" (unmodified {reference:.1%})"
            told.append(f"{task} {share:.1%}{unmodified} of {count}")
        said.append(f"{label}: {', '.join(told)}")
    slanted = len(tasks) > 3
    panel.set_xticks(range(len(tasks)), tasks, rotation=30 if slanted else 0, ha="right" if slanted else "center")
    panel.set(ylabel="accuracy in %", ylim=(0, 100))
    panel.grid(visible=False, axis="x")
    legend(figure, panel, 2)
    return Drawn(
        figure,
        "Share of items that were answered right over the network; bars are 95 % intervals (Wilson's) over items, "
        f"dotted: the unmodified model. {'; '.join(said)}.",
    )


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % score interval of a share (E. B. Wilson, Journal of the American Statistical Association 22, 1927)."""
    share, z2 = right / count, _Z**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return middle - half, middle + half


def _summed(cases: list[Case], task: str) -> tuple[int, int, float | None]:
    """Items answered right and all of them, over cases, and the share that the unmodified model answers right."""
    found = [case.accuracy[task] for case in cases if task in case.accuracy]
    count = sum(each.count for each in found)
    known = [each.reference_right for each in found]
    right = sum(each for each in known if each is not None)
    return sum(each.right for each in found), count, None if None in known or not count else right / count
