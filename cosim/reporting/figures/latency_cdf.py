# SPDX-License-Identifier: Apache-2.0
"""Time to the first token, and of each token after it: distributions by policy."""

from cosim.reporting.cases import Data
from cosim.reporting.figures.drawn import Drawn, Lacking, distribution, median_p95, pooled
from cosim.reporting.style import legend, panels

NAME = "latency-cdf"
TITLE = "Latency of tokens: TTFT and TPOT"


def draw(data: Data) -> Drawn:
    if not any(len(case.tokens["latency_s"]) for case in data.cases):
        raise Lacking("no token was generated")
    figure, (first, other) = panels(1, 2, sharey=True)
    said = []
    for index, (label, cases) in enumerate(data.groups.items()):
        ttft_s, tpot_s = pooled([case.ttft_s for case in cases]), pooled([case.tpot_s for case in cases])
        distribution(first, ttft_s, label, index)
        distribution(other, tpot_s, label, index)
        said.append(f"{label}: TTFT {median_p95(ttft_s)}, TPOT {median_p95(tpot_s)}")
    first.set(xlabel="TTFT in ms", ylabel="share of requests or tokens", ylim=(0, 1))
    other.set(xlabel="TPOT in ms")
    legend(figure, first, 2)
    return Drawn(
        figure,
        f"Share of requests whose first token, and of tokens that, took at most so long. Medians: {'; '.join(said)}.",
    )
