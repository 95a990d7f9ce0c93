# SPDX-License-Identifier: GPL-2.0-only
"""Line of sight that comes and goes: what a link has on the way, against the two channels at its ends."""

import math

import numpy as np
import pytest

from ns3_scenarios.scenarios.propagation import transition_m
from tests.support import nr_air

TRANSITION_M = transition_m(3.5e9)
STEP_M = 0.02
DEVICES = 12
FADING = "UMi-StreetCanyon"


def there_and_back(length_m: float, step_m: float, devices: int = DEVICES) -> np.ndarray:
    """Straight away from the gNB in all directions, from 60 m on, and back: steps x devices x (x, y, z)."""
    out = np.arange(60, 60 + length_m, step_m)
    distances_m = np.concatenate([out, out[::-1]])
    angles = np.linspace(0, 2 * math.pi, devices, endpoint=False)
    ground = distances_m[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    return np.concatenate([ground, np.full((*ground.shape[:2], 1), 1.5)], -1)


def umi_loss_db(paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """TR 38.901 table 7.4.1-1 at 3.5 GHz below the breakpoint distance, with line of sight and without."""
    far_m = np.hypot(np.hypot(paths[..., 0], paths[..., 1]), 8.5)
    sight_db = 32.4 + 21 * np.log10(far_m) + 20 * math.log10(3.5)
    return sight_db, np.maximum(sight_db, 35.3 * np.log10(far_m) + 22.4 + 21.3 * math.log10(3.5))


def test_the_transition_is_as_long_as_the_clause_has_it():
    """sqrt(20 / 0.0857) = 15.28; from 1/4 to 3/4 of the arctangent the variable changes by 2 / 15.28, in 50 m by 1."""
    assert transition_m(3.5e9) == pytest.approx(50 * 2 / 15.28, rel=1e-3)


def test_path_loss_changes_no_faster_than_the_walk(ns3):
    paths = there_and_back(60, STEP_M)
    walk = ns3(nr_air.walk, paths, sight="Moving")
    sight_db, no_sight_db = umi_loss_db(paths)
    assert walk.power_db == pytest.approx(-walk.share * sight_db - (1 - walk.share) * no_sight_db, abs=1e-6)
    assert (walk.back_db == walk.power_db).all()
    moved_m = np.linalg.norm(np.diff(paths, axis=0), axis=-1)
    assert (np.abs(np.diff(walk.share, axis=0)) <= moved_m / TRANSITION_M + 1e-9).all()
    steps_db = np.abs(np.diff(walk.power_db, axis=0))
    by_place_db = np.abs(np.diff(no_sight_db, axis=0))  # the steeper one
    bound_db = moved_m / TRANSITION_M * (no_sight_db - sight_db).max() + by_place_db
    assert (steps_db <= bound_db + 1e-9).all()
    assert bound_db.max() < 0.1
    assert (no_sight_db - sight_db).min() > 10  # by which it stepped, each time that the state changes
    changes = np.diff(walk.state.astype(int), axis=0)
    assert (changes > 0).any()
    assert (changes < 0).any()


def test_a_share_is_that_of_the_states_around(ns3):
    """All or nothing where there is one state for 6.5 m around, and on average as much as of the states."""
    paths = there_and_back(60, 0.5, 200)[:120]
    walk = ns3(nr_air.walk, paths, sight="Moving")
    for share in (0, 1):
        assert (walk.share == share).mean() > 0.05
        assert (walk.state[walk.share == share] == share).mean() > 0.99
    between = (walk.share > 0) & (walk.share < 1)
    assert walk.state[between & (walk.share > 0.8)].mean() > 0.7
    assert walk.state[between & (walk.share < 0.2)].mean() < 0.3
    assert walk.share.mean() == pytest.approx(walk.state.mean(), abs=0.02)


def test_it_depends_on_the_place_alone_and_not_on_who_asks_how_often(ns3):
    """On a crooked walk, asked at each step, at every seventh, and on the way back."""
    turns = np.cumsum(np.random.default_rng(1).normal(0, 0.5, (350, DEVICES)), axis=0)
    ground = 60 + np.cumsum(0.3 * np.stack([np.cos(turns), np.sin(turns)], -1), axis=0)
    paths = np.concatenate([ground, np.full((*ground.shape[:2], 1), 1.5)], -1)
    often = ns3(nr_air.walk, np.concatenate([paths, paths[::-1]]), sight="Moving")
    seldom = ns3(nr_air.walk, paths[::7], sight="Moving")
    for every, few in ((often.share, seldom.share), (often.state, seldom.state), (often.power_db, seldom.power_db)):
        assert (every[:350:7] == few).all()
        assert (every == every[::-1]).all()
    assert np.ptp(seldom.share, axis=0).max() > 0.5


def test_who_stands_stays_as_he_is_and_the_same_seed_gives_the_same(ns3):
    paths = there_and_back(30, 0.5)
    first, again = (ns3(nr_air.walk, paths, sight="Moving", fading=FADING) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    on_the_way = np.flatnonzero((first.share > 0) & (first.share < 1))[0] // DEVICES
    held = np.concatenate([paths[: on_the_way + 1], np.repeat(paths[on_the_way][None], 20, axis=0)])
    walk = ns3(nr_air.walk, held, sight="Moving", fading=FADING)
    for each in walk:
        assert (each[on_the_way:] == each[on_the_way]).all()


@pytest.mark.parametrize(("sight", "share", "stream"), [("Always", 1, 0), ("Never", 0, 4)])
def test_before_a_change_fading_is_that_of_a_link_that_never_changes(ns3, sight, share, stream):
    """Up to the path loss, which is not the same; drawn by streams of its own."""
    paths = there_and_back(4, 0.1, 1)
    compared = 0
    for seed in range(1, 25):
        soft = ns3(nr_air.walk, paths, 8, seed, sight="Moving", fading=FADING)
        hard = ns3(nr_air.walk, paths, 8, seed, sight=sight, fading=FADING, stream=nr_air.STREAM + stream)
        before = int(np.argmax(np.append(soft.share[:, 0] != share, True)))
        scale = 10 ** ((soft.power_db - hard.power_db)[:before, :, None] / 10)
        assert soft.gains[:before] == pytest.approx(hard.gains[:before] * scale, rel=1e-9)
        compared += before
    assert compared > 80


def test_nrs_fading_changes_no_faster_than_the_walk(ns3):
    """
    Amplitudes in units of the mean one, a step of 1 mm: a ray turns by 2 pi / 86 at most, the square root of a share
    begins with sqrt(1 / 6500). On a way of 4 m nothing is drawn anew but the channel that comes.
    """
    paths = there_and_back(2, 0.001, 24)
    walk = ns3(nr_air.walk, paths, sight="Moving", fading=FADING, seed=3)
    assert ((walk.share > 0) & (walk.share < 1)).any(axis=0).sum() >= 2
    noise_db = -174 + 7 + 10 * math.log10(12 * 30e3)
    amplitudes = np.sqrt(walk.gains[..., 0] * 10 ** ((noise_db - walk.power_db) / 10))
    steps = np.abs(np.diff(amplitudes, axis=0))
    bound = (
        2 * math.pi * 0.001 * 3.5e9 / 299792458 + math.sqrt(0.001 / TRANSITION_M)
    ) * 4  # rays in step, of 4 times the mean
    assert steps.max() < bound
    assert bound < 0.4
    assert amplitudes.std() > 0.3
