# SPDX-License-Identifier: Apache-2.0
"""Where devices stand, and what SINR they had there: a map where positions were given, else by distance."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from cosim.reporting.cases import Case, Data
from cosim.reporting.figures.drawn import MOST_DEVICES, Drawn, Lacking
from cosim.reporting.style import COLOURS, INK, panels
from model_side.routing import Floats

NAME = "cell"
TITLE = "The cell"


def draw(data: Data) -> Drawn:
    case = next((each for each in data.cases if _places(each) is not None), None)
    if case is None:
        raise Lacking("the scenario's parameters name neither positions nor distances of the devices")
    low, mean, high = np.array([_range(case, device) for device in range(len(case.devices))]).T
    if np.isnan(mean).all():
        raise Lacking("no SINR was measured")
    figure, (panel,) = panels(panel_in=2.4)
    places = _places(case)
    assert places is not None
    if places.ndim == 2:
        _map(panel, case, places, mean)
        figure.colorbar(panel.collections[0], ax=panel, label="mean SINR, down, in dB")
        what = "Where the devices stood around the base station (triangle), coloured by their mean downlink SINR"
    else:
        panel.errorbar(places, mean, [mean - low, high - mean], fmt="o", color=COLOURS[0], elinewidth=0.7, capsize=2)
        for name, x, y in zip(_names(case), places, mean, strict=True):
            panel.annotate(name, (x, y), (3, 3), textcoords="offset points", fontsize=5, color=INK)
        panel.set(xlabel="distance to the base station in m", ylabel="SINR, down, in dB")
        what = "Downlink SINR of each device by its distance, mean and from the 5th to the 95th percentile"
    said = [f"{name} {db:.0f} dB" for name, db in zip(case.devices, mean, strict=True) if not np.isnan(db)]
    moving = " They moved; shown is where they began." if case.parameters.get("movement") else ""
    return Drawn(figure, f"{what}, in {case.label}: {', '.join(said)}.{moving}")


def _places(case: Case) -> Floats | None:
    """Positions [D, 2 or 3] or distances [D] in m; None where the parameters have neither."""
    for name in ("positions_m", "distances_m"):
        given = case.parameters.get(name)
        if isinstance(given, list) and len(given) == len(case.devices):
            return np.array(given, dtype=np.float64)
    return None


def _names(case: Case) -> Sequence[str]:
    """Of the devices, where there is room for them."""
    return case.devices if len(case.devices) <= MOST_DEVICES else [""] * len(case.devices)


def _range(case: Case, device: int) -> tuple[float, float, float]:
    values = case.links["downlink_sinr_db"][case.links["device"] == device]
    values = values[~np.isnan(values)]
    if not len(values):
        return (np.nan,) * 3
    low, high = np.quantile(values, [0.05, 0.95])
    return float(low), float(values.mean()), float(high)


def _map(panel: Axes, case: Case, places: Floats, mean_db: Floats) -> None:
    panel.scatter(places[:, 0], places[:, 1], c=mean_db, s=22, edgecolors=INK, linewidths=0.4, zorder=3)
    panel.plot([0], [0], "^", color=COLOURS[3], ms=6)
    for name, (x, y, *_) in zip(_names(case), places, strict=True):
        panel.annotate(name, (x, y), (3, 3), textcoords="offset points", fontsize=5, color=INK)
    panel.set(xlabel="x in m", ylabel="y in m", aspect="equal")
    panel.set_xmargin(0.15)
