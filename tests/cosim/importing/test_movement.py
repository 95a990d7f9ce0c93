# SPDX-License-Identifier: GPL-2.0-only
"""Imported movement: where the files say that devices are, when they come and go, and metres of degrees."""

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import NS_PER_S, Status, Transfer
from ns3_scenarios.scenarios.lte import Lte
from ns3_scenarios.scenarios.wifi import REFERENCE_LOSS_DB
from ns3_scenarios.world.life import Absence
from ns3_scenarios.world.movement import Csv
from ns3_scenarios.world.recorded_movement import read_csv
from tests.support.importing import imported, refusal
from tests.support.ns3_worker import Step, play


def where(radio: dict[str, Any], device: int, times_s: list[float]) -> np.ndarray:
    """X and y in m by virtual time, as the scenario reads them."""
    movement = Lte.parse({key: value for key, value in radio.items() if key != "scenario"}).movement
    assert isinstance(movement, Csv)
    devices = radio["devices"]
    path = read_csv(movement, [f"ue{i}" for i in range(devices)], [(0.0, 0.0, 1.5)] * devices)[device]
    known_s = [time_ns / NS_PER_S for time_ns, _ in path]
    return np.array([np.interp(times_s, known_s, [point[axis] for _, point in path]) for axis in (0, 1)]).T


def fcd(steps: dict[float, dict[str, tuple[float, float]]], degrees: bool = False) -> str:
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<!-- generated -->", "<fcd-export>"]
    for time_s, there in steps.items():
        lines.append(f'  <timestep time="{time_s:.2f}">')
        for name, (x, y) in there.items():
            kind = "person" if name.startswith("ped") else "vehicle"
            lines.append(
                f'    <{kind} id="{name}" x="{x}" y="{y}" angle="90.00" type="car" speed="3" pos="5" lane="e_0"/>'
            )
        lines.append("  </timestep>")
    return "\n".join([*lines, "</fcd-export>", ""])


STEPS = {
    100.0: {"a": (650.0, 300.0)},
    100.5: {"a": (652.0, 300.0), "b": (660.0, 310.0)},
    101.0: {"a": (654.0, 300.0), "b": (660.0, 309.0), "ped 1": (655.0, 305.0)},
    101.5: {"b": (660.0, 308.0), "ped 1": (655.0, 305.5)},
    102.0: {"b": (660.0, 307.0)},
    102.5: {"a": (658.0, 300.0), "b": (660.0, 306.0), "ped 1": (655.0, 306.5)},
    103.0: {"a": (660.0, 300.0), "b": (660.0, 305.0)},
}


@pytest.mark.parametrize("packed", [False, True])
def test_sumo_s_vehicles_move_come_and_go(tmp_path, packed):
    file = tmp_path / ("fcd.xml.gz" if packed else "fcd.xml")
    file.write_bytes(gzip.compress(fcd(STEPS).encode()) if packed else fcd(STEPS).encode())
    radio = imported(tmp_path / "out", "sumo", file)
    names, origin_m = ["a", "b", "ped 1"], (655.0, 305.0)  # the middle of all
    assert (radio["movement"]["nodes"], radio["movement"]["begin_s"]) == (names, 100)
    assert radio["movement"]["origin_m"] == [*origin_m]
    for time_s, there in STEPS.items():
        for name, point in there.items():
            found = where(radio, names.index(name), [time_s - 100])[0]
            assert found == pytest.approx(np.array(point) - origin_m, abs=1e-6)
    life = Lte.parse({key: value for key, value in radio.items() if key != "scenario"}).life
    assert life == (
        Absence(devices=(0,), intervals_s=((1.5, 2.5),)),
        Absence(devices=(1,), intervals_s=((0.0, 0.5),)),
        Absence(devices=(2,), intervals_s=((0.0, 1.0), (2.0, 2.5), (3.0,))),
    )


def test_vehicles_are_chosen_by_name_or_by_how_long_they_are_there(tmp_path):
    file = tmp_path / "fcd.xml"
    file.write_text(fcd(STEPS))
    radio = imported(tmp_path / "one", "sumo", "--vehicle", "ped 1", "--origin", "600,300", file)
    assert radio["movement"] | {"file": ""} == {
        "kind": "csv",
        "file": "",
        "nodes": ["ped 1"],
        "origin_m": [600.0, 300.0],
        "begin_s": 101.0,
    }
    assert radio["life"] == [{"kind": "absence", "devices": [0], "intervals_s": [[1.0, 1.5], [2.0]]}]
    assert where(radio, 0, [0, 1.5])[1] == pytest.approx((55, 6.5))
    assert imported(tmp_path / "two", "sumo", "--count", 2, file)["movement"]["nodes"] == ["a", "b"]
    assert "--vehicle: c is not in" in refusal("sumo", "--vehicle", "c", file, tmp_path / "three")


