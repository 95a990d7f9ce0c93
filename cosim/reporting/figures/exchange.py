# SPDX-License-Identifier: Apache-2.0
"""One exchange as a timeline: downlink, computing and uplink of each device, and which of them ended the layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cosim.reporting.cases import Case, Data
from cosim.reporting.columns import PHASES, STATUSES
from cosim.reporting.figures.drawn import Drawn, Lacking, ms, names, shown
from cosim.reporting.style import COLOURS, HATCHES, panels
from model_side.routing import Floats

NAME = "exchange"
TITLE = "One exchange"
PARTS = ("downlink", "computing", "uplink")


def draw(data: Data) -> Drawn:
    cases, rest = shown([case for case in data.cases if len(case.transfers["at"])])
    if not cases:
        raise Lacking("no device was asked anything")
    most = max(int((case.transfers["at"] == typical(case)).sum()) for case in cases)
    figure, axes = panels(len(cases), panel_in=0.6 + 0.11 * most)
    said = []
    for case, title, panel in zip(cases, names(cases), axes, strict=True):
        at = typical(case)
        _bars(panel, case, at)
        row = {name: column[at] for name, column in case.exchanges.items()}
        panel.set_title(f"{title}: {case.whose(at)}, layer {row['layer']:.0f}")
        last = case.ended_by[at]
        who = "none came to its end" if np.isnan(last) else f"{case.devices[int(last)]} ended it"
        phase = PHASES[int(row["phase"])]
        said.append(f"{title}: {phase} of {row['tokens']:.0f} tokens, {ms(1e3 * row['air_s'])}, {who}")
    axes[-1].set_xlabel("ms since the departure")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles[: len(PARTS)], labels[: len(PARTS)], loc="outside upper center", ncols=3, borderpad=0)
    return Drawn(
        figure,
        "The exchange of median latency among those that asked most devices; the device that ended it is marked with a "
        f"triangle, a cross means that the answer did not come in time. {'; '.join(said)}.{rest}",
    )


def typical(case: Case) -> int:
    """The index of the exchange of median latency among those that asked most devices."""
    asked = np.bincount(case.transfers["at"].astype(int), minlength=len(case.exchanges["exchange"]))
    full = np.flatnonzero(asked == asked.max())
    order = full[np.argsort(case.exchanges["air_s"][full], kind="stable")]
    return int(order[len(order) // 2])


def parts_ms(transfers: dict[str, Floats], depart_s: Any, end_s: Any) -> Floats:
    """Where downlink, computing and uplink of transfers begin and end [4, M], in ms since the departure; NaN: never."""
    edges = np.stack([transfers[name] for name in ("begin_s", "down_s", "compute_s", "up_s")])
    for later in range(1, len(edges)):  # what was under way at the end was cut there
        cut = np.isnan(edges[later]) & ~np.isnan(edges[later - 1]) & (edges[later - 1] < end_s)
        edges[later] = np.where(cut, end_s, edges[later])
    return np.asarray(1e3 * (edges - depart_s))


def _bars(panel: Axes, case: Case, at: int) -> None:
    mine = case.transfers["at"] == at
    transfers = {name: column[mine] for name, column in case.transfers.items()}
    edges = parts_ms(transfers, case.exchanges["depart_s"][at], case.exchanges["end_s"][at])
    device = np.arange(mine.sum())
    for part, label in enumerate(PARTS):
        took = np.nan_to_num(edges[part + 1] - edges[part])
        left = np.nan_to_num(edges[part])
        panel.barh(device, took, left=left, color=COLOURS[part], hatch=HATCHES[part], label=label, height=0.7, lw=0.3)
    late = transfers["status"] != STATUSES.index("done")
    end_ms = 1e3 * case.exchanges["air_s"][at]
    panel.plot(np.full(late.sum(), end_ms), device[late], "x", color=COLOURS[3])
    last = case.ended_by[at]
    if not np.isnan(last):
        panel.plot([end_ms * 1.02], device[transfers["device"] == last], "<", color=COLOURS[3], clip_on=False)
    _name_devices(panel, [case.devices[int(each)] for each in transfers["device"]])
    panel.set_xlim(0, end_ms * 1.04)


def _name_devices(panel: Axes, devices: Sequence[str]) -> None:
    panel.set_yticks(range(len(devices)), devices)
    panel.invert_yaxis()
    panel.grid(visible=False, axis="y")
