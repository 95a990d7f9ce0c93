# SPDX-License-Identifier: Apache-2.0
"""Energy of a run as `show`, `cosim.load` and `cosim.summarise` have it, against its journal added up row by row."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import cosim as library
from bridge.network import NS_PER_S, RequestError
from cosim import config
from cosim.experiment import replay
from cosim.powers import powers_of
from cosim.record.journal import FILE_NAME
from tests.support.cosim_process import cosim
from tests.support.small_run import small_run

GIVEN = (
    "devices.compute_w=[5.0, 25.0]",
    "devices.receive_w=0.5",
    "devices.transmit_w=[1.0, 2.0, 3.0]",
    "base_station.compute_w=50",
    "base_station.transmit_w=4",
)
COMPUTE_W, TRANSMIT_W = (5.0, 25.0, 5.0), (1.0, 2.0, 3.0)  # of three devices
PARTS = ("receive_j", "compute_j", "send_j", "bs_send_j")


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> Path:
    """A run over links of closed form, of which nothing is radiated and everything is known."""
    return small_run(tmp_path_factory.mktemp("known"), *GIVEN)


@pytest.fixture(scope="module")
def unknown(tmp_path_factory) -> Path:
    """The same with the default hardware, and no word on its radio."""
    return small_run(tmp_path_factory.mktemp("unknown"))


def test_the_parts_of_each_transfer_are_powers_times_times(known):
    transfers = library.load(known)["transfers"]
    for row in transfers.itertuples():
        down_s = (row.downlink_end_ns - row.downlink_begin_ns) / NS_PER_S
        compute_s = (row.compute_end_ns - row.downlink_end_ns) / NS_PER_S
        up_s = (row.uplink_end_ns - row.compute_end_ns) / NS_PER_S
        assert row.receive_j == pytest.approx(0.5 * down_s)
        assert row.compute_j == pytest.approx(COMPUTE_W[row.device] * compute_s)
        assert row.send_j == pytest.approx(TRANSMIT_W[row.device] * up_s)
        assert row.bs_send_j == pytest.approx(4 * down_s)
    assert len(transfers) > 20


def test_a_summary_adds_them_up_and_the_bs_computing(known):
    transfers = library.load(known)["transfers"]
    for number, variant in enumerate(library.summarise(known), 1):
        own, energy = transfers[transfers["variant"] == number], variant.energy
        for name in PARTS:
            assert energy.parts[name] == pytest.approx(own[name].sum())
        assert energy.parts["bs_compute_j"] == pytest.approx(50 * variant.time_s["BS compute"])
        assert energy.total_j == pytest.approx(sum(energy.parts.values()))
        assert (energy.device_air_j, energy.bs_air_j, energy.counted) == (None, None, 0)
        assert energy.missing == ()


def test_the_powers_are_journaled_as_they_were_taken(known, unknown):
    devices = library.load(known)["devices"]
    assert devices["compute_w"].tolist() == [*COMPUTE_W] * 2
    assert devices["amplifier_efficiency"].isna().all()
    taken = library.load(unknown)
    assert taken["devices"]["compute_w"].isna().tolist() == [True, False, False] * 2  # the phone's is not known
    assert taken["devices"]["compute_w"].tolist()[1:3] == [25, 60]
    assert taken["variants"]["bs_compute_w"].tolist() == [72, 72]
    assert taken["devices"][["receive_w", "transmit_w", "downlink_air_w", "uplink_air_w"]].isna().all(axis=None)
    replay(known)
    replay(unknown)


def test_what_is_not_known_is_not_made_up(unknown):
    transfers = library.load(unknown)["transfers"]
    assert transfers[["receive_j", "send_j", "bs_send_j"]].isna().all(axis=None)
    assert transfers["compute_j"].isna().tolist() == (transfers["device"] == 0).tolist()
    for variant in library.summarise(unknown):
        energy = variant.energy
        assert [name for name, joules in energy.parts.items() if joules is not None] == ["bs_compute_j"]
        assert energy.total_j is None
        assert energy.missing == (
            "devices.compute_w (the profile snapdragon-8-gen-3 has none)",
            "devices.receive_w",
            "devices.transmit_w",
            "base_station.transmit_w",
        )


def test_show_has_joules_for_each_token_or_what_is_missing(known, unknown):
    lines = cosim("show", known).stdout.splitlines()
    shown = {line.split("│")[0].strip(): line for line in lines if "│" in line}
    for variant, place in zip(library.summarise(known), (1, 2), strict=True):
        each = variant.energy.total_j / len(variant.token_s)
        value, unit = shown["all of it"].split("│")[place].split()
        assert float(value) * {"J": 1, "mJ": 1e-3, "µJ": 1e-6}[unit] == pytest.approx(each, rel=0.01)
    assert not any("not known without" in line for line in lines)
    (line,) = [line for line in cosim("show", unknown).stdout.splitlines() if "not known without" in line]
    assert "devices.compute_w (the profile snapdragon-8-gen-3 has none), devices.receive_w" in line


def test_a_device_that_does_not_answer_draws_until_the_exchange_ends(known, tmp_path):
    """What began and did not end took until then; what did not begin drew nothing."""
    copy = Path(shutil.copy(known / FILE_NAME, tmp_path))
    with closing(sqlite3.connect(copy)) as db, db:
        db.execute("UPDATE exchanges SET end_ns = depart_ns + 2000000000, deadline_ns = depart_ns + 3000000000")
        db.execute("UPDATE transfers SET compute_end_ns = NULL, uplink_end_ns = NULL, status = 'late'")
        db.execute("UPDATE transfers SET downlink_end_ns = NULL WHERE device = 1")
        db.execute("UPDATE transfers SET downlink_begin_ns = NULL, downlink_end_ns = NULL WHERE device = 2")
    frames = library.load(copy)
    transfers = frames["transfers"].merge(frames["exchanges"], on=["variant", "exchange"])
    computing, receiving, away = (transfers[transfers["device"] == device] for device in range(3))
    computed_s = (computing["end_ns"] - computing["downlink_end_ns"]) / NS_PER_S
    assert np.allclose(computing["compute_j"].astype(float), 5 * computed_s.astype(float))
    assert (computing["send_j"] == 0).all()
    assert np.allclose(receiving["receive_j"].astype(float), 0.5 * 2)
    assert (receiving["compute_j"] == 0).all()
    assert (away[list(PARTS)] == 0).all(axis=None)


def test_des_with_joules_is_refused_at_once_without_what_they_need(tmp_path):
    asked = ["run", "--policy", "des", "--set", "policy.des.cost=joules", "--out", tmp_path / "run"]
    done = cosim(*asked)
    assert done.returncode == 2
    assert (
        "policy.des: joules are not known without devices.compute_w (the profile snapdragon-8-gen-3 has none)"
        in done.stderr
    )
    assert not (tmp_path / "run").exists()


PROBE = '''
import numpy as np

from model_side.policies import Policy


class Probe(Policy):
    """Keeps in a file what it was told and what it came to.

    `log`: that file.
    """

    log: str

    def __call__(self, layer):
        expected = layer.joules
        self.told = [expected.receive, expected.compute, expected.send, expected.bs_send]
        return layer.selection

    def observe(self, exchange):
        with open(self.log, "a") as file:
            for transfer in exchange.transfers:
                print(*(float(part[transfer.device]) for part in self.told), file=file)
'''


def test_what_a_policy_is_told_is_what_is_spent(tmp_path, ns3_server):
    """On NR, part by part; but for the first exchange, before anything of the links is known."""
    script, log = tmp_path / "probe.py", tmp_path / "told.txt"
    script.write_text(PROBE)
    small = ["quality=false", "workload.requests=2", "workload.prompt_tokens=12", "workload.new_tokens=6"]
    small += ["radio.devices=4", f"policy.Probe.log={log}", "devices.compute_w=10", "devices.receive_w=0.5"]
    small += ["devices.transmit_w=0.5", "devices.amplifier_efficiency=0.3", "base_station.transmit_w=2"]
    small += ["base_station.amplifier_efficiency=0.25"]
    settings = [word for setting in small for word in ("--set", setting)]
    asked = ("run", "--connect", ns3_server, "--scenario", "nr", "--policy", script, "--out", tmp_path / "run")
    done = cosim(*asked, *settings)
    assert (done.returncode, done.stderr) == (0, "")
    told = np.loadtxt(log)
    transfers = library.load(tmp_path / "run")["transfers"]
    spent = transfers[list(PARTS)].astype(float).to_numpy()
    assert told.shape == spent.shape
    later = (transfers["exchange"] > 4).to_numpy()
    assert told[:, 1] == pytest.approx(spent[:, 1], rel=1e-3)  # what the device announces
    off = told[later] / spent[later]
    assert np.abs(np.median(off, axis=0) - 1).max() < 0.1
    assert np.abs(told[later].sum(axis=0) / spent[later].sum(axis=0) - 1).max() < 0.25
    (summary,) = library.summarise(tmp_path / "run")
    assert summary.energy.counted == 1
    assert summary.energy.total_j == pytest.approx(spent.sum() + summary.energy.parts["bs_compute_j"])


def test_des_asks_for_less_energy_when_that_is_its_cost(tmp_path, ns3_server):
    """One kind of device draws far more than the other, and takes the same time."""
    small = ["quality=false", "workload.requests=2", "workload.prompt_tokens=12", "workload.new_tokens=4"]
    small += ["radio.devices=4", "devices.hardware=jetson-agx-orin", "devices.compute_w=[60.0, 6.0]"]
    small += ["devices.receive_w=0.5", "devices.transmit_w=1", "base_station.transmit_w=0", "policy.des.gamma0=0.6"]
    settings = [word for setting in small for word in ("--set", setting)]
    spent = {}
    for cost in ("seconds", "joules"):
        folder = tmp_path / cost
        asked = ("run", "--connect", ns3_server, "--scenario", "nr", "--policy", "des", "--out", folder)
        done = cosim(*asked, *settings, "--set", f"policy.des.cost={cost}")
        assert (done.returncode, done.stderr) == (0, "")
        spent[cost] = library.summarise(folder)[0].energy.total_j
    assert spent["joules"] < 0.9 * spent["seconds"]


def test_a_figure_can_be_given_for_one_kind_of_device_and_left_to_the_profile_for_the_others():
    asked = config.load(None, ["devices.compute_w=[4.5, 'profile']", "devices.receive_w=['unknown', 1]"])
    powers = powers_of(asked, 5)
    assert powers.compute_w.tolist() == [4.5, 25, 4.5, 15, 4.5]
    assert np.isnan(powers.receive_w).tolist() == [True, False, True, False, True]
    assert powers.missing(np.ones((2, 5), dtype=bool)) == [
        "devices.receive_w",
        "devices.transmit_w",
        "base_station.transmit_w",
    ]


def test_powers_that_none_has_are_refused():
    for setting, field in (
        ("devices.compute_w=-1", "devices.compute_w"),
        ("devices.amplifier_efficiency=1.5", "devices.amplifier_efficiency"),
        ("devices.receive_w=[]", "devices.receive_w"),
        ("devices.compute_w=unknown", "devices.compute_w"),
        ("base_station.transmit_w=[1]", "base_station.transmit_w"),
    ):
        with pytest.raises(RequestError) as refused:
            config.load(None, [setting])
        assert refused.value.field == field
