# SPDX-License-Identifier: GPL-2.0-only
"""An LTE cell with neighbours: its SINRs and what its receivers hear against closed forms."""

from math import dist, pi

import numpy as np
import pytest

from bridge.network import RequestError, Status, Transfer, Wait
from ns3_scenarios.scenarios.lte import Lte
from ns3_scenarios.scenarios.lte_multicell import LteMulticell
from ns3_scenarios.scenarios.neighbour_sites import grid
from tests.support import city
from tests.support.lte_around import met
from tests.support.ns3_worker import Step, play

MS = 1_000_000
PLACE = (40.0, 25.0, 1.5)
BS = (0.0, 0.0, 10.0)
DOWNLINK_HZ = 2.12e9
FRIIS = (299792458 / DOWNLINK_HZ / (4 * pi)) ** 2
RB_HZ = 180e3
NOISE_MW = 10**-17.4 * RB_HZ  # -174 dBm/Hz, short of noise figures
DEVICE_NOISE, BS_NOISE = 10**0.9, 10**0.5
PLAIN = {"path_loss": "friis", "positions_m": [list(PLACE)]}


def coupling(at: tuple[float, ...], towards: tuple[float, ...], sector: int | None = None) -> float:
    """Of a place to a site: of the sector that is best there, or of the one that is given."""
    gains_db = city.sector_gains_db(np.array([at]), np.array([towards[:2]]), 10.0, 10, 12.0)[0]
    gain_db = gains_db.max() if sector is None else gains_db[sector]
    return FRIIS / dist(towards, at) ** 2 * 10 ** (gain_db / 10)


