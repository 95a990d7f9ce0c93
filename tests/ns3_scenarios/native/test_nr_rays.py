# SPDX-License-Identifier: GPL-2.0-only
"""How NR's channel fades over time, against the sum over the rays that were drawn (TR 38.901 eq. 7.5-22 to -30)."""

import itertools
import math

import numpy as np
import pytest

from tests.support import nr_air
from tests.support.nr_air import Rays

PRB_HZ = 12 * 30e3
WAVELENGTH_M = 299792458 / 3.5e9
GNB = np.array([0.0, 0.0, 10.0])
PLACES = [(80.0, 0.0, 10.0), (60.0, 20.0, 1.5)]
SPEEDS = [(0.0, 10.0, 0.0), (3.0, -20.0, 1.0)]


def phases(rays: Rays, speed: tuple[float, float, float], times_s: np.ndarray) -> np.ndarray:
    """Of each ray at each time, in turns."""
    return np.outer(times_s, rays.arrivals @ np.array(speed)) / WAVELENGTH_M


def powers(rays: Rays, turns: np.ndarray, prbs: int) -> np.ndarray:
    """A row for each time, of each PRB around the carrier's centre."""
    offsets_hz = (np.arange(prbs) - (prbs - 1) / 2) * PRB_HZ
    response = (rays.coefficients * np.exp(2j * np.pi * turns)) @ np.exp(
        -2j * np.pi * np.outer(rays.delays_s, offsets_hz)
    )
    return abs(response) ** 2


def frozen(rays: Rays, turns: np.ndarray) -> np.ndarray:
    """As if all rays of a tap turned by their mean."""
    return np.column_stack([turns[:, rays.taps == tap].mean(axis=1) for tap in rays.taps])


@pytest.mark.parametrize("stays", [True, False])
@pytest.mark.parametrize(
    ("scenario", "sight"), [("UMi-StreetCanyon", "Always"), ("UMi-StreetCanyon", "Never"), ("UMa", "Always")]
)
def test_each_ray_turns_by_its_own_angle(ns3, scenario, sight, stays):
    """To the path loss of a device that walks, which Friis has."""
    times_s = np.round(np.arange(60) * 0.003, 3)
    given = {"sight": sight, "speeds": SPEEDS, "stays": stays}
    gains, drawn = ns3(nr_air.sweep, PLACES, list(times_s), scenario, 8, **given)
    for device, (rays, place, speed) in enumerate(zip(drawn, PLACES, SPEEDS, strict=True)):
        walked = np.array(place) + (0 if stays else 1) * np.outer(times_s, speed)
        distances_m = np.linalg.norm(walked - GNB, axis=1)
        faded = gains[:, device] * distances_m[:, None] ** 2
        turns = phases(rays, speed, times_s)
        expected = powers(rays, turns, 8)
        assert faded / faded[0, 0] == pytest.approx(expected / expected[0, 0], rel=1e-6)
        coarse = powers(rays, frozen(rays, turns), 8)
        assert abs(coarse / coarse[0, 0] - expected / expected[0, 0]).mean() > 0.05 * (expected / expected[0, 0]).mean()


