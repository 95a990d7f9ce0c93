# SPDX-License-Identifier: GPL-2.0-only
"""An NR cell with neighbours: its SINRs against closed forms, and the neighbours against the published calibration."""

from math import dist, hypot

import numpy as np
import pytest

from bench import calibration
from bridge.network import RequestError, Status, Transfer
from ns3_scenarios.scenarios.neighbour_sites import grid
from ns3_scenarios.scenarios.nr import Nr
from tests.support import city
from tests.support.around import FRIIS, gains_db, linked
from tests.support.nr_counts import counted
from tests.support.ns3_worker import Step, play

MS = 1_000_000
PLACE = (40.0, 25.0, 1.5)
GNB = (0.0, 0.0, 10.0)
PLAIN = {
    **{"path_loss": "friis", "positions_m": [list(PLACE)], "polarizations": 1, "layers": 1, "gnb_antennas": [1, 1]},
    "gnb_power_dbm": 20.0,
}
NOISE_MW = 10 ** (-16.7) * 12 * 30e3  # -174 dBm/Hz and 7 dB


@pytest.mark.parametrize("load", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("polarizations", [1, 2])
@pytest.mark.parametrize("sites", [6, 18])
def test_a_link_has_the_sinr_of_the_closed_form(ns3, sites, polarizations, load):
    """Friis and one antenna at each end; the elements are those of TR 38.901 table 7.3-1."""
    neighbours = {"sites": sites, "load": load, "downtilt_deg": 0.0}
    given = PLAIN | {"neighbours": neighbours, "polarizations": polarizations}
    (outcome,) = ns3(play, [Step([], 100 * MS)], given, "nr").outcomes
    places = np.array([GNB[:2], *[at[:2] for at in grid(sites, 200.0, 10.0)]])
    antennas = 10 ** (city.sector_gains_db(np.array([PLACE]), places, 10.0, 1, 0.0)[0] / 10).reshape(-1, 3)
    paths = np.array([FRIIS / dist((*at, 10.0), PLACE) ** 2 for at in places])
    received = 100 / 273 * paths[:, None] * antennas
    wanted = received[0].max() / (NOISE_MW + load * received[1:].sum() / polarizations)
    assert outcome.links[0].downlink_sinr_db == pytest.approx(10 * np.log10(wanted), abs=0.01)


@pytest.mark.parametrize(("nominal_dbm", "load"), [(-100.0, 0.4), (-60.0, 1.0)])
def test_an_uplink_has_the_sinr_of_the_closed_form(ns3, nominal_dbm, load):
    """Friis, arrays of 4 by 8 whose beams look at the one who is served; with power to spare, and with all of it."""
    given = PLAIN | {
        **{"gnb_antennas": [4, 8], "nominal_power_dbm": nominal_dbm, "path_loss_factor": 0.9},
        "neighbours": {"sites": 6, "load": load, "downtilt_deg": 0.0},
    }
    found_db, users = ns3(linked, given)
    sites = np.array([at[:2] for at in grid(6, 200.0, 10.0)])
    here = np.zeros((1, 2))
    places = np.array(users)

    def coupling(at, towards, sector=None):
        """Of a user to an element of a site: of its best sector, or of the one that is given."""
        antennas = city.sector_gains_db(at[None], towards[None], 10.0, 1, 0.0)[0]
        gain_db = antennas.max() if sector is None else antennas[sector]
        return FRIIS / dist((*towards, 10.0), at) ** 2 * 10 ** (gain_db / 10)

    def sent_mw(own, prbs):
        return min(2 * 10 ** (nominal_dbm / 10) * (32 * own) ** -0.9, 10**2.3 / prbs)

    def beam(at, there):
        rows, columns = np.divmod(np.arange(32), 8)
        units = [(np.array(to) - GNB) / dist(to, GNB) for to in (at, there)]
        waves = [np.exp(1j * np.pi * (unit[2] * rows + unit[1] * columns)) for unit in units]
        return abs(np.vdot(*waves)) ** 2 / 32

    interference_mw = 0.0
    for number, user in enumerate(places):
        site, sector = sites[number // 30], number // 10 % 3
        psd_mw = sent_mw(coupling(user, site, sector), load * 273)
        interference_mw += load / 10 * psd_mw * coupling(user, here[0]) * beam(PLACE, user)
    own = coupling(np.array(PLACE), here[0])
    wanted = sent_mw(own, 273) * 32 * own / (NOISE_MW / 10**0.2 + interference_mw)
    assert interference_mw > NOISE_MW / 10
    assert found_db == pytest.approx(10 * np.log10(wanted), abs=0.01)


def test_neighbours_without_load_change_nothing_of_the_radio_but_the_gnb_s_elements(ns3):
    """Path loss and line of sight of the cell's own links are drawn as without neighbours."""
    step = [Step([], 100 * MS)]
    given = {"positions_m": [[x, 30.0 - x / 4, 1.5] for x in (20.0, 60.0, 150.0)], "shadowing_sigma_db": None}
    (alone,) = ns3(play, step, given, "nr").outcomes
    (among,) = ns3(play, step, given | {"neighbours": {"load": 0.0}}, "nr").outcomes
    for one, other, at in zip(alone.links, among.links, given["positions_m"], strict=True):
        way = np.array(at) - GNB
        azimuth = np.degrees(np.arctan2(way[1], way[0])) - 30
        flat = hypot(way[0], way[1])
        # The panels look 12 degrees down, at the device's azimuth but for a few degrees.
        gain = other.downlink_sinr_db - one.downlink_sinr_db
        assert gain == pytest.approx(city.element_db(azimuth, 90 - np.degrees(np.arctan2(way[2], flat)) - 12), abs=0.7)


def test_no_site_is_better_for_a_device_than_its_cell(ns3):
    """Drawn streets, isotropic antennas: with line of sight a site 60 to 140 m away would often be better by far."""
    sites, devices = grid(6, 100.0, 10.0), [(20.0 + 5 * i, 30.0 - 7 * i, 1.5) for i in range(8)]
    around = {"sites": sites, "devices": devices, "drawn": True}
    free, bound = (np.array(ns3(gains_db, 0.0, around | given)) for given in ({}, {"serving_dbm": -96.0}))
    assert (free > -96).mean() > 0.2
    assert (bound <= -96).all()
    assert bound.std() > 5  # they are drawn all the same


def test_the_same_seed_gives_the_same_to_the_nanosecond(ns3):
    both = [Transfer(i, 100_000, MS, 50_000) for i in range(4)]
    walk = {"kind": "constant-velocity", "velocities_mps": [[3.0, 1.0, 0.0]] * 4}
    load = {"mean_on_s": 0.05, "mean_off_s": 0.05}
    given = {"distances_m": [30.0, 40.0, 50.0, 60.0], "fading": True, "movement": walk, "shadowing_sigma_db": None}
    given["neighbours"] = {"load": load}
    first, again = (ns3(play, [Step(both, 20 * MS)] * 3, given, "nr") for _ in range(2))
    assert first.outcomes == again.outcomes
    assert all(came.status == Status.DONE for outcome in first.outcomes for came in outcome.transfers)


@pytest.mark.parametrize("load", [0.1, 0.5, 1.0])
def test_first_transmissions_fail_as_link_adaptation_aims_at(ns3, load):
    """A report has the interference on average, and the outer loop the rest; downlinks, saturated."""
    given = {"distances_m": [35.0, 50.0], "line_of_sight": "always", "neighbours": {"load": load}, "target_bler": 0.05}
    many = [Transfer(i, 40_000_000, 0, 1) for i in range(2)]
    played = ns3(counted, [Step(many, 50 * MS, 1500 * MS)], given)
    for device in range(2):
        assert 0.025 < played.during(0, device, False).first_bler < 0.09


@pytest.mark.parametrize("path_loss", ["umi", "uma"])
def test_coupling_and_geometry_are_those_of_the_specification_and_of_its_calibration(ns3, path_loss):
    """TR 38.901 clause 7.8.1; by the clauses alone, and as published."""
    found, wanted = [], []
    for seed in range(1, 9):
        users = calibration.drop(path_loss, 500, seed)
        found.append(ns3(calibration.gains_db, path_loss, users, seed))
        is_indoors = users.walls_db != 0
        wanted.append(city.gains_db(path_loss, 6.0, users.places_m, is_indoors, users.walls_db, seed))
    sets = [calibration.coupling_and_geometry_db(np.concatenate(each)) for each in (found, wanted)]
    for name, here, there in zip(("coupling", "geometry"), *sets, strict=True):
        ours, independent = (np.percentile(values, calibration.SHARES) for values in (here, there))
        published = np.array(calibration.PUBLISHED_DB[path_loss, name])
        most_db = 3.0 if name == "coupling" else 0.8  # far tails of a few thousand users
        assert np.abs(ours - independent).max() < most_db
        assert np.abs(ours - published).max() < most_db
        assert np.abs((ours - published)[1:-1]).max() < 1.5


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"sites": 7}, "neighbours.sites"),
        ({"load": 1.5}, "neighbours.load"),
        ({"load": []}, "neighbours.load"),
        ({"load": [[1.0, 2.0]]}, "neighbours.load[0][1]"),
        ({"load": {"mean_on_s": 1.0}}, "neighbours.load.mean_off_s"),
        ({"inter_site_distance_m": 3.0}, "neighbours.inter_site_distance_m"),
        ({"tilt": 3.0}, "neighbours.tilt"),
    ],
)
def test_bad_neighbours_are_refused_by_name(given, field):
    with pytest.raises(RequestError) as refusal:
        Nr.parse({"neighbours": given})
    assert refusal.value.field == f"radio.{field}"


def test_an_office_has_no_neighbours():
    with pytest.raises(RequestError, match="take umi, uma or rma") as refusal:
        Nr.parse({"path_loss": "inh", "neighbours": {}})
    assert refusal.value.field == "radio.neighbours"
