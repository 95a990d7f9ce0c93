# SPDX-License-Identifier: GPL-2.0-only
"""Several NR cells: what disturbs what, against sums by hand, and where devices are attached."""

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.network import NS_PER_S, RequestError, Status, Transfer
from ns3_scenarios.scenarios.nr_multicell import NrMulticell
from tests.support import city
from tests.support.nr_cells import Sent, agreeing, heard
from tests.support.ns3_worker import Call, Played, Step, play

MS = 1_000_000
PRBS = 51
SPACING_HZ = 30e3
HEIGHT_M = 10.0
FRIIS = (299_792_458 / 3.5e9 / (4 * math.pi)) ** 2
# Two devices of the first cell, two of the second, one of the third, in sight of each other.
PLACES = [[50.0, 20.0, 1.5], [-40.0, 70.0, 1.5], [120.0, 60.0, 1.5], [230.0, 110.0, 2.5], [20.0, 150.0, 1.5]]
SERVING = [0, 0, 1, 1, 2]
GNB_ARRAY, DEVICE_ARRAY = (2, 4), (1, 2)


def standing(places_m: Sequence[Sequence[float]]) -> dict[str, object]:
    movement = {"kind": "constant-velocity", "velocities_mps": [[0.0, 0.0, 0.0]] * len(places_m)}
    return {"positions_m": places_m, "movement": movement}


FREE = {
    **{"path_loss": "friis", "bandwidth_mhz": 20, "layers": 1, **standing(PLACES)},
    **{"gnb_antennas": GNB_ARRAY, "device_antennas": DEVICE_ARRAY},
}


def multicell(ns3: Call, steps: Sequence[Step], seed: int = 1, **parameters: object) -> Played:
    return ns3(play, steps, parameters, "nr-multicell", seed)


def statuses(played: Played, step: int) -> list[Status]:
    return [came.status for came in played.outcomes[step].transfers]


def every(devices: int, down_bytes: int, up_bytes: int) -> list[Transfer]:
    return [Transfer(i, down_bytes, 0, up_bytes) for i in range(devices)]


def array_gain(
    array: tuple[int, int],
    here: NDArray[np.float64],
    towards: NDArray[np.float64],
    there: NDArray[np.float64],
    axes: NDArray[np.float64] = np.eye(3),  # noqa: B008
) -> float:
    """Of a beam that looks from `here` at `towards`, to `there`: its elements, half a wavelength apart, one by one.

    The array's axes, ahead, left and up, are those given.
    """
    rows, columns = array
    places = np.array([(0.0, column / 2, row / 2) for row in range(rows) for column in range(columns)]) @ axes
    ways = [(at - here) / np.linalg.norm(at - here) for at in (towards, there)]
    weights, response = (np.exp(2j * np.pi * places @ way) for way in ways)
    return float(abs(np.vdot(weights, response)) ** 2 / len(places))


def panels(path_loss: str) -> list[NDArray[np.float64]]:
    """Axes of a gNB's panels, ahead, left and up: one, or three that look 12 degrees down (TR 38.901 clause 7.1)."""
    if path_loss == "friis":
        return [np.eye(3)]
    found = []
    for bearing, tilt in ((math.radians(degrees), math.radians(12)) for degrees in city.BEARINGS_DEG):
        across = np.array([math.cos(bearing), math.sin(bearing), 0.0])
        left, up = np.array([-math.sin(bearing), math.cos(bearing), 0.0]), np.array([0.0, 0.0, 1.0])
        ahead = math.cos(tilt) * across - math.sin(tilt) * up
        found.append(np.array([ahead, left, math.sin(tilt) * across + math.cos(tilt) * up]))
    return found


def element(path_loss: str, axes: NDArray[np.float64], gnb: NDArray[np.float64], device: NDArray[np.float64]) -> float:
    """Power gain of an element of a panel: isotropic, or that of TR 38.901 table 7.3-1."""
    if path_loss == "friis":
        return 1.0
    ahead, left, up = axes @ (device - gnb) / np.linalg.norm(device - gnb)
    azimuth_deg, zenith_deg = np.degrees([math.atan2(left, ahead), math.acos(up)])
    return float(10 ** (city.element_db(azimuth_deg, zenith_deg) / 10))


def path(path_loss: str, gnb: NDArray[np.float64], device: NDArray[np.float64]) -> float:
    """Power gain without antennas."""
    if path_loss == "friis":
        return float(FRIIS / np.linalg.norm(gnb - device) ** 2)
    flat_m, height_m = np.array([math.dist(gnb[:2], device[:2])]), np.array([device[2]])
    no_sight, draw = np.array([False]), np.random.default_rng(1)
    return float(10 ** (-city.path_loss_db(city.KINDS["umi"], 3.5, flat_m, height_m, no_sight, draw)[0] / 10))