def test_what_sumo_wrote_is_played(ns3, tmp_path):
    """The SINR at the place of the moment, and nobody reached while it is not there."""
    (tmp_path / "fcd.xml").write_text(fcd(STEPS))
    radio = imported(
        tmp_path / "out", "sumo", "--origin", "640,300", "--vehicle", "a", "--vehicle", "b", tmp_path / "fcd.xml"
    )
    both = [Transfer(i, 200_000, 0, 200_000) for i in range(2)]
    steps = [Step(both, NS_PER_S // 4, NS_PER_S // 10), Step(both, round(1.4 * NS_PER_S), NS_PER_S // 10)]
    played = ns3(play, steps, {key: value for key, value in radio.items() if key != "scenario"}, "wifi")
    statuses = [[came.status for came in outcome.transfers] for outcome in played.outcomes]
    assert [departed_ns / NS_PER_S for departed_ns in played.departed_ns] == pytest.approx([0.3, 1.8], abs=0.12)
    assert statuses == [[Status.DONE, Status.UNREACHABLE], [Status.UNREACHABLE, Status.DONE]]
    noise_dbm = 10 * math.log10(1.380649e-23 * 290 * 80e6) + 30 + 7
    for step, device in ((0, 0), (1, 1)):
        x, y = where(radio, device, [played.departed_ns[step] / NS_PER_S])[0]
        loss_db = REFERENCE_LOSS_DB + 30 * math.log10(math.dist((x, y, 1.5), (0, 0, 1.5)))
        assert played.outcomes[step].links[device].uplink_sinr_db == pytest.approx(16 - loss_db - noise_dbm, abs=0.4)


def radii_m(latitude: float) -> tuple[float, float]:
    """Of curvature of WGS 84, along the meridian and across it."""
    a, e2, root = 6378137.0, 0.00669437999014, 1 - 0.00669437999014 * math.sin(math.radians(latitude)) ** 2
    return a * (1 - e2) / root**1.5, a / math.sqrt(root)


def flat(latitude: float, longitude: float, around: tuple[float, float]) -> tuple[float, float]:
    """Metres east and north, to the first order."""
    meridian_m, across_m = radii_m((around[0] + latitude) / 2)
    north_m = math.radians(latitude - around[0]) * meridian_m
    middle = math.radians((latitude + around[0]) / 2)
    return math.radians(longitude - around[1]) * across_m * math.cos(middle), north_m


@settings(max_examples=40, deadline=None)
@given(
    around=st.tuples(st.floats(-70, 70), st.floats(-170, 170)),
    steps=st.lists(st.tuples(st.floats(-0.01, 0.01), st.floats(-0.01, 0.01)), min_size=1, max_size=5),
)
def test_degrees_become_metres_around_the_origin(tmp_path_factory, around, steps):
    """A kilometre or so away, within 0.02 % and a centimetre of the closed form of the ellipsoid's curvature."""
    folder = tmp_path_factory.mktemp("degrees")
    degrees = [(around[0] + north, around[1] + east) for north, east in steps]
    rows = [f"{i},{latitude!r},{longitude!r}" for i, (latitude, longitude) in enumerate(degrees)]
    (folder / "a.csv").write_text("\n".join(["t,lat,lon", *rows, ""]))
    columns = ["--time", "t", "--latitude", "lat", "--longitude", "lon", f"--origin={around[0]!r},{around[1]!r}"]
    radio = imported(folder / "out", "positions", *columns, folder / "a.csv")
    for i, (latitude, longitude) in enumerate(degrees):
        expected = flat(latitude, longitude, around)
        assert where(radio, 0, [i])[0] == pytest.approx(expected, rel=2e-4, abs=0.3)


GPX = """<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1">
<trk><name>walk</name><trkseg>
<trkpt lat="51.9" lon="-8.4"><ele>3</ele><time>2020-02-14T12:58:17Z</time></trkpt>
<trkpt lat="51.901" lon="-8.4"><time>2020-02-14T12:58:27.5Z</time></trkpt>
<trkpt lat="51.901" lon="-8.4"><time>2020-02-14T12:58:27.5Z</time></trkpt>
</trkseg><trkseg>
<trkpt lat="51.901" lon="-8.402"><time>2020-02-14T12:58:47Z</time></trkpt>
</trkseg></trk>
<trk><name>bus</name><trkseg>
<trkpt lat="51.9" lon="-8.39"><time>2020-02-14T12:58:37Z</time></trkpt>
<trkpt lat="51.9" lon="-8.391"><time>2020-02-14T12:59:07Z</time></trkpt>
</trkseg></trk></gpx>
"""


def test_tracks_of_gpx_are_devices_by_their_own_clock(tmp_path, capsys):
    (tmp_path / "a.gpx").write_text(GPX)
    radio = imported(tmp_path / "out", "gpx", "--origin=51.9,-8.4", tmp_path / "a.gpx")
    assert radio["movement"]["nodes"] == ["walk", "bus"]
    around = (51.9, -8.4)
    north, west, bus, later = (
        np.array(flat(*point, around)) for point in ((51.901, -8.4), (51.901, -8.402), (51.9, -8.39), (51.9, -8.391))
    )
    expected = [(0, 0), north / 2, north, (north + west) / 2, west, west]
    assert where(radio, 0, [0, 5.25, 10.5, 20.25, 30, 99]) == pytest.approx(np.array(expected), rel=2e-4, abs=0.05)
    assert where(radio, 1, [0, 20, 35, 50]) == pytest.approx(
        np.array([bus, bus, (bus + later) / 2, later]), rel=2e-4, abs=0.05
    )
    assert "skipped 1: time of the point before" in capsys.readouterr().out


def test_who_is_who_stands_in_a_column_and_what_was_not_measured_is_skipped(tmp_path, capsys):
    rows = ["0,a,51.9,-8.4", "0,b,51.91,-8.4", "5,a,-,-8.4", "10,a,51.9,-8.41", "10,b,51.9,-8.4", "11,c,0,0"]
    (tmp_path / "a.csv").write_text("\n".join(["when,who,lat,lon", *rows, ""]))
    columns = ["--time", "when", "--latitude", "lat", "--longitude", "lon", "--device", "who", "--only", "who=a"]
    radio = imported(tmp_path / "out", "positions", *columns, "--origin=51.9,-8.4", tmp_path / "a.csv")
    assert radio["movement"]["nodes"] == ["a"]
    expected = np.array([(0, 0), np.array(flat(51.9, -8.41, (51.9, -8.4))) / 2])
    assert where(radio, 0, [0, 5]) == pytest.approx(expected, rel=2e-4, abs=0.05)
    said = capsys.readouterr().out
    assert "skipped 1: lat is -" in said
    assert "skipped 3: who is not a" in said


def test_the_irish_positions_are_known_by_name_and_recordings_of_two_days_can_begin_together(tmp_path):
    header = "Timestamp,Longitude,Latitude,Speed,DL_bitrate,UL_bitrate\n"
    (tmp_path / "a.csv").write_text(
        header + "2019.12.14_10.16.30,-8.4,51.9,0,1,1\n2019.12.14_10.16.40,-8.4,51.91,0,1,1\n"
    )
    (tmp_path / "b.csv").write_text(
        header + "2020.02.14_12.58.17,-8.4,51.91,0,1,1\n2020.02.14_12.58.27,-8.4,51.9,0,1,1\n"
    )
    words = ["positions", "--dataset", "irish-5g", "--origin=51.9,-8.4", tmp_path / "a.csv", tmp_path / "b.csv"]
    assert "begins 5366497 s after the end of a; --own-beginnings lets" in refusal(*words, tmp_path / "no")
    radio = imported(tmp_path / "out", *words, "--own-beginnings")
    far_m = flat(51.91, -8.4, (51.9, -8.4))[1]
    assert where(radio, 0, [0, 10])[:, 1] == pytest.approx([0, far_m], rel=2e-4)
    assert where(radio, 1, [0, 10])[:, 1] == pytest.approx([far_m, 0], rel=2e-4)


POSITIONS = ["positions", "--time", "t", "--latitude", "lat", "--longitude", "lon"]


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        (["sumo"], "<fcd-export>\n<timestep", ":2: not XML"),
        (["sumo"], "<a/>", ": no <timestep> in it"),
        (["sumo"], '<fcd-export><timestep time="0"/></fcd-export>', ": nobody in it"),
        (["sumo"], fcd(STEPS).replace('x="652.0"', 'x="far"'), ":8: x 'far' is not a number"),
        (["sumo"], fcd(STEPS).replace('x="652.0"', ""), ":8: no x"),
        (["sumo"], fcd(STEPS).replace('time="100.50"', 'time="99"'), ":7: time 99 is not after"),
        (["sumo"], fcd(STEPS).replace('id="a"', "", 1), ":5: <vehicle> has no id"),
        (
            ["sumo"],
            fcd({0: {"a": (0, 0)}}).replace("</timestep>", '<vehicle id="a" x="0" y="0"/></timestep>'),
            ":6: a is there",
        ),
        (["gpx"], GPX.replace("<time>2020-02-14T12:58:27.5Z</time>", "", 1), ":5: a point without a time"),
        (["gpx"], GPX.replace("12:58:47Z", "12:58:20Z"), ":8: time 2020-02-14 12:58:20+00:00 goes back"),
        (["gpx"], GPX.replace("</trkseg><trkseg>", ""), ""),
        (["gpx"], GPX.replace("</trkseg></trk>\n", "", 1), ":12: not GPX"),
        (["gpx"], '<gpx version="1.1"><wpt lat="1" lon="2"/></gpx>', ": no track in it"),
        (POSITIONS, "t,lat,lon\n0,51,8\n1,91,8\n", ":3: lat '91' is not a number from -90 to 90"),
        (POSITIONS, "t,lat,lon\n0,51,8\n-1,51,8\n", ":3: t -1 goes back"),
        (POSITIONS, "t,lat,lon\n0,,\n", ": no row with a position"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_line(tmp_path, words, text, expected):
    file: Path = tmp_path / "a"
    file.write_text(text)
    if not expected:
        imported(tmp_path / "out", *words, file)
        return
    assert refusal(*words, file, tmp_path / "out").startswith(f"FILE: {file}{expected}")
