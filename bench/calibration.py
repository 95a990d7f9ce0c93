# SPDX-License-Identifier: GPL-2.0-only
"""NR's neighbours against the published calibration of TR 38.901: `python -m bench.calibration`.

Large scale calibration (clause 7.8.1, table 7.8-1): 19 sites of three sectors, panels of ten elements in a column with
an electrical tilt of 102 degrees, users four fifths of whom are indoors, half of these behind glass of high loss.
Coupling loss and geometry (the best sector's power over that of all others, without noise), by the best sector. Users
are dropped around the site in the middle: with wrap-around, each site is that.

Path loss, line of sight, shadowing, elements and beams are those of the network's neighbours
(`NeighbourSites::GetGainDb`). The network has no indoor users; here, the loss of walls (clause 7.4.3.1) is drawn once
for each of them and comes on top, and their shadowing is the 7 dB of table 7.5-6 by the network's own model.

Fast fading: the spreads in delay and azimuth of the rays that the network's channel model draws, against the log-normal
variables of table 7.5-6 that they are drawn for.
"""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from ns3_scenarios.scenario import create
from ns3_scenarios.scenarios import neighbour_sites, propagation
from ns3_scenarios.scenarios.nr import Nr
from ns3_scenarios.wheel import loader
from ns3_scenarios.world import streams
from ns3_scenarios.world.movement import stand

Floats = NDArray[np.float64]

USERS = 1000
SEEDS = range(1, 21)
FREQUENCY_HZ = 6e9
TILT_DEGREES = 12.0
LEAST_M = {"umi": 10.0, "uma": 35.0}
INDOORS, HIGH_LOSS = 0.8, 0.5
SHARES = (5, 20, 35, 50, 65, 80, 95)
# Medians of the companies that contributed to R1-165974 (6 GHz), in dB at those percentiles, as QuaDRiGa's tutorials
# have them (github.com/fraunhoferhhi/QuaDRiGa, tutorials/calib_3GPP_ref_data.m). They were made with TR 38.900 V14.0.0;
# UMa's parameters in line of sight have changed since.
PUBLISHED_DB = {
    ("umi", "coupling"): (-142.3, -128.9, -120.3, -112.2, -103.2, -92.2, -74.8),
    ("uma", "coupling"): (-150.4, -137.0, -128.4, -120.3, -111.8, -102.8, -86.0),
    ("umi", "geometry"): (-1.7, 1.2, 4.0, 7.3, 11.4, 17.0, 24.9),
    ("uma", "geometry"): (-1.0, 2.0, 5.0, 8.6, 12.9, 18.6, 25.6),
}
DRAWN = """
#ifndef DRAWN_CLUSTERS
#define DRAWN_CLUSTERS
struct DrawnClusters
{
    std::vector<double> powers, departures, arrivals, delays;
    int strongest, second;
    double riceanDb;
};

DrawnClusters GetDrawnClusters(ns3::Ptr<ns3::cosim::MovingChannelModel> model,
                               ns3::Ptr<ns3::MobilityModel> a,
                               ns3::Ptr<ns3::MobilityModel> b)
{
    auto drawn = model->GetDrawn(a, b);
    DrawnClusters found{{}, {}, {}, drawn->m_delay, drawn->m_cluster1st, drawn->m_cluster2nd, drawn->m_K_factor};
    for (int cluster = 0; cluster < drawn->m_reducedClusterNumber; cluster++)
    {
        found.powers.push_back(drawn->m_clusterPower[cluster]);
        for (size_t ray = 0; ray < drawn->m_clusterPhase[cluster].size(); ray++)
        {
            found.departures.push_back(drawn->m_rayAodRadian[cluster][ray]);
            found.arrivals.push_back(drawn->m_rayAoaRadian[cluster][ray]);
        }
    }
    return found;
}
#endif
"""
SPREADS = ("DS", "ASD", "ASA")
DROPS, DROP_M = 2000, 100.0
PARTS = np.array([0] * 9 + [1] * 4 + [2] * 4 + [1] * 2 + [0])
"""Of each of the 20 rays of one of the two strongest clusters, the part that it is in (table 7.5-5, as ns-3 counts)."""


class Users(NamedTuple):
    """Where they are (x, y, z in m), and the loss of the walls around them in dB; 0 outdoors."""

    places_m: Floats
    walls_db: Floats


