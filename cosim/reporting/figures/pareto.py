# SPDX-License-Identifier: Apache-2.0
"""Quality against latency and energy: a curve for each policy over the values of its options."""

from typing import Any

import numpy as np

from cosim.reporting.cases import Case, Data
from cosim.reporting.figures.drawn import Drawn, Lacking
from cosim.reporting.intervals import mean_interval
from cosim.reporting.style import MARKERS, colour, dash, legend, panels

NAME = "pareto"
TITLE = "Quality against latency and energy"


def draw(data: Data) -> Drawn:
    groups = {
        label: [case for case in cases if case.quality and case.quality.is_compared and len(case.tokens["latency_s"])]
        for label, cases in data.groups.items()
    }
    groups = {label: cases for label, cases in groups.items() if cases}
    if not groups:
        raise Lacking("no quality was recorded (quality = true, and a model that runs)")
    joules = all(case.millijoules_a_token() is not None for cases in groups.values() for case in cases)
    figure, axes = panels(1, 2 if joules else 1, wide=joules, sharey=True)
    curves: dict[tuple[str, str], list[str]] = {}
    for label, cases in groups.items():
        curves.setdefault((cases[0].policy, cases[0].network), []).append(label)
    points, said = {}, []
    for label, cases in groups.items():
        loss = mean_interval([_loss(case) for case in cases])
        latency = mean_interval([1e3 * float(case.tokens["latency_s"].mean()) for case in cases])
        energy = mean_interval([case.millijoules_a_token() or 0.0 for case in cases])
        points[label] = (latency, energy, loss)
        told = f", {energy[0]:.3g} mJ" if joules else ""
        said.append(f"{label}: {latency[0]:.0f} ms{told} a token, {loss[0]:.4f} nats")
    for index, ((policy, network), labels) in enumerate(curves.items()):
        for panel, which in zip(axes, (0, 1), strict=False):
            x, y = (np.array([points[label][each] for label in labels]) for each in (which, 2))
            order = np.argsort(x[:, 0])
            x, y = x[order], y[order]
            looks: dict[str, Any] = {"marker": MARKERS[index % 8], "color": colour(index), "elinewidth": 0.6}
            looks["ls"] = dash(index) if len(x) > 1 else "none"
            name = policy if len({network for _, network in curves}) == 1 else f"{policy} ({network})"
            panel.errorbar(x[:, 0], y[:, 0], _bars(y), _bars(x), label=name, **looks)
    axes[0].set(xlabel="mean latency of a token in ms", ylabel="KL divergence in nats")
    if joules:
        axes[1].set_xlabel("energy of a token in mJ")
    legend(figure, axes[0], 4 if joules else 2)
    seeds = max(len(cases) for cases in groups.values())
    bars = f" Bars: 95 % bootstrap intervals over {seeds} seeds." if seeds > 1 else ""
    drew = any(case.energy.total_j is None for cases in groups.values() for case in cases)
    radiated = " Energy is what was radiated, where what was drawn is not known." if joules and drew else ""
    return Drawn(
        figure,
        "Divergence from the unmodified model's next token (lower is better) against what a token takes (left is "
        f"better). {'; '.join(said)}.{bars}{radiated}",
    )


def _loss(case: Case) -> float:
    assert case.quality is not None
    return float(case.quality.mean_kl_nats)


def _bars(points: np.ndarray) -> np.ndarray:
    """How far intervals [n, 3] of mean, low and high reach below and above."""
    return np.asarray(np.maximum(np.stack([points[:, 0] - points[:, 1], points[:, 2] - points[:, 0]]), 0))
