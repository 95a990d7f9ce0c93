# SPDX-License-Identifier: GPL-2.0-only
"""The interference of NR's neighbours against closed forms."""

from itertools import groupby, product
from math import dist, pi
from typing import Any

import numpy as np
import pytest

from tests.support import nr_city
from tests.support.nr_around import FRIIS, PRBS, asked_in_turn, beam_gains, gains_db, interference_mw, moved

SITES = [(200.0, 0.0, 10.0), (-100.0, 173.2, 10.0)]
DEVICES = [(60.0, 20.0, 1.5), (-30.0, -40.0, 1.5)]
AROUND: dict[str, Any] = {"sites": SITES, "devices": DEVICES}
SLOTS = range(0, 2000, 7)
SLOT_S = 0.5e-3


@pytest.mark.parametrize("polarizations", [1, 2])
def test_what_a_device_receives_is_the_sum_over_sectors(ns3, polarizations):
    """Isotropic, Friis, all PRBs in use; half of it at each of two polarizations."""
    for device, at in enumerate(DEVICES):
        around = AROUND | {"GnbPower": 44.0, "Polarizations": polarizations}
        each, mean, _ = ns3(interference_mw, False, device, SLOTS[:3], around)
        wanted = sum(3 * 10**4.4 / PRBS * FRIIS / dist(site, at) ** 2 for site in SITES) / polarizations
        assert np.array(each) == pytest.approx(np.full((3, PRBS), wanted), rel=1e-9)
        assert mean == pytest.approx([wanted] * 3, rel=1e-9)


@pytest.mark.parametrize("is_uplink", [False, True])
def test_without_load_there_is_nothing(ns3, is_uplink):
    each, mean, _ = ns3(interference_mw, is_uplink, 0, SLOTS, AROUND | {"load": [(1.0, 0.0)]})
    assert not np.any(each)
    assert not np.any(mean)


def test_a_load_takes_its_share_of_the_prbs_and_all_of_them_alike(ns3):
    share = 0.3
    around = {"sites": SITES[:1], "devices": DEVICES, "load": [(1.0, share)]}
    each, mean, _ = ns3(interference_mw, False, 0, range(3000), around)
    full, _, _ = ns3(interference_mw, False, 0, [0], around | {"load": [(1.0, 1.0)]})
    of_sector = full[0][0] / 3
    busy = np.round(np.array(each) / of_sector)
    assert np.array(each) == pytest.approx(busy * of_sector, abs=1e-9 * of_sector)
    assert busy.mean() == pytest.approx(3 * share, rel=1e-3)
    assert busy.mean(0) == pytest.approx(np.full(PRBS, 3 * share), abs=5 * np.sqrt(3 * share * (1 - share) / 3000))
    assert mean == pytest.approx([share * full[0][0]] * 3000)


def test_on_and_off_last_as_long_as_they_should(ns3):
    """Of one site, whose three sectors are on and off each for itself."""
    on_s, off_s = 0.02, 0.06
    slots = range(200_000)
    around = {"sites": SITES[:1], "devices": DEVICES[:1], "load": [(on_s, 1.0), (off_s, 0.0)], "is_random": True}
    each, _, _ = ns3(busy_sectors, slots, around)
    duty = on_s / (on_s + off_s)
    cycles = len(slots) * SLOT_S / (on_s + off_s)
    assert np.mean(each) / 3 == pytest.approx(duty, abs=5 * duty / np.sqrt(3 * cycles))
    assert np.mean(np.array(each) == 3) == pytest.approx(duty**3, rel=0.3)
    idle = [len(list(run)) * SLOT_S for is_idle, run in groupby(count == 0 for count in each) if is_idle]
    assert np.mean(idle) == pytest.approx(off_s / 3, rel=0.15)  # until the first of three begins


def busy_sectors(slots: range, around: dict[str, Any]) -> tuple[list[int], float, int]:
    """How many sectors send in each slot."""
    each, _, _ = interference_mw(False, 0, slots[:1], around | {"load": [(1.0, 1.0)], "is_random": False})
    of_sector = each[0][0] / 3
    found = asked_in_turn([(0, False, slot) for slot in slots], around)
    return [round(row[0] / of_sector) for row in found], of_sector, len(found)


def test_a_recording_is_repeated(ns3):
    steps = [(0.010, 1.0), (0.005, 0.0), (0.0025, 0.5)]
    around = {"sites": SITES[:1], "devices": DEVICES[:1], "load": steps}
    each, _, _ = ns3(interference_mw, False, 0, range(140), around)
    of_sector = max(each[0]) / 3
    shares = [round(sum(row) / of_sector / 3 / PRBS, 2) for row in each]
    assert shares == ([1.0] * 20 + [0.0] * 10 + [0.5] * 5) * 4


