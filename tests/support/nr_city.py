# SPDX-License-Identifier: GPL-2.0-only
"""A city of cells by the clauses of TR 38.901 alone: nothing of the project, nothing of ns-3. Lengths in m, GHz, dB."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LIGHT_M_PER_S = 299792458.0
BEARINGS_DEG = (30.0, 150.0, 270.0)


class Kind(NamedTuple):
    """Tables 7.2-1 and 7.4.1-1."""

    site_height_m: float
    distance_m: float
    sight_scale_m: float
    sigma_no_sight_db: float


KINDS = {"umi": Kind(10.0, 200.0, 36.0, 7.82), "uma": Kind(25.0, 500.0, 63.0, 6.0)}


def sites(kind: Kind) -> Floats:
    """Nineteen places on a hexagonal grid, whose sectors look at their neighbours; the first in the middle."""
    found = [(0.0, 0.0)]
    for ring in (1, 2):
        corners = [ring * np.exp(1j * np.radians(30 + 60 * i)) for i in range(7)]
        for begin, end in pairwise(corners):
            found += [((at := begin + (end - begin) * step / ring).real, at.imag) for step in range(ring)]
    return kind.distance_m * np.array(found)


def element_db(azimuth_deg: Floats, zenith_deg: Floats) -> Floats:
    """Table 7.3-1; the element looks at azimuth 0, zenith 90."""
    vertical_db = -np.minimum(12 * ((zenith_deg - 90) / 65) ** 2, 30)
    horizontal_db = -np.minimum(12 * (azimuth_deg / 65) ** 2, 30)
    found: Floats = 8 - np.minimum(-(vertical_db + horizontal_db), 30)
    return found


def column_db(rows: int, zenith_deg: Floats, tilt_deg: float) -> Floats:
    """Array gain of a column half a wavelength apart, steered to zenith 90 + tilt: the sum over its elements."""
    phases = np.arange(rows) * np.pi
    steered = phases * np.cos(np.radians(90 + tilt_deg))
    heard = phases * np.cos(np.radians(zenith_deg))[..., None]
    found: Floats = 20 * np.log10(np.abs(np.exp(1j * (heard - steered)).sum(-1)) / np.sqrt(rows))
    return found


def sector_gains_db(places_m: Floats, sites_m: Floats, site_height_m: float, rows: int, tilt_deg: float) -> Floats:
    """Antenna gain of each sector (site by site) towards each place, of panels that look at the horizon."""
    way = places_m[:, None, :2] - sites_m
    flat_m = np.hypot(way[..., 0], way[..., 1])
    zenith_deg = np.degrees(np.arctan2(flat_m, places_m[:, 2:] - site_height_m))
    azimuth_deg = np.degrees(np.arctan2(way[..., 1], way[..., 0]))
    column = column_db(rows, zenith_deg, tilt_deg)
    gains = [element_db((azimuth_deg - bearing + 180) % 360 - 180, zenith_deg) + column for bearing in BEARINGS_DEG]
    return np.stack(gains, -1).reshape(len(places_m), -1)


def sight_probability(kind: Kind, outdoor_m: Floats, height_m: Floats) -> Floats:
    """Table 7.4.2-1."""
    far = np.maximum(outdoor_m, 18.0)
    found = 18 / far + np.exp(-far / kind.sight_scale_m) * (1 - 18 / far)
    if kind is KINDS["uma"]:
        above = np.where(height_m > 13, np.maximum((height_m - 13) / 10, 0) ** 1.5, 0.0)
        found = found * (1 + above * 5 / 4 * (far / 100) ** 3 * np.exp(-far / 150))
    return np.where(outdoor_m <= 18, 1.0, found)


def path_loss_db(
    kind: Kind, ghz: float, flat_m: Floats, height_m: Floats, in_sight: Bools, draw: np.random.Generator
) -> Floats:
    """Table 7.4.1-1."""
    through_m = np.hypot(flat_m, kind.site_height_m - height_m)
    ground_m = np.ones_like(flat_m)
    if kind is KINDS["uma"]:  # its note 1
        far = np.where(flat_m > 18, 5 / 4 * (flat_m / 100) ** 3 * np.exp(-flat_m / 150), 0.0)
        chance = np.where(height_m < 13, 0.0, np.maximum((height_m - 13) / 10, 0) ** 1.5 * far)
        steps = np.maximum(np.floor((height_m - 1.5 - 12) / 3), 0)
        roof_m = 12 + 3 * np.floor(draw.random(flat_m.shape) * (steps + 1))
        ground_m = np.where(draw.random(flat_m.shape) < 1 / (1 + chance), 1.0, roof_m)
    break_m = 4 * (kind.site_height_m - ground_m) * (height_m - ground_m) * ghz * 1e9 / LIGHT_M_PER_S
    drop2 = break_m**2 + (kind.site_height_m - height_m) ** 2
    log = np.log10(through_m)
    if kind is KINDS["uma"]:
        near_db, far_db = 28 + 22 * log, 28 + 40 * log - 9 * np.log10(drop2)
        dark_db = 13.54 + 39.08 * log + 20 * np.log10(ghz) - 0.6 * (height_m - 1.5)
    else:
        near_db, far_db = 32.4 + 21 * log, 32.4 + 40 * log - 9.5 * np.log10(drop2)
        dark_db = 35.3 * log + 22.4 + 21.3 * np.log10(ghz) - 0.3 * (height_m - 1.5)
    sight_db = np.where(flat_m <= break_m, near_db, far_db) + 20 * np.log10(ghz)
    found: Floats = np.where(in_sight, sight_db, np.maximum(sight_db, dark_db))
    return found


def gains_db(name: str, ghz: float, places_m: Floats, is_indoors: Bools, walls_db: Floats, seed: int) -> Floats:
    """Coupling of each sector (column) with each user (row), table 7.8-1: a column of ten, tilted by 12 degrees."""
    kind, draw = KINDS[name], np.random.default_rng(seed)
    sites_m = sites(kind)
    flat_m = np.hypot(*np.moveaxis(places_m[:, None, :2] - sites_m, -1, 0))
    height_m = np.broadcast_to(places_m[:, 2:], flat_m.shape)
    inside_m = np.where(is_indoors, draw.uniform(0, 25, (2, len(places_m))).min(0), 0.0)[:, None]
    outdoor_m = np.maximum(flat_m - inside_m, 0.0)
    in_sight = draw.random(flat_m.shape) < sight_probability(kind, outdoor_m, height_m)
    sigma_db = np.where(is_indoors[:, None], 7.0, np.where(in_sight, 4.0, kind.sigma_no_sight_db))  # table 7.5-6
    loss_db = path_loss_db(kind, ghz, flat_m, height_m, in_sight, draw) + walls_db[:, None]
    received_db = draw.normal(0, sigma_db) - loss_db
    return np.repeat(received_db, 3, 1) + sector_gains_db(places_m, sites_m, kind.site_height_m, 10, 12.0)