def interference_mw(one: Sent, all_sent: Sequence[Sent], polarizations: int, path_loss: str) -> NDArray[np.float64]:
    """At the receiver of a transmission, of all others of its slot that other cells or their devices sent."""
    gnbs = [np.array([x, y, HEIGHT_M]) for x, y in NrMulticell.parse(FREE).sites()]
    devices = [np.array(place) for place in PLACES]
    found = np.zeros(PRBS)
    for other in all_sent:
        if other.cell == one.cell or other.is_uplink != one.is_uplink:
            continue
        own, sender, its_own = devices[one.device], devices[other.device], gnbs[other.cell]
        here = gnbs[one.cell]
        if one.is_uplink:  # heard with the sector that is best for it
            gain = path(path_loss, here, sender) * max(
                element(path_loss, axes, here, sender) for axes in panels(path_loss)
            )
            beams = array_gain(DEVICE_ARRAY, sender, its_own, here) * array_gain(GNB_ARRAY, here, own, sender)
        else:  # sent by the sector that is best for the one it is meant for
            axes = max(panels(path_loss), key=lambda panel: element(path_loss, panel, its_own, sender))
            gain = path(path_loss, its_own, own) * element(path_loss, axes, its_own, own)
            beams = array_gain(GNB_ARRAY, its_own, sender, own, axes) * array_gain(DEVICE_ARRAY, own, here, its_own)
        found += np.array(other.prbs) * other.psd_mw * gain * beams / polarizations
    return found


@pytest.mark.parametrize(
    ("path_loss", "polarizations", "pattern"),
    [("friis", 1, "DDDSU"), ("friis", 2, "DDDSU"), ("friis", 1, "FDD"), ("umi", 2, "DDDSU")],
)
@pytest.mark.parametrize("size", [(400_000, 1), (1, 400_000)], ids=["downlink", "uplink"])
def test_interference_is_the_sum_of_what_the_others_send_on_each_prb(ns3, size, path_loss, polarizations, pattern):
    """And the SINR of a block is what its power is over that and the noise. With "umi" gNBs have sectors."""
    given = FREE | {"path_loss": path_loss, "polarizations": polarizations, "pattern": pattern}
    given |= {} if path_loss == "friis" else {"line_of_sight": "never", "shadowing_sigma_db": 0.0, "fading": False}
    sent, blocks = ns3(heard, given, every(5, *size), 100 * MS)
    is_uplink = size[1] > 1
    by_slot = {slot: list(each) for slot, each in groupby(sent, lambda one: one.slot)}
    sinrs = {(block.slot, block.is_uplink, block.device): block.sinr_db for block in blocks}
    seen = compared = 0
    for together in by_slot.values():
        for one in together:
            assert one.cell == SERVING[one.device]
            wanted_mw = interference_mw(one, together, polarizations, path_loss)
            assert np.allclose(one.interference_mw, wanted_mw, rtol=1e-9, atol=0)
            seen += one.is_uplink == is_uplink and bool(wanted_mw.any())
            mine = [each for each in together if (each.device, each.is_uplink) == (one.device, one.is_uplink)]
            on_own = wanted_mw[np.array(one.prbs)]
            if len(mine) == 1 and np.allclose(on_own, on_own[0], rtol=1e-12, atol=0):
                compared += one.is_uplink == is_uplink
                wanted_db = sinr_db(one, on_own[0], path_loss)
                assert sinrs[one.slot, one.is_uplink, one.device] == pytest.approx(wanted_db, abs=1e-6)
    assert seen > 20
    assert compared > 20


def sinr_db(one: Sent, interfering_mw: float, path_loss: str) -> float:
    gnb, device = np.array([*NrMulticell.parse(FREE).sites()[one.cell], HEIGHT_M]), np.array(PLACES[one.device])
    elements = max(element(path_loss, axes, gnb, device) for axes in panels(path_loss))
    arrays = math.prod(GNB_ARRAY) * math.prod(DEVICE_ARRAY)
    noise_mw = 10 ** ((-174 + (5 if one.is_uplink else 7)) / 10) * 12 * SPACING_HZ
    return 10 * math.log10(one.psd_mw * path(path_loss, gnb, device) * elements * arrays / (noise_mw + interfering_mw))


def test_shares_are_of_the_cell_and_its_prbs_begin_anywhere(ns3):
    """A fifth of its cell's PRBs for each device; so that cells with room meet each other on all PRBs alike."""
    sent, _ = ns3(heard, FREE, every(5, 4_000_000, 1), 200 * MS, [0.2] * 5)
    down = [one for one in sent if not one.is_uplink]
    slots = {one.slot for one in down}
    for device in range(5):
        prbs = sum(sum(one.prbs) for one in down if one.device == device)
        assert prbs / (len(slots) * PRBS) == pytest.approx(0.2, rel=0.05)
    used = np.array([np.mean(np.array(one.interference_mw)[np.array(one.prbs)]) for one in down if one.device == 4])
    everywhere = np.array([np.mean(one.interference_mw) for one in down if one.device == 4])
    assert used.mean() == pytest.approx(everywhere.mean(), rel=0.15)