def drop(path_loss: str, count: int, seed: int) -> Users:
    """Users around the site at x = y = 0, by TR 38.901 tables 7.2-1 and 7.4.3-2."""
    draw = np.random.default_rng(seed)
    side_m = neighbour_sites.INTER_SITE_DISTANCE_M[path_loss] / 3
    places: list[tuple[float, float]] = []
    while len(places) < count:  # the hexagon of a sector, a corner of which is the site
        ahead, aside = draw.uniform(0, 2 * side_m), draw.uniform(-side_m, side_m) * np.sqrt(0.75)
        inside = abs(ahead - side_m) <= side_m - abs(aside) / np.sqrt(3)
        if inside and np.hypot(ahead, aside) >= LEAST_M[path_loss]:
            bearing = np.radians(30 + 120 * draw.integers(3))
            x, y = np.cos(bearing), np.sin(bearing)
            places.append((ahead * x - aside * y, ahead * y + aside * x))
    indoors = draw.random(count) < INDOORS
    floors = draw.integers(1, draw.integers(4, 9, count), endpoint=True)
    heights_m = np.where(indoors, 3 * (floors - 1) + 1.5, 1.5)
    walls_db = np.where(indoors, walls(draw, count), 0.0)
    return Users(np.column_stack([np.array(places), heights_m]), walls_db)


def walls(draw: np.random.Generator, count: int) -> Floats:
    """Loss of outer and inner walls, TR 38.901 clause 7.4.3.1."""
    ghz = FREQUENCY_HZ / 1e9
    is_high = draw.random(count) < HIGH_LOSS
    glass_db = np.where(is_high, 23 + 0.3 * ghz, 2 + 0.2 * ghz)
    part = np.where(is_high, 0.7, 0.3)
    outer_db = 5 - 10 * np.log10(part * 10 ** (-glass_db / 10) + (1 - part) * 10 ** (-(5 + 4 * ghz) / 10))
    inner_db = 0.5 * draw.uniform(0, 25, (2, count)).min(0)
    found: Floats = outer_db + inner_db + draw.normal(0, np.where(is_high, 6.5, 4.4))
    return found


def gains_db(path_loss: str, users: Users, seed: int) -> Floats:
    """From each sector (column) of 19 sites to each user (row), by the native neighbours."""
    found = np.empty((len(users.places_m), 57))
    for is_indoors, sigma_db in ((False, None), (True, 7.0)):
        rows = (users.walls_db != 0) == is_indoors
        found[rows] = _gains_db(path_loss, users.places_m[rows], sigma_db, seed)
    return found - users.walls_db[:, None]


def _gains_db(path_loss: Any, places_m: Floats, sigma_db: float | None, seed: int) -> Floats:
    ns = loader.load(Nr.modules, (*Nr.headers, "ns3/isotropic-antenna-model.h", "ns3/uniform-planar-array.h"))
    streams.begin(ns, seed)
    height_m = propagation.HEIGHT_M[path_loss]
    distance_m = neighbour_sites.INTER_SITE_DISTANCE_M[path_loss]
    models = propagation.path_loss(
        ns,
        path_loss,
        FREQUENCY_HZ,
        exponent=3.0,
        line_of_sight="random",
        shadowing_sigma_db=sigma_db,
        is_moving=False,
    )
    attributes = {"Rows": ns.UintegerValue(10), "Columns": ns.UintegerValue(1), "Polarizations": ns.UintegerValue(1)}
    sites = [(0.0, 0.0, height_m), *neighbour_sites.grid(18, distance_m, height_m)]
    neighbours = neighbour_sites.create(
        ns,
        neighbour_sites.Neighbours(),
        sites,
        attributes | {"InterSiteDistance": ns.DoubleValue(distance_m), "Downtilt": ns.DoubleValue(0.0)},
        models,
    )
    nodes = ns.NodeContainer(len(places_m))
    stand(ns, nodes, [(float(x), float(y), float(z)) for x, y, z in places_m])
    antenna = create(ns, "ns3::UniformPlanarArray", ns.UniformPlanarArray)
    antenna.SetAttribute("NumRows", ns.UintegerValue(1))
    antenna.SetAttribute("NumColumns", ns.UintegerValue(1))
    antenna.SetAttribute("AntennaElement", ns.PointerValue(ns.CreateObject[ns.IsotropicAntennaModel]()))
    gnb = ns.NodeContainer(1)
    stand(ns, gnb, [(1e5, 0.0, height_m)])  # whose uplink nobody asks for
    neighbours.SetBaseStation(gnb.Get(0).GetObject[ns.MobilityModel](), antenna)
    for i in range(nodes.GetN()):
        neighbours.AddDevice(nodes.Get(i).GetObject[ns.MobilityModel](), antenna)
    neighbours.AssignStreams(streams.NEIGHBOURS[0])
    neighbours.Renew()
    found = [
        [neighbours.GetGainDb(device, sector, TILT_DEGREES) for sector in range(3 * len(sites))]
        for device in range(len(places_m))
    ]
    ns.Simulator.Destroy()
    return np.array(found)


