# SPDX-License-Identifier: GPL-2.0-only
"""The neighbours of a cell: sites around it, their load, and what makes them native."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from bridge.network import RequestError, Site

from ..world.movement import Point, stand

INTER_SITE_DISTANCE_M = {"umi": 200.0, "uma": 500.0, "rma": 1732.0}  # TR 38.901 tables 7.2-1 and 7.2-3
AZIMUTHS_DEG = (30.0, 150.0, 270.0)
Share = Annotated[float, Meta(ge=0, le=1)]
Period = Annotated[float, Meta(ge=0.001, le=1e6)]
Dbm = Annotated[float, Meta(ge=-30, le=60)]


class OnOffLoad(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sector that is busy and idle by turns, each for an exponentially distributed time, sector by sector.

    `mean_on_s`: of the times busy.
    `mean_off_s`: of the times idle, without a signal.
    `share`: of the PRBs, in use while busy.
    """

    mean_on_s: Period
    mean_off_s: Period
    share: Share = 1.0


class Neighbours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sites of three sectors each, on a hexagonal grid around the cell.

    `sites`: 6 or 18, one ring of them or two; 0 is none.
    `inter_site_distance_m`: between neighbouring sites (default: 200; uma 500, rma 1732).
    `load`: the share of its PRBs that each sector uses in each slot; or a table with `mean_on_s`, `mean_off_s` and
    `share`; or a recording, [seconds, share] after [seconds, share] and again from the first, all sectors in step.
    `power_dbm`: of a sector (default: the scenario's).
    `downtilt_deg`: by which the sectors look below the horizon.
    """

    sites: Literal[0, 6, 18] = 18
    inter_site_distance_m: Annotated[float, Meta(ge=30, le=100_000)] | None = None
    load: Share | OnOffLoad | Annotated[tuple[tuple[Period, Share], ...], Meta(min_length=1)] = 0.3
    power_dbm: Dbm | None = None
    downtilt_deg: Annotated[float, Meta(ge=-90, le=90)] = 12.0

    def steps(self) -> list[tuple[float, float]]:
        """Of the load: seconds and share."""
        if isinstance(self.load, OnOffLoad):
            return [(self.load.mean_on_s, self.load.share), (self.load.mean_off_s, 0.0)]
        return [(1.0, self.load)] if isinstance(self.load, float) else list(self.load)


def distance_m(neighbours: Neighbours, path_loss: str) -> float:
    """Between sites."""
    return neighbours.inter_site_distance_m or INTER_SITE_DISTANCE_M.get(path_loss, INTER_SITE_DISTANCE_M["umi"])


def grid(sites: int, distance_m: float, height_m: float) -> list[Point]:
    """Where sites stand on a hexagonal grid around one at x = y = 0, nearest first, each ring from 30 degrees on.

    The sites of the first ring lie ahead of its sectors, which look towards 30, 150 and 270 degrees.
    """
    found: list[tuple[float, float]] = []
    for i in range(-2, 3):
        for j in range(-2, 3):
            x, y = (i + j / 2) * distance_m, j * math.sqrt(3) / 2 * distance_m
            turned = (x * math.cos(math.pi / 6) - y / 2, x / 2 + y * math.cos(math.pi / 6))
            if (i, j) != (0, 0) and abs(i + j) <= 2:
                found.append(turned)
    found.sort(key=lambda at: (round(math.hypot(*at), 6), math.atan2(at[1], at[0]) % (2 * math.pi)))
    return [(x, y, height_m) for x, y in found[:sites]]


def standing(neighbours: Neighbours, path_loss: str, height_m: float) -> list[Site]:
    """The one site of a cell, and its neighbours."""
    if not neighbours.sites:
        return [Site(0.0, 0.0, height_m)]
    around_m = grid(neighbours.sites, distance_m(neighbours, path_loss), height_m)
    own = Site(0.0, 0.0, height_m, AZIMUTHS_DEG)
    return [own, *(Site(*place, AZIMUTHS_DEG, is_neighbour=True) for place in around_m)]


def around(path_loss: str) -> Neighbours:
    """Those that a cell has where nobody says any: of a city or of the country, or else none."""
    return Neighbours() if path_loss in INTER_SITE_DISTANCE_M else Neighbours(sites=0)


def check(neighbours: Neighbours, path_loss: str) -> None:
    """Raise `RequestError` where there can be none."""
    if neighbours.sites and path_loss == "inh":
        raise RequestError("radio.neighbours", "an office has no grid of sites around it; take umi, uma or rma")


def create(
    ns: Any,
    neighbours: Neighbours,
    sites: Sequence[Point],
    attributes: dict[str, Any],
    models: tuple[Any, Any],
    serving_loss: Any = None,
) -> Any:
    """Make an `ns.cosim.NeighbourSites`, its sites and its load.

    `models` of path loss and sight are its own, `serving_loss` that of the cell; None asks nobody whether that is best.
    """
    made = ns.CreateObject[ns.cosim.NeighbourSites]()
    loss, condition = models
    given = attributes | {
        "RandomLoad": ns.BooleanValue(isinstance(neighbours.load, OnOffLoad)),
        "PropagationLossModel": ns.PointerValue(loss),
    }
    if serving_loss:
        given["ServingLossModel"] = ns.PointerValue(serving_loss)
    if condition:
        given["ChannelConditionModel"] = ns.PointerValue(condition)
    for name, value in given.items():
        made.SetAttribute(name, value)
    nodes = ns.NodeContainer(len(sites))
    stand(ns, nodes, sites)
    for i in range(nodes.GetN()):
        made.AddSite(nodes.Get(i))
    for seconds, share in neighbours.steps():
        made.AddLoadStep(seconds, share)
    return made
