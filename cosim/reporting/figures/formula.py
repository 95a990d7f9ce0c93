# SPDX-License-Identifier: Apache-2.0
"""How far a formula, or a what-if, is from packets: layers of one policy on two networks, pair by pair."""

import numpy as np

from cosim.reporting.cases import Case, Data
from cosim.reporting.figures.drawn import Drawn, Lacking
from cosim.reporting.style import colour, dash, legend, panels
from model_side.routing import Floats, Indices

NAME = "formula"
TITLE = "Formula against packets"


def draw(data: Data) -> Drawn:
    figure, (panel,) = panels()
    said: list[str] = []
    for case in data.cases:
        live = next((each for each in data.cases if _is_same_live(each, case)), None)
        if live is None or not len(ratio := ratios(case, live)):
            continue
        shares = np.linspace(0, 1, min(len(ratio), 400))
        index = len(said)
        panel.plot(np.quantile(ratio, shares), shares, label=case.label, color=colour(index), ls=dash(index))
        low, median, high = np.quantile(ratio, [0.05, 0.5, 0.95])
        said.append(f"{case.label}: median {median:.2f} of live, nine of ten between {low:.2f} and {high:.2f}")
    if not said:
        raise Lacking("no policy ran on the live network and on another (cosim run --network live --network analytic)")
    panel.axvline(1, color="#7F7F7F", lw=0.6)
    panel.set(xlabel="latency of a layer, of that with packets", ylabel="share of layers", ylim=(0, 1), xscale="log")
    legend(figure, panel, 2)
    return Drawn(
        figure,
        "Latency of each layer by the formula over that of the same layer of the same policy with packets (1: equal). "
        f"{'; '.join(said)}.",
    )


def _is_same_live(each: Case, case: Case) -> bool:
    return (
        each.network == "live"
        and case.network != "live"
        and (each.policy, each.run.seeds, each.options) == (case.policy, case.run.seeds, case.options)
    )


def ratios(case: Case, live: Case) -> Floats:
    """Of exchanges of the same layer with the same rows."""
    numbers: dict[bytes, int] = {}
    own, other = ((_passes(each, numbers) << 12) | each.exchanges["layer"].astype(np.int64) for each in (case, live))
    _, ours, theirs = np.intersect1d(own, other, return_indices=True)
    return np.asarray(case.exchanges["air_s"][ours] / np.maximum(live.exchanges["air_s"][theirs], 1e-12))


def _passes(case: Case, numbers: dict[bytes, int]) -> Indices:
    """A number for the pass of each exchange, the same for passes of the same rows; `numbers`: of shared passes."""
    if not case.is_shared:
        request, position = (case.exchanges[name].astype(np.int64) for name in ("request", "position"))
        return (request << 28) | position
    rows = np.stack([case.pass_rows[name] for name in ("request", "position", "tokens")], axis=1)
    cuts = np.flatnonzero(np.diff(case.pass_rows["exchange"])) + 1
    own = [numbers.setdefault(each.tobytes(), len(numbers)) for each in np.split(rows, cuts)]
    return np.array(own)[case.pass_of]
