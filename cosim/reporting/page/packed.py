# SPDX-License-Identifier: Apache-2.0
"""What the page's own plots are drawn from: columns as little-endian arrays in base64, few enough for a phone."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosim.reporting.cases import Case, Data
from cosim.reporting.cell_map import CellMap
from cosim.reporting.columns import PHASES
from cosim.reporting.figures.cell import view
from cosim.reporting.figures.drawn import names
from cosim.reporting.figures.exchange import parts_ms, typical
from cosim.reporting.figures.links import chosen_shares, marks
from model_side.routing import Mask

MOST_EXCHANGES, MOST_TRANSFERS, MOST_LINKS = 200_000, 120_000, 16_000
"""Over all cases. Of more exchanges and link states each so-many-th is taken, of transfers the first."""
NOBODY = 255
QUANTITIES = {
    "downlink_sinr_db": "SINR, down, dB",
    "uplink_sinr_db": "SINR, up, dB",
    "downlink_mcs": "MCS, down",
    "uplink_mcs": "MCS, up",
    "downlink_rate_bps": "rate, down, bit/s",
    "uplink_rate_bps": "rate, up, bit/s",
    "rlc_queue_bytes": "queue, down, bytes",
    "bsr_bytes": "queue, up, bytes",
    "downlink_bler": "BLER, down",
    "uplink_bler": "BLER, up",
}
_BINS = 60
_MAP_PLACES = 60_000


def packed(data: Data, *, live: bool = False) -> dict[str, Any]:
    """All cases, for JSON; of a run that goes on fewer transfers, and the latest."""
    cases = [case for case in data.cases if len(case.exchanges["exchange"])]
    titles = names(cases)
    labels = list(data.groups)
    step = _step(sum(len(case.exchanges["exchange"]) for case in cases), MOST_EXCHANGES)
    link_step = _step(sum(len(case.links["at"]) for case in cases), MOST_LINKS)
    return {
        "labels": labels,
        "phases": PHASES,
        "quantities": QUANTITIES,
        "step": step,
        "cases": [
            {
                "title": title,
                "label": labels.index(case.label),
                "devices": case.devices,
                "exchanges": _exchanges(case, step),
                "passes": _passes(case),
                "stepped": _stepped(case, MOST_TRANSFERS // len(cases), live=live),
                "links": _links(case, link_step),
                "marks": [[time_s, case.devices[device], kind] for time_s, device, kind in marks(case)[:500]],
                "shares": _shares(case),
                "map": None if case.cell is None else _map(case.cell, _MAP_PLACES // len(cases)),
            }
            for case, title in zip(cases, titles, strict=True)
        ],
    }


def _step(count: int, most: int) -> int:
    return -(-count // most) or 1


def _exchanges(case: Case, step: int) -> dict[str, Any]:
    columns = {name: column[::step] for name, column in case.exchanges.items()}
    ended_by = np.nan_to_num(case.ended_by[::step], nan=NOBODY)
    return {
        "time_s": array(columns["depart_s"], "<f4"),
        "latency_ms": array(1e3 * columns["latency_s"], "<f4"),
        "request": array(columns["request"], "<u4"),
        "position": array(columns["position"], "<u4"),
        "layer": array(columns["layer"], "<u2"),
        "phase": array(columns["phase"], "<u1"),
        "device": array(np.minimum(ended_by, NOBODY), "<u1"),
        **({"pass": array(case.pass_of[::step], "<u4")} if case.is_shared else {}),
    }


def _passes(case: Case) -> dict[str, Any] | None:
    """The requests that share each pass, one pass after the other; None where requests did not arrive."""
    if not case.is_shared:
        return None
    begin = np.searchsorted(case.pass_rows["exchange"], case.passes["exchange"])
    return {
        "begin": array(np.append(begin, len(case.pass_rows["request"])), "<u4"),
        "request": array(case.pass_rows["request"], "<u4"),
    }


def _stepped(case: Case, most: int, *, live: bool) -> dict[str, Any]:
    """The first exchanges with all their transfers, or the latest and a tenth as many."""
    at = case.transfers["at"].astype(int)
    start, stop = 0, len(case.exchanges["exchange"])
    if live and len(at) > most // 10:
        start = int(at[-most // 10]) + 1
    elif not live and len(at) > most:
        stop = int(at[most])
    some: Mask = (at >= start) & (at < stop)
    transfers = {name: column[some] for name, column in case.transfers.items()}
    depart_s, end_s = (case.exchanges[name][at[some]] for name in ("depart_s", "end_s"))
    edges = parts_ms(transfers, depart_s, end_s)
    chosen = {name: case.exchanges[name][start:stop] for name in ("request", "position", "layer", "tokens", "phase")}
    first = typical(case) - start if len(at) else 0
    return {
        "start": start,
        "count": stop - start,
        "first": stop - start - 1 if live else first if first < stop else 0,
        "begin": array(np.searchsorted(at[some], np.arange(start, stop + 1)), "<u4"),
        "device": array(transfers["device"], "<u1"),
        "status": array(transfers["status"], "<u1"),
        "edges": [array(edge, "<f4") for edge in edges],
        "took_ms": array(1e3 * case.exchanges["air_s"][start:stop], "<f4"),
        "ended": array(np.nan_to_num(case.ended_by[start:stop], nan=NOBODY), "<u1"),
        **{name: array(values, "<u4") for name, values in chosen.items()},
        **({"pass": array(case.pass_of[start:stop], "<u4")} if case.is_shared else {}),
    }


def _links(case: Case, step: int) -> dict[str, Any]:
    some = case.links["at"].astype(int) % step == 0
    time_s = case.exchanges["end_s"][case.links["at"][some].astype(int)]
    there = case.links["connected"][some] == 1
    measured = {
        name: np.where(there, case.links[name][some], np.nan)
        for name in QUANTITIES
        if not np.isnan(case.links[name]).all()
    }
    return {
        "time_s": array(time_s, "<f4"),
        "device": array(case.links["device"][some], "<u1"),
        **{name: array(values, "<f4") for name, values in measured.items()},
    }


def _shares(case: Case) -> dict[str, Any]:
    edges, shares = chosen_shares(case, _BINS)
    return {"edges": array(edges, "<f4"), "shares": array(shares.ravel(), "<f4")}


def _map(cell: CellMap, most: int) -> dict[str, Any]:
    """Places of all users at each so-many-th of the times, one place of who stays, and the devices' SINR."""
    step = _step(len(cell.time_s) * len(cell.moves), most)
    times = slice(None, None, step)
    low, high = view(cell)
    return {
        "users": [*cell.devices, *cell.others],
        "time_s": array(cell.time_s[times], "<f4"),
        "places": [
            [array(track[times if moves else slice(1), axis], "<f4") for axis in range(2)]
            for track, moves in zip(cell.place_m, cell.moves, strict=True)
        ],
        "sinr_db": [array(each[times], "<f4") for each in cell.sinr_db],
        "sites": [[site.x_m, site.y_m, list(site.azimuths_deg), site.is_neighbour] for site in cell.sites],
        "low": low.tolist(),
        "high": high.tolist(),
    }


def array(values: NDArray[Any], dtype: str) -> dict[str, str]:
    """An array as the page's script reads it."""
    return {"type": dtype[1:], "base64": base64.b64encode(np.asarray(values).astype(dtype).tobytes()).decode()}
