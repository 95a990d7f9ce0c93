# SPDX-License-Identifier: Apache-2.0
"""The cell: base stations, the devices' tracks with the SINR that they had there, and other users."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from bridge.network import Site
from cosim.reporting.cases import Case, Data
from cosim.reporting.cell_map import CellMap, by_place
from cosim.reporting.figures.drawn import MOST_DEVICES, Drawn, Lacking, listed
from cosim.reporting.style import COLOURS, INK, panels
from model_side.routing import Floats

NAME = "cell"
TITLE = "The cell"
_SQUARES = 80
"""Into which the longer side of the map is divided; SINR is averaged in each."""
_MARGIN = 0.16
_FAINT = "#9A9A9A"


def draw(data: Data) -> Drawn:
    case = next((each for each in data.cases if each.cell is not None), None)
    if case is None or case.cell is None:
        return _by_distance(data)
    cell = case.cell
    figure, (panel,) = panels(panel_in=2.6)
    low, high = view(cell)
    _sites(panel, cell.sites, float((high - low).max()))
    _tracks(panel, cell)
    places, mean_db, _ = by_place(cell, float((high - low).max()) / _SQUARES)
    if len(mean_db):
        shown = panel.scatter(places[:, 0], places[:, 1], c=mean_db, s=13, edgecolors="none", zorder=3)
        figure.colorbar(shown, ax=panel, label="SINR, down, in dB")
    panel.set(xlabel="x in m", ylabel="y in m", xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    for name, (x, y, _) in zip(_names(cell.devices), _begins(cell), strict=True):
        panel.annotate(name, (x, y), (3, 3), textcoords="offset points", fontsize=5, color=INK)
    return Drawn(figure, _said(case, cell, bool(len(mean_db))))


def view(cell: CellMap) -> tuple[Floats, Floats]:
    """The corners of the map, x and y, a square: all users and the network's own base stations, with a margin."""
    own = [(site.x_m, site.y_m) for site in cell.sites if not site.is_neighbour]
    there = np.concatenate([cell.place_m[..., :2].reshape(-1, 2), np.array(own).reshape(-1, 2)])
    low, high = np.nanmin(there, axis=0), np.nanmax(there, axis=0)
    half = max((0.5 + _MARGIN) * float((high - low).max()), 1.0)
    return (low + high) / 2 - half, (low + high) / 2 + half


def _begins(cell: CellMap) -> Floats:
    return cell.place_m[: len(cell.devices), 0]


def _sites(panel: Axes, sites: Sequence[Site], size_m: float) -> None:
    for site in sites:
        for azimuth in np.deg2rad(site.azimuths_deg):
            ahead = site.x_m + 0.06 * size_m * np.cos(azimuth), site.y_m + 0.06 * size_m * np.sin(azimuth)
            panel.plot([site.x_m, ahead[0]], [site.y_m, ahead[1]], color=INK, lw=0.6)
        face = "none" if site.is_neighbour else COLOURS[3]
        panel.plot(site.x_m, site.y_m, "^", color=COLOURS[3], mfc=face, ms=6, mew=0.6, zorder=4, clip_on=True)


def _tracks(panel: Axes, cell: CellMap) -> None:
    for user, (track, moves) in enumerate(zip(cell.place_m, cell.moves, strict=True)):
        is_device = user < len(cell.devices)
        if moves:
            panel.plot(*track[:, :2].T, color=_FAINT, lw=0.6, ls="-" if is_device else ":", zorder=2)
        marker, face = ("o", "none") if is_device else ("+", _FAINT)
        panel.plot(*track[0, :2], marker, color=INK if is_device else _FAINT, mfc=face, ms=5, mew=0.5, zorder=5)


def _said(case: Case, cell: CellMap, measured: bool) -> str:
    count = len(cell.devices)
    moving = int(cell.moves[:count].sum())
    way = np.nansum(np.linalg.norm(np.diff(cell.place_m[:count], axis=1), axis=2), axis=1)
    span_s = cell.time_s[-1] - cell.time_s[0]
    went = f", {moving} of which went {way[cell.moves[:count]].mean():.3g} m on average" if moving else ""
    own = sum(not site.is_neighbour for site in cell.sites)
    parts = [f"{count} devices (circles where they began) over {span_s:.3g} s of virtual time{went}"]
    if cell.others:
        parts.append(f"{len(cell.others)} other user{'s' * (len(cell.others) > 1)} (crosses)")
    if own:
        sectors = ", lines where its sectors look" if any(site.azimuths_deg for site in cell.sites) else ""
        parts.append(f"{own} base station{'s' * (own > 1)} (triangles{sectors})")
    low, high = view(cell)
    if any(
        site.is_neighbour and (low < (at := (site.x_m, site.y_m))).all() and (at < high).all() for site in cell.sites
    ):
        parts.append("hollow triangles for neighbours, which only interfere")
    told = f"{listed(parts)}, in {case.label}."
    if not measured:
        return f"{told} No SINR was measured."
    mean_db = [np.nanmean(each) if (~np.isnan(each)).any() else np.nan for each in cell.sinr_db]
    said = [f"{name} {db:.0f} dB" for name, db in zip(cell.devices, mean_db, strict=True) if not np.isnan(db)]
    said = said if len(said) <= MOST_DEVICES else [f"from {np.nanmin(mean_db):.0f} to {np.nanmax(mean_db):.0f} dB"]
    what = "Colours: downlink SINR at the place, averaged over the times at which a device was there"
    return f"{told} {what}; over all times {', '.join(said)}."


def _by_distance(data: Data) -> Drawn:
    """Of runs from before there were tracks, whose scenario was told distances alone."""
    case = next((each for each in data.cases if _distances(each) is not None), None)
    if case is None:
        raise Lacking("nobody has a place in this scenario, or the run is from before places were recorded")
    low, mean, high = np.array([_range(case, device) for device in range(len(case.devices))]).T
    if np.isnan(mean).all():
        raise Lacking("no SINR was measured")
    figure, (panel,) = panels(panel_in=2.4)
    distances = _distances(case)
    assert distances is not None
    panel.errorbar(distances, mean, [mean - low, high - mean], fmt="o", color=COLOURS[0], elinewidth=0.7, capsize=2)
    for name, x, y in zip(_names(case.devices), distances, mean, strict=True):
        panel.annotate(name, (x, y), (3, 3), textcoords="offset points", fontsize=5, color=INK)
    panel.set(xlabel="distance to the base station in m", ylabel="SINR, down, in dB")
    said = [f"{name} {db:.0f} dB" for name, db in zip(case.devices, mean, strict=True) if not np.isnan(db)]
    moving = " They moved; shown is where they began." if case.parameters.get("movement") else ""
    what = "Downlink SINR of each device by its distance, mean and from the 5th to the 95th percentile"
    return Drawn(figure, f"{what}, in {case.label}: {', '.join(said)}.{moving}")


def _distances(case: Case) -> Floats | None:
    """In m [D]; None where the parameters have none."""
    given = case.parameters.get("distances_m")
    if isinstance(given, list) and len(given) == len(case.devices):
        return np.array(given, dtype=np.float64)
    return None


def _names(devices: Sequence[str]) -> Sequence[str]:
    """Of the devices, where there is room for them."""
    return devices if len(devices) <= MOST_DEVICES else [""] * len(devices)


def _range(case: Case, device: int) -> tuple[float, float, float]:
    values = case.links["downlink_sinr_db"][case.links["device"] == device]
    values = values[~np.isnan(values)]
    if not len(values):
        return (np.nan,) * 3
    low, high = np.quantile(values, [0.05, 0.95])
    return float(low), float(values.mean()), float(high)
