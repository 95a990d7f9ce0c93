# SPDX-License-Identifier: GPL-2.0-only
"""Clusters and rays by steps 4 to 8 of TR 38.901 clause 7.5 alone, in azimuth: nothing of the project or of ns-3."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Table 7.5-3, of a cluster's 20 rays, for a spread of 1.
OFFSETS = np.repeat([0.0447, 0.1413, 0.2492, 0.3715, 0.5129, 0.6797, 0.8844, 1.1481, 1.5195, 2.1551], 2)
OFFSETS[1::2] *= -1
AZIMUTH_SCALE = {12: 1.146, 19: 1.273, 20: 1.289}  # C_phi of table 7.5-2, by clusters
PARTS = np.array([0] * 8 + [1] * 4 + [2] * 4 + [1] * 2 + [0] * 2)  # table 7.5-5


class Kind(NamedTuple):
    """Table 7.5-6, beside the spreads; cross-correlations of DS, ASD, ASA and K in this order."""

    clusters: int
    ray_departure_deg: float
    ray_arrival_deg: float
    delay_scale: float
    shadowing_db: float
    correlation: tuple[float, float, float, float, float, float]  # DS-ASD, DS-ASA, DS-K, ASD-ASA, ASD-K, ASA-K
    ricean_db: tuple[float, float] | None


KINDS = {
    ("umi", "Always"): Kind(12, 3, 17, 3.0, 3, (0.5, 0.8, -0.7, 0.4, -0.2, -0.3), (9, 5)),
    ("umi", "Never"): Kind(19, 10, 22, 2.1, 3, (0.0, 0.4, 0, 0.0, 0, 0), None),
    ("uma", "Always"): Kind(12, 5, 11, 2.5, 3, (0.4, 0.8, -0.4, 0.0, 0.0, -0.2), (9, 3.5)),
    ("uma", "Never"): Kind(20, 2, 15, 2.3, 3, (0.4, 0.6, 0, 0.4, 0, 0), None),
}


def cluster_delay_ns(path_loss: str, ghz: float) -> float:
    """c_DS of table 7.5-6."""
    return max(0.25, 6.5622 - 3.4084 * np.log10(max(ghz, 6.0))) if path_loss == "uma" else 5.0


def spreads(kind: Kind, cluster_s: float, prescribed: list[tuple[float, float]], count: int, seed: int) -> Floats:
    """Of so many links RMS delay spread (s), azimuth spreads of departure and arrival (degrees), a row for each."""
    draw = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[np.triu_indices(4, 1)] = kind.correlation
    matrix = matrix + np.triu(matrix, 1).T
    normal = draw.standard_normal((count, 4)) @ np.linalg.cholesky(matrix).T
    means, deviations = np.array(prescribed).T
    large = 10 ** (means + deviations * normal[:, :3])
    large[:, 1:] = np.minimum(large[:, 1:], 104)
    ricean_db = None if kind.ricean_db is None else kind.ricean_db[0] + kind.ricean_db[1] * normal[:, 3]
    rows = [
        _link(kind, cluster_s, large[i], None if ricean_db is None else float(ricean_db[i]), draw) for i in range(count)
    ]
    return np.array(rows)


def _link(
    kind: Kind, cluster_s: float, large: Floats, ricean_db: float | None, draw: np.random.Generator
) -> tuple[float, float, float]:
    spread_s, departure_deg, arrival_deg = large
    delays = np.sort(-kind.delay_scale * spread_s * np.log(draw.random(kind.clusters)))
    delays -= delays[0]
    powers = np.exp(-delays * (kind.delay_scale - 1) / (kind.delay_scale * spread_s))
    powers = powers * 10 ** (-kind.shadowing_db * draw.standard_normal(kind.clusters) / 10)
    powers /= powers.sum()
    scale, ricean, by_angle = AZIMUTH_SCALE[kind.clusters], 0.0, powers
    if ricean_db is not None:
        k = ricean_db
        delays /= 0.7705 - 0.0433 * k + 0.0002 * k**2 + 0.000017 * k**3
        scale *= 1.1035 - 0.028 * k - 0.002 * k**2 + 0.0001 * k**3
        ricean = 10 ** (k / 10)
        by_angle = powers / (1 + ricean) + np.where(np.arange(kind.clusters) == 0, ricean / (1 + ricean), 0)
    kept = by_angle > by_angle.max() / 10**2.5
    powers, by_angle, delays = powers[kept], by_angle[kept], delays[kept]
    of_rays = np.repeat(powers[:, None] / 20, 20, axis=1) / (1 + ricean)
    later = np.repeat(delays[:, None], 20, axis=1)
    for cluster in np.argsort(powers)[-2:]:
        later[cluster] += np.array([0, 1.28, 2.56])[PARTS] * cluster_s
    azimuths = [
        _azimuths(by_angle, spread, ray, scale, ricean_db is not None, draw)
        for spread, ray in ((departure_deg, kind.ray_departure_deg), (arrival_deg, kind.ray_arrival_deg))
    ]
    power = np.append(of_rays.ravel(), ricean / (1 + ricean))
    power /= power.sum()
    delay = np.append(later.ravel(), 0.0)
    spread = np.sqrt(max((power * delay**2).sum() - (power * delay).sum() ** 2, 0.0))
    around = [abs((power * np.exp(1j * np.radians(np.append(each.ravel(), 0.0)))).sum()) for each in azimuths]
    departure, arrival = (float(np.degrees(np.sqrt(-2 * np.log(each)))) for each in around)
    return float(spread), departure, arrival


def _azimuths(
    powers: Floats, spread_deg: float, ray_deg: float, scale: float, in_sight: bool, draw: np.random.Generator
) -> Floats:
    """Equations 7.5-9 to 7.5-13, the direct way being 0; a row for each cluster."""
    width = 2 * (spread_deg / 1.4) * np.sqrt(-np.log(powers / powers.max())) / scale
    found = draw.choice([-1, 1], len(powers)) * width + draw.standard_normal(len(powers)) * spread_deg / 7
    if in_sight:
        found -= found[0]
    of_rays: Floats = found[:, None] + ray_deg * OFFSETS
    return of_rays
