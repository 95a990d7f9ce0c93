# SPDX-License-Identifier: GPL-2.0-only
"""An ns-3 side that is forked for a test is, for who started it, the process that it stands for."""

import subprocess
import sys

import pytest

from bridge.client import RemoteNetwork
from bridge.endpoint import private_ipc
from bridge.network import NS_PER_S, NetworkInfo, Outcome, RequestError, Transfer
from cosim.networks.ns3_process import ns3_process
from tests.support.ns3_stem import Forked


def played(place: str) -> tuple[NetworkInfo, Outcome]:
    network = RemoteNetwork(place, "wired", {"devices": 2}, 1, patience_s=240)
    asked = [Transfer(device, 8192, 1_000_000, 8192) for device in range(2)]
    outcome = network.exchange(asked, network.now_ns, network.now_ns + NS_PER_S)
    network.close()
    return network.info, outcome


def test_it_gives_what_one_gives_that_began_by_itself_and_ends_with_its_input(tmp_path, monkeypatch):
    """Which one does where ns-3 would be loaded otherwise."""
    log = tmp_path / "ns3.log"
    with private_ipc() as endpoint, ns3_process(endpoint, log) as forked:
        assert isinstance(forked.process, Forked)
        assert forked.process.poll() is None
        given = played(endpoint)
    assert forked.process.returncode == 0
    assert "serving wired to" in log.read_text()

    monkeypatch.setenv("NS_GLOBAL_VALUE", "")
    with private_ipc() as endpoint, ns3_process(endpoint, tmp_path / "own.log") as own:
        assert isinstance(own.process, subprocess.Popen)
        assert own.process.args[:3] == [sys.executable, "-m", "ns3_scenarios"]
        assert played(endpoint) == given


def test_how_it_ended_is_told(tmp_path):
    with private_ipc() as endpoint, ns3_process(endpoint, tmp_path / "ns3.log") as side:
        side.process.kill()
        assert side.process.wait(60) == -9
    with ns3_process("ipc:///nowhere/x", tmp_path / "refused.log") as side:
        side.process.wait(60)
        with pytest.raises(RequestError, match="/nowhere"):
            side.check()
