# SPDX-License-Identifier: GPL-2.0-only
"""The simulation as an object: one at a time, looked at and interrupted from other threads, closed."""

import os
import subprocess
import sys
import threading
import time

import pytest

from bridge.network import NS_PER_S, PartnerLost, RequestError, Transfer, Wait
from ns3_scenarios.scenarios import SCENARIOS
from ns3_scenarios.simulation import open_network
from tests import ROOT
from tests.support.ns3_worker import Step, play
from tests.support.wired_star import WiredStar

PATIENCE_S = 60


def interrupted() -> list[int]:
    """Interrupt an hour of virtual time from another thread; what that thread saw of the clock."""
    network = open_network("lte", {"devices": 1}, 1)
    seen: list[int] = []

    def watch() -> None:
        seen_ns, give_up_s = network.progress_ns(), time.monotonic() + PATIENCE_S
        while len(seen) < 3 and time.monotonic() < give_up_s:
            now_ns = network.progress_ns()
            if now_ns > seen_ns:
                seen.append(now_ns)
                seen_ns = now_ns
        network.interrupt()

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun_ns = network.now_ns
    with pytest.raises(InterruptedError):
        network.exchange([], begun_ns, begun_ns + 3600 * NS_PER_S, Wait.DEADLINE)
    watcher.join()
    assert network.now_ns < begun_ns + 3600 * NS_PER_S
    with pytest.raises(InterruptedError):  # and so ends every later one
        network.exchange([Transfer(0, 1, 0, 1)], network.now_ns, network.now_ns + NS_PER_S)
    network.close()
    return seen


def test_another_thread_can_watch_the_clock_and_interrupt(ns3):
    seen = ns3(interrupted)
    assert len(seen) == 3


def closed() -> None:
    network = open_network("wired-star", {}, 1)
    with pytest.raises(RuntimeError, match="already open"):
        open_network("wired-star", {}, 1)
    network.exchange([], 77, 78)
    network.close()
    network.close()
    assert (network.progress_ns(), network.now_ns) == (77, 77)
    network.interrupt()
    with pytest.raises(PartnerLost):
        network.exchange([], 80, 90)


def test_a_closed_simulation_keeps_its_clock_and_refuses_to_go_on(ns3):
    ns3(closed)


class Broken(WiredStar, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user's scenario with a mistake in it, or that refuses what it was asked."""

    name = "broken"
    field: str | None = None

    def build(self, ns):
        topology = super().build(ns)
        if self.field:
            raise RequestError(self.field, "no")
        return topology.no_such_attribute


def broken() -> None:
    SCENARIOS["broken"] = Broken
    with pytest.raises(AttributeError, match="no_such_attribute"):
        open_network("broken", {}, 1)
    with pytest.raises(RequestError, match=r"radio\.field"):
        open_network("broken", {"field": "radio.field"}, 1)


def test_a_scenario_that_fails_to_build_leaves_the_process_usable(ns3):
    step = Step([Transfer(0, 1000, 0, 1000)])
    before = ns3(play, [step], {}, "wired-star")
    ns3(broken)
    assert ns3(play, [step], {}, "wired-star") == before


def test_parameters_and_versions_are_complete(ns3):
    info = ns3(play, [], {"devices": 3}).info
    assert info.scenario == "lte"
    assert info.devices == ("ue0", "ue1", "ue2")
    assert info.parameters["devices"] == len(info.parameters["distances_m"]) == 3
    assert info.parameters["bs_power_dbm"] == 40
    assert set(info.versions) == {"ns3", "native", "scenario"}


def test_ns3_loads_in_the_root_directory_and_only_what_is_needed():
    code = (
        "import os; from ns3_scenarios.wheel import loader; ns = loader.load(('lte',), ('ns3/lte-helper.h',));"
        "print(ns.Simulator.Now().GetNanoSeconds(), os.getcwd() != '/');"
        "print(hasattr(ns, 'LteHelper'), hasattr(ns, 'WifiHelper'))"
    )
    root = ROOT
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["0", "True", "True", "False"], done.stderr