def coupling_and_geometry_db(gains_db: Floats) -> tuple[Floats, Floats]:
    """Of each user: the best sector's gain, and its power over that of all others."""
    gains = 10 ** (gains_db / 10)
    best = gains.max(1)
    return 10 * np.log10(best), 10 * np.log10(best / (gains.sum(1) - best))


Logarithm = tuple[float, float]  # mean and standard deviation of a common logarithm


def prescribed(
    path_loss: str, sight: Literal["Always", "Never"], frequency_hz: float
) -> tuple[Logarithm, Logarithm, Logarithm]:
    """Table 7.5-6 (V14 to V18): delay spread in s, azimuth spreads of departure and arrival in degrees."""
    if path_loss == "uma":
        ghz = math.log10(max(frequency_hz / 1e9, 6.0))  # note 6
        if sight == "Always":
            return (-6.955 - 0.0963 * ghz, 0.66), (1.06 + 0.1114 * ghz, 0.28), (1.81, 0.20)
        return (-6.28 - 0.204 * ghz, 0.39), (1.5 - 0.1144 * ghz, 0.28), (2.08 - 0.27 * ghz, 0.11)
    ghz = math.log10(1 + max(frequency_hz / 1e9, 2.0))  # note 7
    if sight == "Always":
        return (-0.24 * ghz - 7.14, 0.38), (-0.05 * ghz + 1.21, 0.41), (-0.08 * ghz + 1.73, 0.014 * ghz + 0.28)
    return (
        (-0.24 * ghz - 6.83, 0.16 * ghz + 0.28),
        (-0.23 * ghz + 1.53, 0.11 * ghz + 0.33),
        (-0.08 * ghz + 1.81, 0.05 * ghz + 0.3),
    )


def drawn_spreads(
    path_loss: Any, sight: Literal["Always", "Never"], frequency_hz: float, count: int, seed: int
) -> Floats:
    """Delay spread (s) and azimuth spreads of departure and arrival (degrees) of so many links, a row for each."""
    headers = ("ns3/isotropic-antenna-model.h", "ns3/uniform-planar-array.h", "moving-channel.h")
    ns = loader.load(Nr.modules, (*Nr.headers, *headers))
    import cppyy  # noqa: PLC0415 - only once the wheel's libraries are loaded

    cppyy.cppdef(DRAWN)
    streams.begin(ns, seed)
    model = ns.CreateObject[ns.cosim.MovingChannelModel]()
    model.SetAttribute("Frequency", ns.DoubleValue(frequency_hz))
    model.SetAttribute("Scenario", ns.StringValue(propagation.FADING_NAME[path_loss]))
    condition = create(ns, f"ns3::{sight}LosChannelConditionModel", ns.ChannelConditionModel)
    model.SetAttribute("ChannelConditionModel", ns.PointerValue(condition))
    model.AssignStreams(streams.NR[0])
    nodes = ns.NodeContainer(1 + count)
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    ends = [(float(DROP_M * np.cos(angle)), float(DROP_M * np.sin(angle)), 1.5) for angle in angles]
    stand(ns, nodes, [(0.0, 0.0, propagation.HEIGHT_M[path_loss]), *ends])
    antennas = [create(ns, "ns3::UniformPlanarArray", ns.UniformPlanarArray) for _ in range(1 + count)]
    for antenna in antennas:
        antenna.SetAttribute("NumRows", ns.UintegerValue(1))
        antenna.SetAttribute("NumColumns", ns.UintegerValue(1))
        antenna.SetAttribute("AntennaElement", ns.PointerValue(ns.CreateObject[ns.IsotropicAntennaModel]()))
    gnb = nodes.Get(0).GetObject[ns.MobilityModel]()
    found = []
    for i in range(1, 1 + count):
        device = nodes.Get(i).GetObject[ns.MobilityModel]()
        model.GetChannel(gnb, device, antennas[0], antennas[i])
        drawn = cppyy.gbl.GetDrawnClusters(model, gnb, device)
        found.append(_spreads(drawn, float(angles[i - 1]), sight == "Always"))
    ns.Simulator.Destroy()
    return np.array(found)


