# SPDX-License-Identifier: Apache-2.0
"""Links over virtual time above the devices that were chosen, so that one sees selection react to the link."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cosim.reporting.cases import Case, Data
from cosim.reporting.figures.drawn import Drawn, Lacking, busiest, names, shown
from cosim.reporting.style import INK, colour, legend, panels

NAME = "links"
TITLE = "Links and what was chosen, over virtual time"
_POINTS = 600
_TOLD, _OTHERS = 8, "#BBBBBB"
"""How many devices have a colour of their own, and that of the others."""


def draw(data: Data) -> Drawn:
    cases, rest = shown([case for case in data.cases if len(case.links["at"])])
    if not cases:
        raise Lacking("no link state was recorded")
    figure, axes = panels(2, len(cases), wide=len(cases) > 1, panel_in=1.5, sharex="col", sharey="row")
    said, told = [], busiest(cases, _TOLD)
    for column, (case, title) in enumerate(zip(cases, names(cases), strict=True)):
        upper, lower = axes[column], axes[len(cases) + column]
        _sinr(upper, case, told)
        _chosen(lower, case, told)
        for time_s, _, kind in marks(case):
            upper.axvline(time_s, color=INK, lw=0.5, alpha=0.6, ls="-" if kind == "handover" else ":")
        upper.set_title(title)
        lower.set_xlabel("virtual time in s")
        said.append(f"{title}: {_told(case)}")
    axes[0].set_ylabel("SINR, down, in dB")
    axes[len(cases)].set_ylabel("tokens sent, share in %")
    legend(figure, axes[0], 4 if len(cases) == 1 else 8)
    is_grey = any(len(case.devices) > len(told) for case in cases)
    grey = f"In grey: devices but the {len(told)} that were sent most. " if is_grey else ""
    return Drawn(
        figure,
        "Above: the downlink SINR of each device as the base station knew it; a solid mark is a handover, a dotted one "
        "a device that was cut off or left. Below: which share of the tokens it was sent. "
        f"{grey}{'; '.join(said)}.{rest}",
    )


def marks(case: Case) -> list[tuple[float, int, str]]:
    """Handovers, lost connections and returns: when, of which device, and what."""
    found = []
    for device in range(len(case.devices)):
        mine = case.links["device"] == device
        at = case.links["at"][mine].astype(int)
        cell, there = case.links["cell"][mine], case.links["connected"][mine] == 1
        end_s = case.exchanges["end_s"]
        for change in np.flatnonzero(np.diff(there.astype(int))) + 1:
            found.append((float(end_s[at[change]]), device, "back" if there[change] else "cut off"))
        known = np.flatnonzero(~np.isnan(cell))
        for change in np.flatnonzero(np.diff(cell[known])) + 1:
            found.append((float(end_s[at[known[change]]]), device, "handover"))
    return sorted(found)


def chosen_shares(case: Case, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges of equal parts of virtual time, and of each the share of tokens that each device was sent [bins, D]."""
    end_s = case.exchanges["end_s"]
    edges = np.linspace(min(case.exchanges["depart_s"][0], end_s[0]), max(end_s[-1], 1e-9), bins + 1)
    at = np.clip(np.searchsorted(edges, case.exchanges["depart_s"][case.transfers["at"].astype(int)]) - 1, 0, bins - 1)
    flat = at * len(case.devices) + case.transfers["device"].astype(int)
    sent = np.bincount(flat, case.transfers["tokens"], minlength=bins * len(case.devices))
    sent = sent.reshape(bins, -1)
    there = np.maximum.accumulate(np.where(sent.any(axis=1), np.arange(bins), 0))
    sent = sent[there]  # where nothing was sent, what was before
    return edges, sent / np.maximum(sent.sum(axis=1, keepdims=True), 1)


def _sinr(panel: Axes, case: Case, told: list[int]) -> None:
    for device, name in enumerate(case.devices):
        mine = np.flatnonzero(case.links["device"] == device)
        mine = mine[:: max(1, len(mine) // _POINTS)]
        time_s = case.exchanges["end_s"][case.links["at"][mine].astype(int)]
        there = case.links["connected"][mine] == 1
        sinr_db = np.where(there, case.links["downlink_sinr_db"][mine], np.nan)
        looks: dict[str, Any] = {"color": _OTHERS, "lw": 0.3, "zorder": 1}
        if device in told:
            looks = {"color": colour(told.index(device)), "label": name, "lw": 0.7}
        panel.plot(time_s, sinr_db, **looks)


def _chosen(panel: Axes, case: Case, told: list[int]) -> None:
    edges, share = chosen_shares(case, 40)
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.zeros(len(middle))
    for device in sorted(range(len(case.devices)), key=lambda device: (device not in told, device)):
        top = below + 100 * share[:, device]
        panel.fill_between(
            middle, below, top, step="mid", color=colour(told.index(device)) if device in told else _OTHERS, lw=0
        )
        below = top
    panel.set_ylim(0, 100)


def _told(case: Case) -> str:
    mean_db = [
        np.nanmean(values) if (~np.isnan(values)).any() else np.nan
        for device in range(len(case.devices))
        for values in [case.links["downlink_sinr_db"][case.links["device"] == device]]
    ]
    kinds = [kind for _, _, kind in marks(case)]
    befell = ", ".join(f"{kinds.count(kind)} x {kind}" for kind in ("handover", "cut off", "back") if kind in kinds)
    if np.isnan(mean_db).all():
        return f"no SINR is measured; {befell or 'no connection was lost'}"
    worst, best = int(np.nanargmin(mean_db)), int(np.nanargmax(mean_db))
    low, high = (f"{mean_db[device]:.0f} dB ({case.devices[device]})" for device in (worst, best))
    span = f"mean SINR from {low} to {high}"
    tokens = np.bincount(case.transfers["device"].astype(int), case.transfers["tokens"], minlength=len(case.devices))
    sent = f"{tokens[worst] / max(tokens.sum(), 1):.0%} and {tokens[best] / max(tokens.sum(), 1):.0%} of the tokens"
    return f"{span}, which were sent {sent}; {befell or 'no handover, no connection lost'}"