@pytest.mark.parametrize("load", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("sites", [6, 18])
def test_a_downlink_has_the_sinr_of_the_closed_form(ns3, sites, load):
    """Friis; columns of ten elements of TR 38.901 table 7.3-1, tilted by 12 degrees."""
    given = PLAIN | {"neighbours": {"sites": sites, "load": load}}
    (outcome,) = ns3(play, [Step([], 0, 100 * MS, Wait.DEADLINE)], given).outcomes
    sent_mw = 1e4 / 100
    around = sum(coupling(PLACE, site, sector) for site in grid(sites, 200.0, 10.0) for sector in range(3))
    wanted = sent_mw * coupling(PLACE, BS) / (NOISE_MW * DEVICE_NOISE + load * sent_mw * around)
    assert outcome.links[0].downlink_sinr_db == pytest.approx(10 * np.log10(wanted), abs=0.05)


@pytest.mark.parametrize("load", [0.4, 1.0])
@pytest.mark.parametrize("profile", ["20mhz", "100mhz-2x2"])
def test_an_uplink_has_the_sinr_of_the_closed_form(ns3, profile, load):
    """P0 of -80 dBm in each resource block and all of the path loss (ns-3's own), for devices and for users."""
    place = (20.0, 15.0, 1.5)
    given = {"path_loss": "friis", "positions_m": [list(place)], "profile": profile}
    found = ns3(met, True, given | {"neighbours": {"sites": 6, "load": load}})
    longer = (DOWNLINK_HZ / {"20mhz": 2.12e9, "100mhz-2x2": 2.31e9}[profile]) ** 2
    around = 0.0
    for number, user in enumerate(found.users):
        site = grid(6, 200.0, 10.0)[number // 30]
        sent_mw = min(1e-8 / (longer * coupling(user, site, number // 10 % 3)), 10**2.3 / (load * 100))
        around += load / 10 * sent_mw * longer * coupling(user, BS)
    wanted = 1e-8 / (NOISE_MW * BS_NOISE + around)
    assert 1e-8 * 100 / (longer * coupling(place, BS)) < 10**2.3  # power enough for sounding on all resource blocks
    assert around > NOISE_MW * BS_NOISE
    assert found.links[0].uplink_sinr_db == pytest.approx(10 * np.log10(wanted), abs=0.01)


@pytest.mark.parametrize("is_uplink", [False, True])
def test_data_meets_what_the_neighbours_do_in_its_subframe(ns3, is_uplink):
    given = {"path_loss": "umi", "distances_m": [30.0, 40.0], "neighbours": {"sites": 6, "load": 0.3}}
    found = ns3(met, is_uplink, given)
    assert len(found.heard_w_per_hz) > 20
    noise_mw = NOISE_MW * (BS_NOISE if is_uplink else DEVICE_NOISE)
    for subframe, heard in found.heard_w_per_hz.items():
        said = np.array(found.said_mw[subframe])
        assert said.max() > noise_mw
        assert np.array(heard) * RB_HZ * 1000 == pytest.approx(noise_mw + said, rel=1e-3)
    assert len({tuple(said) for said in found.said_mw.values()}) == len(found.said_mw)


def test_without_load_a_cell_is_as_if_alone_but_for_its_antennas(ns3):
    """Path loss and line of sight of its links are drawn as without neighbours."""
    places = [[20.0, 30.0, 1.5], [60.0, 20.0, 1.5], [150.0, 0.0, 1.5]]
    given = {"positions_m": places, "shadowing_sigma_db": None}
    step = [Step([], 0, 100 * MS, Wait.DEADLINE)]
    (alone,) = ns3(play, step, given).outcomes
    (among,) = ns3(play, step, given | {"neighbours": {"load": 0.0}}).outcomes
    for one, other, at in zip(alone.links, among.links, places, strict=True):
        gain_db = city.sector_gains_db(np.array([at]), np.array([BS[:2]]), 10.0, 10, 12.0).max()
        assert other.downlink_sinr_db - one.downlink_sinr_db == pytest.approx(gain_db, abs=0.01)


def test_more_load_takes_longer(ns3):
    took_ns = []
    for load in (0.0, 0.3, 1.0):
        given = {"distances_m": [30.0, 50.0, 70.0], "line_of_sight": "always", "neighbours": {"load": load}}
        played = ns3(play, [Step([Transfer(i, 200_000, 0, 100_000) for i in range(3)])], given)
        assert {came.status for came in played.outcomes[0].transfers} == {Status.DONE}
        took_ns.append(max(played.took_ns(0)))
    assert took_ns[0] < took_ns[1] < took_ns[2]


@pytest.mark.parametrize("profile", ["20mhz", "100mhz-2x2"])
def test_the_same_seed_gives_the_same_to_the_nanosecond(ns3, profile):
    both = [Transfer(i, 50_000, MS, 20_000) for i in range(4)]
    walk = {"kind": "constant-velocity", "velocities_mps": [[3.0, 1.0, 0.0]] * 4}
    given = {"distances_m": [30.0, 40.0, 50.0, 60.0], "fading": "umi", "movement": walk, "shadowing_sigma_db": None}
    given |= {"neighbours": {"load": {"mean_on_s": 0.05, "mean_off_s": 0.05}}, "profile": profile}
    steps = [Step(both, 20 * MS, 1000 * MS)] * 2
    first, again, other = (ns3(play, steps, given, "lte", seed) for seed in (1, 1, 2))
    assert first.outcomes == again.outcomes
    assert first.outcomes != other.outcomes


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"sites": 7}, "neighbours.sites"),
        ({"load": 1.5}, "neighbours.load"),
        ({"load": {"mean_on_s": 1.0}}, "neighbours.load.mean_off_s"),
        ({"inter_site_distance_m": 3.0}, "neighbours.inter_site_distance_m"),
        ({"beams": 3}, "neighbours.beams"),
    ],
)
def test_bad_neighbours_are_refused_by_name(given, field):
    with pytest.raises(RequestError) as refusal:
        Lte.parse({"neighbours": given})
    assert refusal.value.field == f"radio.{field}"


def test_cells_that_are_simulated_have_no_others_around():
    with pytest.raises(RequestError) as refusal:
        LteMulticell.parse({"neighbours": {}})
    assert refusal.value.field == "radio.neighbours"
