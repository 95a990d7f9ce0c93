# SPDX-License-Identifier: GPL-2.0-only
"""Spreads of the clusters that NR's fading draws, against those of the clause's own steps and the table behind them."""

import functools
from typing import Any

import numpy as np
import pytest

from bench import calibration
from tests.support import clusters

LINKS = 600
CASES = [(path_loss, sight, hz) for path_loss in ("umi", "uma") for sight in ("Always", "Never") for hz in (3.5e9, 6e9)]
HELD = 0.06  # decades that ns-3 is off the clause's steps at most, beside chance: 15 %
NOTE_6 = 0.27 * np.log10(6 / 3.5)  # by which UMa's ASA would fall if ns-3 took 6 GHz for less, as the note has it


@functools.cache
def by_the_clause(path_loss: str, sight: Any, hz: float) -> np.ndarray:
    kind, prescribed = clusters.KINDS[path_loss, sight], calibration.prescribed(path_loss, sight, hz)
    delay_s = 1e-9 * clusters.cluster_delay_ns(path_loss, hz / 1e9)
    return np.log10(clusters.spreads(kind, delay_s, list(prescribed), 2000, 1))


def off(found: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By how much medians and deviations are off, less 4.5 standard deviations of that by chance."""
    variance = wanted.var(0) * (1 / len(found) + 1 / len(wanted))
    medians = abs(np.median(found, 0) - np.median(wanted, 0)) - 4.5 * np.sqrt(np.pi / 2 * variance)
    return medians, abs(found.std(0) / wanted.std(0) - 1) - 4.5 * np.sqrt(variance) / wanted.std(0)


@pytest.mark.parametrize(("path_loss", "sight", "hz"), CASES)
def test_spreads_are_those_of_the_clauses_steps(ns3, path_loss, sight, hz):
    found = np.log10(ns3(calibration.drawn_spreads, path_loss, sight, hz, LINKS, 1))
    medians, deviations = off(found, by_the_clause(path_loss, sight, hz))
    assert (medians < HELD + (NOTE_6 if (path_loss, sight, hz) == ("uma", "Never", 3.5e9) else 0)).all()
    assert (deviations < 0.2).all()
    for other in CASES:
        if other[:2] != (path_loss, sight):  # which the same bounds tell apart
            medians, deviations = off(found, by_the_clause(*other))
            assert (medians > HELD).any() or (deviations > 0.2).any()


@pytest.mark.parametrize(("path_loss", "sight", "hz"), CASES)
def test_how_far_the_clauses_steps_are_off_the_table_behind_them(path_loss, sight, hz):
    """Without line of sight 0.06 decades; with it they give less than they are asked for, of arrival half as much."""
    found = by_the_clause(path_loss, sight, hz)
    short = np.array([mean for mean, _ in calibration.prescribed(path_loss, sight, hz)]) - np.median(found, 0)
    if sight == "Never":
        assert (abs(short) < 0.07).all()
    else:
        assert (short > 0).all()
        assert 0.2 < short[2] < 0.4
        assert (short[:2] < 0.15).all()