def test_it_does_not_matter_who_asks_or_how_often(ns3):
    around = AROUND | {"load": [(0.01, 0.6), (0.02, 0.2)], "is_random": True}
    some = [(1, True, 5), (1, False, 40), (0, False, 400), (1, True, 777)]
    everything = [(device, is_up, slot) for slot in range(778) for device in (1, 0) for is_up in (True, False)]
    often = dict(zip(everything, ns3(asked_in_turn, everything, around), strict=True))
    assert ns3(asked_in_turn, some, around) == [often[ask] for ask in some]
    assert ns3(asked_in_turn, some, around | {"seed": 2}) != [often[ask] for ask in some]


@pytest.mark.parametrize(
    ("factor", "power_dbm", "load"), [(1.0, 60.0, 1.0), (0.8, 60.0, 1.0), (0.0, 60.0, 1.0), (1.0, -20.0, 1.0)]
)
def test_users_send_as_power_control_towards_their_own_site_says(ns3, factor, power_dbm, load):
    """TS 38.213 clause 7.1.1; the gNB hears one user of each sector, whoever it is."""
    nominal_dbm = -90.0
    around = {
        **{"sites": SITES[:1], "devices": DEVICES, "load": [(1.0, load)], "NominalPower": nominal_dbm},
        **{"PathLossFactor": factor, "DevicePower": power_dbm},
    }
    each, mean, users = ns3(interference_mw, True, 0, SLOTS, around)
    assert len(users) == 30
    heard = []
    for user in users:
        to_site, to_gnb = FRIIS / dist(user, SITES[0]) ** 2, FRIIS / dist(user, (0.0, 0.0, 10.0)) ** 2
        psd = min(2 * 10 ** (nominal_dbm / 10) * to_site**-factor, 10 ** (power_dbm / 10) / PRBS)
        heard.append(psd * to_gnb)
    sums = np.sort([sum(three) for three in product(heard[:10], heard[10:20], heard[20:])])
    for row in each:
        assert row == [row[0]] * PRBS
        nearest = sums[np.clip(np.searchsorted(sums, row[0]) + np.array([-1, 0]), 0, len(sums) - 1)]
        assert min(abs(nearest / row[0] - 1)) < 1e-9
    assert mean == pytest.approx([sum(heard) / 10] * len(mean))


def test_users_are_where_their_sector_is(ns3):
    """In a hexagon ahead of it whose sides are a third of the distance of sites, and no site is nearer."""
    _, _, users = ns3(interference_mw, False, 0, [0], AROUND | {"seed": 5})
    for number, user in enumerate(users):
        site = SITES[number // 30]
        bearing = np.radians(nr_city.BEARINGS_DEG[number // 10 % 3])
        middle = (site[0] + 200 / 3 * np.cos(bearing), site[1] + 200 / 3 * np.sin(bearing))
        assert dist(user[:2], middle) <= 200 / 3
        assert dist(user[:2], site[:2]) >= 10
        assert user[2] == 1.5
        assert dist(user, site) <= min(dist(user, other) for other in [*SITES, (0.0, 0.0, 10.0)])


def test_an_array_factor_is_the_sum_over_its_elements(ns3):
    draw = np.random.default_rng(3)
    ways = draw.normal(size=(50, 2, 3))
    ways[0, 1] = ways[0, 0]
    found = ns3(beam_gains, 4, 8, [tuple(map(tuple, pair)) for pair in ways.tolist()])
    units = ways / np.linalg.norm(ways, axis=2, keepdims=True)
    rows, columns = np.divmod(np.arange(32), 8)
    steer, hear = (
        np.exp(1j * pi * (np.outer(unit[:, 2], rows) + np.outer(unit[:, 1], columns)))
        for unit in (units[:, 0], units[:, 1])
    )
    wanted = np.abs((steer.conj() * hear).sum(1)) ** 2 / 32
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-9)
    assert found[0] == pytest.approx(32)


def test_a_sector_has_the_pattern_of_the_specification(ns3):
    draw = np.random.default_rng(4)
    places = np.column_stack([draw.uniform(-500, 500, (40, 2)), draw.uniform(1, 20, 40)])
    around = {"sites": SITES, "devices": [tuple(at) for at in places.tolist()], "Rows": 10, "Downtilt": 0.0}
    found = np.array(ns3(gains_db, 12.0, around | {"is_isotropic": False}))
    ways = np.array([[dist(at, site) for site in SITES] for at in places])
    antennas = nr_city.sector_gains_db(places, np.array(SITES)[:, :2], 10.0, 10, 12.0)
    wanted = np.repeat(10 * np.log10(FRIIS / ways**2), 3, 1) + antennas
    deep = antennas < -60  # where the elements' waves cancel, digits are lost
    assert found[~deep] == pytest.approx(wanted[~deep], abs=1e-4)
    assert np.all(found[deep] < wanted[deep] + 20)


def test_a_device_s_links_are_renewed_once_it_has_moved_by_half_a_metre(ns3):
    found = ns3(moved, [0.0, 0.3, 0.3, 0.1], AROUND)
    assert found[0] == found[1]
    assert found[1] != found[2] == found[3]
    wanted = sum(3 * 10**4.4 / PRBS * FRIIS / dist(site, (60.6, 20.0, 1.5)) ** 2 for site in SITES)
    assert found[3] == pytest.approx(wanted, rel=1e-9)
