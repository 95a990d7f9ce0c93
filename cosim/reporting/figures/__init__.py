# SPDX-License-Identifier: Apache-2.0
"""The figures of a report, one a file."""

from typing import Protocol

from cosim.reporting.cases import Data
from cosim.reporting.figures import (
    accuracy,
    arrival_rate,
    bottleneck,
    cell,
    decisions,
    energy,
    exchange,
    experts,
    formula,
    goodput,
    latency_cdf,
    layer_latency,
    links,
    pareto,
    per_token,
    prediction,
    queue,
    sweep,
    throughput,
    time_split,
    utilisation,
)
from cosim.reporting.figures.drawn import Drawn


class Plot(Protocol):
    """What each file here is."""

    NAME: str
    TITLE: str

    def draw(self, data: Data) -> Drawn:
        """The figure; raises `Lacking` where runs have not what it shows."""


FIGURES: dict[str, Plot] = {
    each.NAME: each
    for each in (
        latency_cdf,
        layer_latency,
        time_split,
        formula,
        exchange,
        bottleneck,
        links,
        experts,
        per_token,
        cell,
        pareto,
        accuracy,
        sweep,
        energy,
        prediction,
        decisions,
        utilisation,
        queue,
        throughput,
        arrival_rate,
        goodput,
    )
}
"""By their names, in the order of the page."""
OF_TOKENS = {each.NAME for each in (latency_cdf, time_split, accuracy)}
"""Those that a dense baseline has a part in; the others show what comes of exchanges."""

__all__ = ["FIGURES", "OF_TOKENS", "Drawn", "Plot"]
