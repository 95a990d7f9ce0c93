# SPDX-License-Identifier: GPL-2.0-only
"""An ns-3 side that is forked for a test is, for who started it, the process that it stands for."""

import subprocess
import sys

import pytest

from bridge.client import RemoteNetwork
from bridge.endpoint import private_ipc
from bridge.network import NS_PER_S, RequestError, Transfer
from cosim.networks.ns3_process import ns3_process
from tests.support.ns3_stem import Forked


def test_it_serves_says_what_it_does_and_ends_with_its_input(tmp_path, ns3_server):
    """And gives what a process gives that began by itself."""
    log = tmp_path / "ns3.log"
    outcomes = []
    with private_ipc() as endpoint:
        with ns3_process(endpoint, log) as side:
            assert isinstance(side.process, Forked)
            assert side.process.poll() is None
            for place in (endpoint, ns3_server):
                network = RemoteNetwork(place, "wired", {"devices": 2}, 1, patience_s=60)
                asked = [Transfer(device, 8192, 1_000_000, 8192) for device in range(2)]
                outcomes.append((network.info, network.exchange(asked, network.now_ns, network.now_ns + NS_PER_S)))
                network.close()
        assert side.process.returncode == 0
    assert outcomes[0] == outcomes[1]
    assert "serving wired to" in log.read_text()


def test_how_it_ended_is_told(tmp_path):
    with private_ipc() as endpoint, ns3_process(endpoint, tmp_path / "ns3.log") as side:
        side.process.kill()
        assert side.process.wait(60) == -9
    with ns3_process("ipc:///nowhere/x", tmp_path / "refused.log") as side:
        side.process.wait(60)
        with pytest.raises(RequestError, match="/nowhere"):
            side.check()


def test_where_ns3_is_loaded_otherwise_a_process_begins_by_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("NS_LOG", "NoSuchComponent")
    with private_ipc() as endpoint, ns3_process(endpoint, tmp_path / "ns3.log") as side:
        assert isinstance(side.process, subprocess.Popen)
        assert side.process.args[:3] == [sys.executable, "-m", "ns3_scenarios"]
