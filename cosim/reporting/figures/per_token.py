# SPDX-License-Identifier: Apache-2.0
"""Experts per token, and what became of the gate's choices: asked, substituted, left out, late or lost."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from cosim.reporting.cases import Data
from cosim.reporting.figures.drawn import Drawn, Lacking
from cosim.reporting.style import COLOURS, HATCHES, colour, panels

NAME = "experts-per-token"
TITLE = "Experts per token"
FATES = ("gate's choice, in time", "asked instead, in time", "late or lost", "left out")


def draw(data: Data) -> Drawn:
    groups = {
        label: [case.routing for case in cases if case.routing is not None] for label, cases in data.groups.items()
    }
    groups = {label: found for label, found in groups.items() if found}
    if not groups:
        raise Lacking("no routing was recorded")
    figure, (left, right) = panels(1, 2, wide=True, panel_in=max(1.6, 0.9 + 0.24 * len(groups)))
    width, said, below = 0.8 / len(groups), [], np.zeros(len(groups))
    fates = np.zeros((len(groups), len(FATES)))
    for index, (label, found) in enumerate(groups.items()):
        counts = np.concatenate([np.bincount(each.token, minlength=each.tokens) for each in found])
        share = np.bincount(counts) / len(counts)
        at = np.arange(len(share)) + (index - (len(groups) - 1) / 2) * width
        left.bar(at, 100 * share, width, color=colour(index), hatch=HATCHES[index % 6], lw=0.3, label=label)
        own = sum(len(each.gate) for each in found)
        new, late = (sum(int(getattr(each, name).sum()) for each in found) for name in ("new", "late"))
        new_in_time = sum(int((each.new & ~each.late).sum()) for each in found)
        asked = sum(len(each.chosen) for each in found)
        fates[index] = [asked - late - new_in_time, new_in_time, late, max(own - asked, 0)]
        kept = sum(int(each.kept.sum()) for each in found)
        said.append(
            f"{label}: {counts.mean():.2f} experts a token and layer; of the gate's slots {1 - kept / own:.1%} not "
            f"asked, {new / own:.1%} asked of others instead, {late / own:.1%} late or lost"
        )
    shares = 100 * fates / fates.sum(axis=1, keepdims=True)
    for part, name in enumerate(FATES):
        right.barh(
            list(groups), shares[:, part], left=below, color=COLOURS[part + 2], hatch=HATCHES[part], lw=0.3, label=name
        )
        below = below + shares[:, part]
    left.set(xlabel="experts asked for a token in a layer", ylabel="share in %")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend()
    right.set(xlabel="expert slots in %", xlim=(0, 100))
    right.invert_yaxis()
    right.grid(visible=False, axis="y")
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    what = "Left: how many experts were asked for a token in a layer. Right: what became of expert slots"
    return Drawn(figure, f"{what}. {'; '.join(said)}.")