@pytest.mark.parametrize("sight", ["Always", "Never"])
def test_the_correlation_of_power_over_time_is_that_of_the_angles_that_were_drawn(ns3, sight):
    """
    For phases that fall anyhow: cov P(t), P(t + s) is |R(s)|^2 less the sum of |a|^4, where R(s) is the sum of
    |a|^2 exp(2 pi i v s) over the rays' powers |a|^2 and Doppler shifts v. Over 60 links, each over 4 s.
    """
    devices, step_s, lags = 60, 0.002, np.arange(0, 21)
    places = [(60.0 + i % 7, float(i), 1.5) for i in range(devices)]
    speed = (0.0, 10.0, 0.0)
    times_s = np.round(np.arange(2000) * step_s, 3)
    given = {"sight": sight, "speeds": [speed] * devices, "stays": True}
    gains, drawn = ns3(nr_air.sweep, places, list(times_s), "UMi-StreetCanyon", 1, **given)

    def correlation(found: np.ndarray) -> np.ndarray:
        faded = found - found.mean(axis=0)
        return np.array([(faded[: len(faded) - lag] * faded[lag:]).mean(axis=0) for lag in lags])

    measured, expected, coarse = [], [], []
    for device, rays in enumerate(drawn):
        turns = phases(rays, speed, times_s)
        power = abs(rays.coefficients) ** 2
        sums = np.exp(2j * np.pi * turns[lags]) @ power
        covariance = abs(sums) ** 2 - (power**2).sum()
        expected.append(covariance / power.sum() ** 2)
        scale = gains[0, device, 0] / powers(rays, turns[:1], 1)[0, 0] * power.sum()
        measured.append(correlation(gains[:, device] / scale)[:, 0])
        coarse.append(correlation(powers(rays, frozen(rays, turns), 1) / power.sum())[:, 0])
    difference = np.array(measured) - np.array(expected)
    bound = 4 * difference.std(axis=0) / math.sqrt(devices)
    assert (abs(difference.mean(axis=0)) < bound).all()
    assert bound.max() < 0.1
    off = np.array(coarse) - np.array(expected)
    assert (difference**2).mean() < 0.25 * (off**2).mean()  # clusters that turn as one would be found out


def test_a_device_that_pauses_keeps_its_fading(ns3):
    gains, _ = ns3(nr_air.sweep, PLACES[:1], [0.0, 0.01, 1.0], "UMi-StreetCanyon", 4, sight="Never")
    assert (gains[0] == gains[1]).all()
    assert (gains[0] == gains[2]).all()


def dft_beams(rows: int, columns: int) -> list[np.ndarray]:
    """Twice as many as elements either way, the elements row by row."""
    grids = [np.arange(2 * n) / (2 * n) if n > 1 else np.zeros(1) for n in (rows, columns)]
    up, along = (np.repeat(np.arange(rows), columns), np.tile(np.arange(columns), rows))
    return [np.exp(2j * np.pi * (up * v + along * h)) / math.sqrt(rows * columns) for v, h in itertools.product(*grids)]


@pytest.mark.parametrize("sight", ["Always", "Never"])
def test_behind_the_beams_rays_sum_to_ns3s_matrix(ns3, sight):
    """Sum of the powers of both layers, which no precoder changes."""
    given = {"sight": sight, "gnb": (2, 4), "device": (1, 2), "polarizations": 2}
    gains, matrix, delays_s = ns3(nr_air.direct, (50.0, 30.0, 1.5), "UMi-StreetCanyon", **given)
    h = matrix.reshape(2, 2, 2, 8, -1)  # polarization and element of the device, of the gNB, cluster
    behind = max((np.einsum("puqsc,s->puqc", h, beam) for beam in dft_beams(2, 4)), key=total)
    ports = max((np.einsum("puqc,u->pqc", behind, beam) for beam in dft_beams(1, 2)), key=total)
    offsets_hz = (np.arange(273) - 136) * PRB_HZ
    response = np.einsum("pqc,nc->npq", ports, np.exp(-2j * np.pi * offsets_hz[:, None] * delays_s))
    distance_m = math.dist((50.0, 30.0, 1.5), GNB)
    loss_db = 20 * math.log10(4 * math.pi * 3.5e9 * distance_m / 299792458)
    scale = 10 ** ((-loss_db + 174 - 7 - 10 * math.log10(PRB_HZ)) / 10)
    assert gains[:, 1] + gains[:, 2] == pytest.approx(scale * (abs(response) ** 2).sum(axis=(1, 2)), rel=1e-9)


def total(coefficients: np.ndarray) -> float:
    return float((abs(coefficients) ** 2).sum())
