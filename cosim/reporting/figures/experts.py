# SPDX-License-Identifier: Apache-2.0
"""Expert use by layer: what the gate chose, and what the policy asked."""

import numpy as np

from cosim.reporting.cases import Case, Data
from cosim.reporting.figures.drawn import Drawn, Lacking, names, shown
from cosim.reporting.style import panels
from model_side.routing import Floats

NAME = "experts"
TITLE = "Use of experts, gate against policy"


def draw(data: Data) -> Drawn:
    cases, rest = shown([case for case in data.cases if case.routing is not None])
    if not cases:
        raise Lacking("no routing was recorded")
    gate, maps = used(cases[0], gate=True), [used(case, gate=False) for case in cases]
    height = 0.75 + 0.09 * len(gate)
    figure, axes = panels(1, len(cases) + 1, wide=len(cases) > 1, panel_in=height, sharey=True)
    top = 100 * max(gate.max(), *(each.max() for each in maps))
    for panel, share, title in zip(axes, [gate, *maps], ["gate", *names(cases)], strict=True):
        image = panel.imshow(100 * share, aspect="auto", vmin=0, vmax=top, interpolation="nearest")
        panel.set(title=title, xlabel="expert")
        panel.grid(visible=False)
    axes[0].set_ylabel("MoE layer")
    figure.colorbar(image, ax=axes, label="slots in %", pad=0.02)
    said = []
    for case, title in zip(cases, names(cases), strict=True):
        kept = case.routing.kept.mean() if case.routing else 1.0
        busiest = np.unravel_index(used(case, gate=False).argmax(), gate.shape)
        said.append(
            f"{title}: {kept:.0%} of the gate's choices asked, most often expert {busiest[1]} of layer {busiest[0]}"
        )
    return Drawn(
        figure,
        "Share of a layer's expert slots that went to each expert, by the gate's own choice and as each policy asked "
        f"it (slots left out are missing from the sum). {'; '.join(said)}.{rest}",
    )


def used(case: Case, *, gate: bool) -> Floats:
    """Of each layer's slots as the gate chose them, the share that went to each expert [L, E]."""
    routing = case.routing
    assert routing is not None
    layer = case.exchanges["layer"].astype(np.int64)
    layers = int(layer.max()) + 1
    own = np.bincount(layer[routing.gate_exchange], minlength=layers)
    at, expert = (routing.gate_exchange, routing.gate) if gate else (routing.exchange, routing.chosen)
    counts = np.bincount(layer[at] * routing.experts + expert, minlength=layers * routing.experts)
    return np.asarray(counts.reshape(layers, -1) / np.maximum(own, 1)[:, None])
