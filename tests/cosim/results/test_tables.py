# SPDX-License-Identifier: Apache-2.0
"""A journal's tables in pandas and Parquet hold what SQLite holds."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import msgspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from bridge.network import CHANNEL_ROW, Transfer, Wait
from cosim.config import Config
from cosim.record.journal import FILE_NAME, TABLES, Journal
from cosim.results.energy import PARTS
from cosim.results.tables import load
from model_side.energy import Powers
from model_side.exchange import LayerExchange
from model_side.prediction import Prediction
from model_side.routing import Gate
from model_side.selection import DeviceWork, Phase, Selection
from tests.support.fixed_network import FixedNetwork
from tests.support.layers import one_each

TOKENS, EXPERTS, TOP_K, DEVICES = 5, 8, 2, 4
CHANNEL = {
    1: [(0, 0, 0, 0, 1, 1e6, 12.5), (0, DEVICES - 1, 1, 255, 2**32 - 1, -1.0, np.nan), (3, 0, 0, 1, 1, 0.0, -3.5)],
    2: [],
}
"""Rows of each exchange; figures that 32 bits hold."""


@pytest.fixture
def run(tmp_path):
    """A journal with two exchanges of random figures; in the second a device is unreachable."""
    chance = np.random.default_rng(1)
    (tmp_path / "run").mkdir()
    journal = Journal.create(tmp_path / "run", Config(), {})
    network = FixedNetwork(devices=DEVICES, dead=1)
    journal.add_variant(1, "top-k", "live", network.info, Powers.unknown(DEVICES), [[d, d + 4] for d in range(DEVICES)])
    for number in (1, 2):
        asked = tuple(Transfer(device, 1000 + device, 10, 2000) for device in range(number))
        depart_ns = network.now_ns + 5
        outcome = network.exchange(asked, depart_ns, depart_ns + 10**9)
        channel = b"".join(CHANNEL_ROW.pack(*row) for row in CHANNEL[number])
        outcome = msgspec.structs.replace(outcome, channel=channel)
        floats = [chance.random((TOKENS, width), dtype=np.float32) for width in (EXPERTS, TOP_K, TOP_K + 1)]
        indices = [chance.integers(0, EXPERTS + 1, (TOKENS, width)) for width in (TOP_K, TOP_K + 1)]
        record = LayerExchange(
            phase=Phase.PREFILL,
            request=0,
            position=0,
            layer=number - 1,
            tokens=TOKENS,
            depart_ns=depart_ns,
            deadline_ns=depart_ns + 10**9,
            bs_compute_ns=5,
            gate=Gate(number - 1, EXPERTS, floats[0], floats[1], indices[0]),
            placement=one_each(EXPERTS, DEVICES),
            selection=Selection(floats[2], indices[1], shares=np.full(DEVICES, 0.1) if number == 1 else None),
            slot_devices=indices[1] % DEVICES,
            delivered=chance.random((TOKENS, TOP_K + 1)) < 0.5,
            transfers=asked,
            work=DeviceWork(np.arange(DEVICES), chance.random(DEVICES)),
            prediction=Prediction(*chance.random((4, DEVICES)), np.zeros(DEVICES)),
            outcome=outcome,
            network_wall_s=0.0,
            policy_wall_s=0.0,
        )
        journal.add_exchange(1, number, record, Wait.ALL.value)
    journal.close()
    return tmp_path / "run", record


def test_frames_hold_what_sqlite_holds(run):
    folder, record = run
    tables = load(folder)
    assert tuple(tables) == TABLES
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        for name, frame in tables.items():
            if name == "channel":
                continue
            rows = db.execute(f"SELECT * FROM {name}").fetchall()
            assert len(frame) == len(rows)
            plain = [
                i
                for i, column in enumerate(frame)
                if column not in ("shares", *PARTS) and (name != "routing" or column in ("variant", "top_k"))
            ]
            shown = frame.astype(object).where(frame.notna(), None) if len(frame) else frame
            assert sorted(tuple(row[i] for i in plain) for row in shown.itertuples(index=False)) == sorted(
                tuple(row[i] for i in plain) for row in rows
            )
    assert tables["transfers"]["uplink_end_ns"].isna().sum() == 1
    second = tables["routing"].iloc[1]
    for column, array in (
        ("probabilities", record.gate.probabilities),
        ("gate_weights", record.gate.weights),
        ("gate_experts", record.gate.indices),
        ("chosen_weights", record.selection.weights),
        ("chosen_experts", record.selection.indices),
        ("delivered", record.delivered),
        ("predicted_s", record.prediction.seconds),
    ):
        np.testing.assert_array_equal(second[column], array)
    first, without = tables["exchanges"]["shares"]
    assert (first.tolist(), without) == ([0.1] * DEVICES, None)


def test_the_channel_has_a_line_for_each_row_of_the_record(run):
    folder, _ = run
    channel = load(folder)["channel"]
    names = ["time_ns", "device", "direction", "others", "pool", "capacity_bps", "sinr_db"]
    assert list(channel) == ["variant", "exchange", *names]
    expected = [
        (1, number, time_ns, device, ("down", "up")[direction], *rest)
        for number, rows in CHANNEL.items()
        for time_ns, device, direction, *rest in rows
    ]
    assert repr([tuple(None if pd.isna(item) else item for item in row) for row in channel.values.tolist()]) == repr(
        [tuple(None if item != item else item for item in row) for row in expected]  # noqa: PLR0124
    )
    with closing(Journal.open(folder)) as journal:
        recorded = [journal.recorded(1, number).outcome.channel for number in CHANNEL]
    assert [len(list(CHANNEL_ROW.iter_unpack(rows))) for rows in recorded] == [3, 0]


def test_a_journal_keeps_the_bandwidth(tmp_path):
    info = FixedNetwork(devices=1).info
    journal = Journal.create(tmp_path, Config(), {})
    info = msgspec.structs.replace(info, takes_shares=True)  # else what gives some is refused before it is recorded
    infos = [info, msgspec.structs.replace(info, bandwidth_hz=(18e6, 9e6))]
    for variant, each in enumerate(infos, 1):
        journal.add_variant(variant, "top-k", "live", each, Powers.unknown(1), [[0]])
        assert journal.network_info(variant) == each
    journal.close()


def test_parquet_holds_the_same_with_units(run, tmp_path):
    folder, record = run
    command = [sys.executable, "-m", "cosim.cli", "export", str(folder), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.split()) == sorted(str(tmp_path / "out" / f"{name}.parquet") for name in TABLES)
    tables = load(folder)
    for name, frame in tables.items():
        read = pq.read_table(tmp_path / "out" / f"{name}.parquet")
        assert read.column_names == list(frame)
        assert len(read) == len(frame)
    routing = pq.read_table(tmp_path / "out" / "routing.parquet")
    np.testing.assert_array_equal(np.array(routing["gate_weights"][1].as_py(), "f4"), record.gate.weights)
    np.testing.assert_array_equal(np.array(routing["predicted_s"][1].as_py()), record.prediction.seconds)
    links = pq.read_schema(tmp_path / "out" / "links.parquet")
    assert links.field("downlink_rate_bps").metadata == {b"unit": b"bit/s"}
    assert links.field("uplink_sinr_db").metadata == {b"unit": b"dB"}
    assert links.field("connected").metadata is None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "is not empty" in done.stderr) == (2, True)
