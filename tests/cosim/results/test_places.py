# SPDX-License-Identifier: Apache-2.0
"""Places out of a journal, against their closed form; SINR at a time, against a search row by row."""

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.network import CHANNEL_ROW, NS_PER_S
from cosim.record.journal import Journal
from cosim.reporting.cases import load
from cosim.reporting.cell_map import by_place
from cosim.results.places import downlink_sinr_db, tracks_of
from tests.support.small_run import DEVICES, place_m, small_run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return small_run(tmp_path_factory.mktemp("places"))


def test_places_are_those_of_the_network(run):
    times_ns = np.array([0, 1, 24_000_000, 50_000_000, NS_PER_S])
    with closing(Journal.open(run)) as journal:
        tracks = tracks_of(journal, 2)
    assert tracks is not None
    assert tracks.users == ("device-0", "device-1", "device-2", "walker")
    assert [site.is_neighbour for site in tracks.sites] == [False, True]
    for user in range(DEVICES + 1):
        expected = [place_m(user, time_ns / NS_PER_S) for time_ns in times_ns]
        assert tracks.at(user, times_ns) == pytest.approx(np.array(expected))
        assert tracks.moves(user) == (user > 0)
    assert np.isnan(tracks.at(0, np.array([-1]))).all()


ROWS = st.lists(
    st.tuples(
        st.integers(0, 50),
        st.integers(0, 1),
        st.integers(0, 1),
        st.sampled_from([-1.0, 0.0, 1e6]),
        st.sampled_from([math.nan, -3.0, 7.5, 20.0]),
    ),
    max_size=30,
).map(lambda rows: sorted(rows, key=lambda row: row[0]))


@given(ROWS, st.integers(0, 30), st.lists(st.integers(0, 60), min_size=1, max_size=9, unique=True).map(sorted))
def test_sinr_at_a_time_is_that_of_the_latest_row(rows, cut, times_ns):
    packed = [CHANNEL_ROW.pack(t, device, way, 0, 0, bps, db) for t, device, way, bps, db in rows]
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE channel (variant, exchange, rows)")
        for exchange, part in enumerate((packed[:cut], packed[cut:])):
            db.execute("INSERT INTO channel VALUES (1, ?, ?)", [exchange, b"".join(part)])
        journal = SimpleNamespace(db=db, path=Path("none"))
        found = downlink_sinr_db(journal, 1, 2, np.array(times_ns))
    for device in range(2):
        for at, time_ns in enumerate(times_ns):
            past = [row for row in rows if row[0] <= time_ns and row[1:3] == (device, 0)]
            expected = math.nan if not past or past[-1][3] < 0 else past[-1][4]
            assert found[device, at] == pytest.approx(expected, nan_ok=True)


def test_squares_of_the_map_average_what_was_in_them(run):
    cell = load([run]).cases[0].cell
    assert cell is not None
    places, mean_db, device = by_place(cell, 1000.0)
    assert device.tolist() == [0, 1, 2]
    assert mean_db == pytest.approx([20.0] * 3)
    middle_s = cell.time_s.mean()
    assert places == pytest.approx(np.array([place_m(user, middle_s)[:2] for user in range(DEVICES)]), abs=1e-6)
