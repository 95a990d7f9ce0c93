# SPDX-License-Identifier: Apache-2.0
"""`cosim.load`: a run or a folder of them as frames, held against SQLite, and what a notebook shows of it."""

import base64
import json
import re
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

import cosim
from bridge.network import RequestError
from tests.support.small_run import place_m, small_run

PLACES = [[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with two runs without tracks: the first says where its devices are, the second how far."""
    folder = tmp_path_factory.mktemp("runs")
    for name, parameters, seed in (("a", {"positions_m": PLACES}, 1), ("b/c", {"distances_m": [10.0, 20.0, 30.0]}, 2)):
        place = folder.parent / f"{folder.name}-{seed}"
        place.mkdir()
        shutil.copytree(small_run(place, f"seed={seed}"), folder / name)
        with closing(sqlite3.connect(folder / name / "journal.sqlite")) as db, db:
            db.execute("UPDATE variants SET parameters = ?", [json.dumps(parameters)])
            db.execute("DELETE FROM tracks")
    return folder


def test_the_frame_of_a_run_holds_what_sqlite_holds(runs):
    frame = cosim.load(runs / "a").frame
    with closing(sqlite3.connect(runs / "a/journal.sqlite")) as db:
        rows = db.execute(
            "SELECT policy, phase, layer, name, downlink_bytes, (downlink_end_ns - depart_ns) / 1e9, "
            "(compute_end_ns - downlink_end_ns) / 1e9, (uplink_end_ns - compute_end_ns) / 1e9, "
            "(end_ns - depart_ns + bs_compute_ns) / 1e9, experts, l.downlink_sinr_db "
            "FROM transfers t JOIN exchanges e USING (variant, exchange) JOIN variants v USING (variant) "
            "JOIN devices USING (variant, device) LEFT JOIN links l USING (variant, exchange, device) "
            "ORDER BY variant, exchange, device"
        ).fetchall()
    names = ["policy", "phase", "layer", "name", "downlink_bytes", "downlink_s", "compute_s", "uplink_s", "layer_s"]
    assert len(frame) == len(rows) > 20
    assert [tuple(row) for row in frame[names[:5]].to_numpy().tolist()] == [row[:5] for row in rows]
    np.testing.assert_allclose(frame[names[5:]].to_numpy(float), [row[5:9] for row in rows], rtol=1e-12)
    assert frame["experts"].tolist() == [json.loads(row[9]) for row in rows]
    assert set(zip(frame["run"], frame["seed"], strict=True)) == {(str(runs / "a"), 1)}
    assert frame[["x_m", "y_m"]].to_numpy().tolist() == [PLACES[device] for device in frame["device"]]
    assert "distance_m" not in frame


def test_positions_are_those_of_the_network(tmp_path):
    runs = cosim.load(small_run(tmp_path))
    frame = runs.frame
    expected = [place_m(device, end_s) for device, end_s in zip(frame["device"], frame["end_s"], strict=True)]
    np.testing.assert_allclose(frame[["x_m", "y_m", "z_m"]].to_numpy(float), expected, rtol=1e-9)
    begun = runs["devices"].query("variant == 2")[["x_m", "y_m", "z_m"]].to_numpy(float)
    np.testing.assert_allclose(begun, [place_m(device, 0.0) for device in range(3)])
    positions = runs.positions(0.01)
    assert positions["name"].unique().tolist() == ["device-0", "device-1", "device-2", "walker"]
    assert positions.groupby("name")["is_device"].all().tolist() == [True, True, True, False]
    expected = [place_m(user, time_s) for user, time_s in zip(positions["user"], positions["time_s"], strict=True)]
    np.testing.assert_allclose(positions[["x_m", "y_m", "z_m"]].to_numpy(float), expected, atol=1e-9)
    ends_s = frame.groupby("variant")["end_s"].max()
    for variant, times_s in positions.query("user == 0").groupby("variant")["time_s"]:
        np.testing.assert_allclose(times_s, np.arange(0, ends_s[variant], 0.01), atol=1e-9)
    with pytest.raises(RequestError, match="every_s: 0 is not above 0"):
        runs.positions(0)


def test_a_folder_of_runs_is_one_frame(runs):
    loaded = cosim.load(str(runs))
    assert loaded.folders == (runs / "a", runs / "b/c")
    alone = [cosim.load(folder).frame for folder in loaded.folders]
    assert loaded.frame["seed"].tolist() == [1] * len(alone[0]) + [2] * len(alone[1])
    assert loaded.frame["downlink_s"].tolist() == [*alone[0]["downlink_s"], *alone[1]["downlink_s"]]
    assert loaded["exchanges"].columns[0] == "run"
    assert loaded.frame.groupby("run")["distance_m"].count().tolist() == [0, len(alone[1])]
    assert len(loaded.summary()) == 4


def test_a_notebook_shows_its_figures_and_numbers(runs):
    loaded = cosim.load(runs)
    shown = loaded._repr_html_()
    images = [base64.b64decode(image) for image in re.findall(r"base64,([^\"]+)", shown)]
    assert len(images) == 2
    assert all(image.startswith(b"\x89PNG") and len(image) > 5000 for image in images)
    tpot_ms = 1e3 * np.median(cosim.summarise(runs / "a")[0].tpot_s)
    assert f"<td>{tpot_ms:.1f}</td>" in shown
    assert "http" not in shown


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RequestError, match=r"RUN: .* is no run and holds none"):
        cosim.load(tmp_path)
    with pytest.raises(RequestError, match="RUN"):
        cosim.load(tmp_path / "none")


def test_compare_and_timeline_and_report_are_what_the_commands_do(runs, tmp_path):
    rows = cosim.compare([runs / "a", str(runs / "b/c")])
    assert len(rows) > 3
    assert (rows["difference"] - (rows["mean"] - rows["base_mean"])).abs().max() < 1e-9
    assert json.loads(cosim.timeline(runs / "a", tmp_path / "t.json").read_text())["traceEvents"]
    written = cosim.report(str(runs / "a"), tmp_path / "r", figures=["time-split"])
    assert sorted(path.name for path in written) == ["time-split.pdf", "time-split.png", "time-split.svg"]
    assert all(path.stat().st_size > 1000 for path in written)