def test_cells_that_carry_nothing_do_not_interfere(ns3):
    """A device alone has the same times as if no other device were there; a busy cell beside it takes some of them."""
    asked, given = [Transfer(2, 300_000, 0, 100_000)], FREE | {"gnb_antennas": [1, 1], "device_antennas": [1, 1]}
    alone = multicell(ns3, [Step([Transfer(0, 300_000, 0, 100_000)])], **given | standing([PLACES[2]]))
    among = multicell(ns3, [Step(asked)], **given)
    assert among.took_ns(0) == alone.took_ns(0)
    busy = multicell(ns3, [Step([Transfer(0, 3_000_000, 0, 1), *asked])], **given)
    (_, beside), (quiet,) = busy.outcomes[0].transfers, among.outcomes[0].transfers
    assert beside.downlink_end_ns > quiet.downlink_end_ns


def test_the_mean_of_reports_is_what_was_sent_on_average(ns3):
    """When all cells have been full for long, a report's SINR is that of blocks over the whole carrier."""
    places = [PLACES[0], PLACES[2], PLACES[4]]
    given = FREE | {"polarizations": 1, **standing(places)}
    full = multicell(ns3, [Step(every(3, 40_000_000, 1), 0, 400 * MS)], **given).outcomes[0]
    gnbs = [np.array([x, y, HEIGHT_M]) for x, y in NrMulticell.parse(given).sites()]
    psd_mw = 10**4 / PRBS
    for device, place in enumerate(np.array(places)):
        path = [FRIIS / np.linalg.norm(place - gnb) ** 2 for gnb in gnbs]
        others_mw = sum(
            psd_mw
            * path[other]
            * array_gain(GNB_ARRAY, gnbs[other], np.array(places[other]), place)
            * array_gain(DEVICE_ARRAY, place, gnbs[device], gnbs[other])
            for other in range(3)
            if other != device
        )
        noise_mw = 10 ** ((-174 + 7) / 10) * 12 * SPACING_HZ
        wanted_db = 10 * math.log10(psd_mw * path[device] * 16 / (noise_mw + others_mw))
        assert full.links[device].cell == device + 1
        assert full.links[device].downlink_sinr_db == pytest.approx(wanted_db, abs=0.5)


def test_neighbours_that_are_computed_agree_with_full_cells(ns3):
    """At the same load, as many transmissions on a PRB; devices of the full cells stand where the neighbours' users do,
    so that no chance is left but whom a cell serves in a slot.
    """
    turns = np.random.default_rng(5).uniform(0, 2 * math.pi, 24)
    ways_m = np.linspace(15, 90, 24)
    places = [[float(x), float(y), 1.5] for x, y in zip(ways_m * np.cos(turns), ways_m * np.sin(turns), strict=True)]
    for found_db in ns3(agreeing, places, [1 / 3, 1.0]):
        computed_db, simulated_db = map(np.array, found_db)
        served = ~np.isnan(simulated_db).any(1)
        assert served.sum() > 15
        assert np.abs((simulated_db - computed_db)[served]).max() < 1


@pytest.mark.parametrize(("devices", "cells"), [(1, 7), (8, 7), (21, 3)])
def test_any_number_of_devices_twice_the_same(ns3, devices, cells):
    """In two networks of one process, with fading; in sight of all, each begins in the nearest cell."""
    steps = [Step(every(devices, 30_000, 20_000), 20 * MS, 400 * MS)] * 3
    given = {"devices": devices, "cells": cells, "line_of_sight": "always", "fading": True, "bandwidth_mhz": 20}
    first, again = (multicell(ns3, steps, **given) for _ in range(2))
    assert first == again
    assert all(link.connected for link in first.outcomes[0].links)
    assert [link.cell for link in first.outcomes[0].links] == [1 + i % cells for i in range(devices)]
    assert statuses(first, 0) == [Status.DONE] * devices


def test_another_process_and_another_seed(ns3, another):
    steps = [Step(every(8, 100_000, 100_000), 50 * MS, NS_PER_S)] * 2
    first, other = (multicell(ns3, steps, seed, fading=True) for seed in (1, 2))
    assert multicell(another, steps, 1, fading=True) == first
    assert other.outcomes != first.outcomes


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"cells": 2}, "radio.cells"),
        ({"cells": 8}, "radio.cells"),
        ({"devices": 0}, "radio.devices"),
        ({"inter_site_distance_m": 0.0}, "radio.inter_site_distance_m"),
        ({"rlc": "tm"}, "radio.rlc"),
        ({"distances_m": [100.0]}, "radio.distances_m"),
        ({"neighbours": {"sites": 6}}, "radio.neighbours"),
        ({"devices": 2, "positions_m": [[50.0, 0.0, 1.5]]}, "radio.devices"),
        ({"positions_m": [[1.0, 1.0, 1.5]]}, "radio.positions_m"),
        ({"layers": 2, "polarizations": 1}, "radio.layers"),
        ({"hysteresis_db": 3.2}, "radio.hysteresis_db"),
        ({"time_to_trigger_s": 0.25}, "radio.time_to_trigger_s"),
        ({"t310_s": 0.3}, "radio.t310_s"),
        ({"most_devices_per_cell": 2}, "radio.most_devices_per_cell"),
    ],
)
def test_bad_parameters_are_refused_by_name(parameters, field):
    with pytest.raises(RequestError) as refusal:
        NrMulticell.parse(parameters)
    assert refusal.value.field == field
