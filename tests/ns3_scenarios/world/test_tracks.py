# SPDX-License-Identifier: GPL-2.0-only
"""The track record: places by its rows, against closed forms, interpolation, and where ns-3 says that users are."""

import itertools
from typing import Any

import numpy as np
import pytest

from bridge.network import NS_PER_S, Site
from cosim.record.track_row import ROW
from cosim.results.places import Tracks
from ns3_scenarios.topology import ScriptError, _check_site
from tests.support.still import open_still

PLACES_M = [[5.0, 0.0, 1.5], [0.0, 6.0, 1.5]]
TIMES_NS = [round(time_s * NS_PER_S) for time_s in np.arange(0.25, 20, 0.25)]
WANDER = {
    "kind": "random-waypoint",
    "x_m": [-10.0, 12.0],
    "y_m": [-8.0, 9.0],
    "speed_mps": [1.0, 4.0],
    "pause_s": [0.0, 1.0],
}


def recorded(scenario: str, times_ns: list[int], **parameters: Any) -> tuple[Tracks, int, list[int], list[list[float]]]:
    """The tracks up to the last of these times, when they begin, rows by outcome, and where ns-3 has devices then."""
    network = open_still(scenario, parameters, 1)
    try:
        info, begin_ns = network.info, network.now_ns
        taken = [network.exchange([], time_ns, time_ns).tracks for time_ns in times_ns]
        models = [device.node.GetObject[network._ns.MobilityModel]() for device in network._topology.devices]
        there = [[at.x, at.y, at.z] for at in (model.GetPosition() for model in models if model)]
        rows = np.frombuffer(b"".join(taken), ROW)
        return (
            Tracks(info.devices, info.others, info.sites, rows),
            begin_ns,
            [len(t) // ROW.itemsize for t in taken],
            there,
        )
    finally:
        network.close()


def wifi(**movement: Any) -> dict[str, Any]:
    return {"positions_m": PLACES_M, "movement": movement}


def test_a_walk_at_constant_velocity_is_one_row_and_its_closed_form(ns3):
    velocities = [[0.5, -0.25, 0.0], [0.0, 0.0, 0.0]]
    movement = wifi(kind="constant-velocity", velocities_mps=velocities)
    tracks, begin_ns, counts, _ = ns3(recorded, "wifi", TIMES_NS, **movement)
    assert counts == [2] + [0] * (len(TIMES_NS) - 1)
    assert tracks.rows["time_ns"].tolist() == [begin_ns] * 2
    times_s = np.array([begin_ns, *TIMES_NS]) / NS_PER_S
    for device, (place, velocity) in enumerate(zip(PLACES_M, velocities, strict=True)):
        expected = np.array(place) + np.outer(times_s, velocity)
        assert tracks.at(device, np.array([begin_ns, *TIMES_NS])) == pytest.approx(expected, abs=1e-9)
    assert [tracks.moves(device) for device in range(2)] == [True, False]


def test_random_waypoints_stay_in_their_rectangle_and_end_where_ns3_has_them(ns3):
    tracks, begin_ns, _, there = ns3(recorded, "wifi", TIMES_NS, **wifi(**WANDER))
    times_ns = np.linspace(begin_ns, TIMES_NS[-1], 2000).astype(np.int64)
    for device in range(2):
        place = tracks.at(device, times_ns)
        for axis, (low, high) in enumerate([(-10, 12), (-8, 9), (1.5, 1.5)]):
            assert place[:, axis].min() >= low - 1e-6
            assert place[:, axis].max() <= high + 1e-6
        assert np.linalg.norm(np.diff(place, axis=0), axis=1).max() <= 4 * np.diff(times_ns).max() / NS_PER_S + 1e-6
        assert tracks.at(device, np.array(TIMES_NS[-1:]))[0] == pytest.approx(there[device], abs=1e-6)
        mine = tracks.rows[tracks.rows["user"] == device]
        assert len(mine) > 5
        before_next = tracks.at(device, mine["time_ns"][1:] - 1)  # no row leaps
        assert before_next == pytest.approx(np.stack([mine[name][1:] for name in ("x_m", "y_m", "z_m")], 1), abs=1e-5)


def test_a_recording_is_its_rows(ns3, tmp_path):
    rng = np.random.default_rng(1)
    times_s, xy = np.arange(0, 25, 2.5), rng.uniform(-10, 10, (2, 10, 2))
    rows = [f"{t},{device},{x},{y}" for at, t in enumerate(times_s) for device, (x, y) in enumerate(xy[:, at])]
    (tmp_path / "walk.csv").write_text("\n".join(["time_s,device,x_m,y_m", *rows]))
    movement = wifi(kind="csv", file=str(tmp_path / "walk.csv"))
    tracks, _, _, _ = ns3(recorded, "wifi", TIMES_NS, **movement)
    for device, axis in itertools.product(range(2), range(2)):
        expected = np.interp(np.array(TIMES_NS) / NS_PER_S, times_s, xy[device, :, axis])
        assert tracks.at(device, np.array(TIMES_NS))[:, axis] == pytest.approx(expected, abs=1e-5)


def test_of_more_changes_than_there_is_room_for_the_last_is_kept(ns3, tmp_path):
    steps = 40_000
    rows = [f"{at / 4000},0,{10 + at % 2},{at / steps}" for at in range(steps + 1)]
    (tmp_path / "shake.csv").write_text("\n".join(["time_s,device,x_m,y_m", *rows]))
    movement = wifi(kind="csv", file=str(tmp_path / "shake.csv"))
    tracks, _, (count, later), (there, _) = ns3(recorded, "wifi", [11 * NS_PER_S, 12 * NS_PER_S], **movement)
    assert (count, later) == (32768 + 1, 0)
    assert (np.diff(tracks.rows["time_ns"]) >= 0).all()
    assert tracks.at(0, np.array([12 * NS_PER_S]))[0] == pytest.approx(there, abs=1e-6)


@pytest.mark.parametrize("scenario", ["nr", "wifi"])
def test_who_stays_has_one_row_and_no_speed_and_so_have_other_users(ns3, scenario):
    """With `nr` also though the fading around them has a speed."""
    load = {"kind": "on-off", "users": 1, "rate_bps": 1e5, "mean_on_s": 1.0, "mean_off_s": 1.0}
    parameters = {"positions_m": PLACES_M, "background": [load], "other_users_distances_m": [7.0]}
    if scenario == "nr":
        parameters |= {"path_loss": "friis", "line_of_sight": "always", "fading": False}
    tracks, begin_ns, counts, _ = ns3(recorded, scenario, TIMES_NS[:8], **parameters)
    assert counts == [3] + [0] * 7
    assert len(tracks.others) == 1
    rows = tracks.rows
    assert (rows["time_ns"] == begin_ns).all()
    assert rows["user"].tolist() == [0, 1, 2]
    places = np.stack([rows[name] for name in ("x_m", "y_m", "z_m")], 1)
    assert places == pytest.approx(np.array([*PLACES_M, [7.0, 0.0, 1.5]]), abs=1e-9)
    assert not np.stack([rows[name] for name in ("x_mps", "y_mps", "z_mps")]).any()


def test_cables_have_no_places(ns3):
    tracks, _, counts, there = ns3(recorded, "wired", TIMES_NS[:2], devices=2)
    assert (counts, there, tracks.sites) == ([0, 0], [], ())


def test_sites_are_where_the_base_stations_stand(ns3):
    tracks, *_ = ns3(recorded, "wifi", TIMES_NS[:1], positions_m=PLACES_M)
    assert [(site.x_m, site.y_m, site.azimuths_deg) for site in tracks.sites] == [(0.0, 0.0, ())]


@pytest.mark.parametrize("site", [(0.0, 0.0, 10.0), Site(float("nan"), 0.0, 1.0), Site(0.0, 0.0, 1.0, (float("inf"),))])
def test_a_site_that_is_none_is_refused(site):
    with pytest.raises(ScriptError, match=r"Topology's sites are Site|no finite number"):
        _check_site(site)