def _spreads(drawn: Any, bearing: float, in_sight: bool) -> tuple[float, float, float]:
    of_clusters, of_taps = np.array(list(drawn.powers)), np.array(list(drawn.delays))
    departures, arrivals = (np.array(list(each)).reshape(-1, len(PARTS)) for each in (drawn.departures, drawn.arrivals))
    powers = np.repeat(of_clusters[:, None] / len(PARTS), len(PARTS), axis=1)
    later = clusters = len(of_clusters)
    delays = np.repeat(of_taps[:clusters, None], len(PARTS), axis=1)
    for cluster in sorted({drawn.strongest, drawn.second}):  # whose parts come behind all clusters
        for part in (1, 2):
            delays[cluster, part == PARTS] = of_taps[later]
            later += 1
    power, delay, departure, arrival = (each.ravel() for each in (powers, delays, departures, arrivals))
    if in_sight:  # the direct ray, equation 7.5-30
        ricean = 10 ** (drawn.riceanDb / 10)
        power = np.append(power / (1 + ricean), ricean / (1 + ricean))
        delay, departure = np.append(delay, of_taps[0]), np.append(departure, bearing)
        arrival = np.append(arrival, bearing + np.pi)
    power = power / power.sum()
    spread_s = np.sqrt(max((power * delay**2).sum() - (power * delay).sum() ** 2, 0.0))
    return float(spread_s), _circular_deg(power, departure), _circular_deg(power, arrival)


def _circular_deg(power: Floats, angles: Floats) -> float:
    """Annex A.1."""
    return float(np.degrees(np.sqrt(-2 * np.log(abs((power * np.exp(1j * angles)).sum())))))


def fading_table() -> Table:
    """What is drawn against what is prescribed: the median, and the deviation of the common logarithm."""
    table = Table(title=f"{DROPS} links each, medians in ns and degrees (deviation of log10)", title_justify="left")
    for heading in ("", *(f"{name}: {what}" for name in SPREADS for what in ("here", "table"))):
        table.add_column(heading, justify="right")
    for path_loss in ("umi", "uma"):
        for sight in ("Always", "Never"):
            for frequency_hz in (3.5e9, 6e9):
                here = np.log10(drawn_spreads(path_loss, sight, frequency_hz, DROPS, 1))
                row = [f"{path_loss}, {'LOS' if sight == 'Always' else 'NLOS'}, {frequency_hz / 1e9:g} GHz"]
                for i, (mean, deviation) in enumerate(prescribed(path_loss, sight, frequency_hz)):
                    unit = 1e9 if i == 0 else 1.0
                    row.append(f"{unit * 10 ** np.median(here[:, i]):.1f} ({here[:, i].std():.2f})")
                    row.append(f"{unit * 10**mean:.1f} ({deviation:.2f})")
                table.add_row(*row)
    return table


def main() -> None:
    """Print the tables."""
    console = Console(width=120, highlight=False)
    console.print(fading_table())
    table = Table(title=f"{USERS * len(SEEDS)} users, 6 GHz, dB at percentiles of the CDF", title_justify="left")
    for heading in ("", "", *map(str, SHARES)):
        table.add_column(heading, justify="right")
    for path_loss in ("umi", "uma"):
        drops = [gains_db(path_loss, drop(path_loss, USERS, seed), seed) for seed in SEEDS]
        found = coupling_and_geometry_db(np.concatenate(drops))
        for name, values in zip(("coupling", "geometry"), found, strict=True):
            here = np.percentile(values, SHARES)
            published = PUBLISHED_DB[path_loss, name]
            table.add_row(f"{path_loss}, {name}", "here", *(f"{value:.1f}" for value in here))
            table.add_row("", "published", *(f"{value:.1f}" for value in published))
            table.add_row("", "off by", *(f"{value:+.1f}" for value in here - published), end_section=True)
    console.print(table)


if __name__ == "__main__":
    main()
