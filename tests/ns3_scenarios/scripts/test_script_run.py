# SPDX-License-Identifier: GPL-2.0-only
"""What a script raises after it has built its network, and which scripts a served ns-3 side may run."""

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.client import RemoteNetwork
from bridge.endpoint import private_ipc
from bridge.network import NS_PER_S, PartnerLost, RequestError, Status, Transfer
from cosim.record.journal import Journal
from ns3_scenarios.simulation import open_network
from tests import ROOT
from tests.support import wired_star
from tests.support.cosim_process import cosim

STAR = inspect.getsource(wired_star)
RETURN = '        return Topology(server, ns.Ipv4Address("10.1.0.1"), devices)'
CALLBACK = """
        import cppyy

        def tick():
            try:
                {{}}["mended"]
            except KeyError:
                pass
            {fault}

        called = cppyy.gbl.std.function["void()"](tick)
        ns.Simulator.Schedule(ns.MilliSeconds(300), called)
        return Topology(server, ns.Ipv4Address("10.1.0.1"), devices, keep={keep})"""


def written(folder: Path, old: str, new: str) -> Path:
    """The star as a script of its own, with one change."""
    assert STAR.count(old) == 1
    path = folder / "mine.py"
    path.write_text(STAR.replace(old, new))
    return path


def faulty(folder: Path, fault: str) -> Path:
    """A star that calls a Python function of the script's at 0.3 s."""
    return written(folder, RETURN, CALLBACK.format(fault=fault + "  # here", keep="tick"))


def here(path: Path) -> str:
    (number,) = (i for i, line in enumerate(path.read_text().splitlines(), 1) if "# here" in line)
    return f"{path}:{number}"


def refusal_in_a_run(scenario: str, shares: list[float] | None) -> tuple[str, str, bool]:
    """Field and reason of the refusal of a second exchange, and whether a third one finds the simulation closed."""
    network = open_network(scenario, {}, 1)
    first = network.exchange([Transfer(0, 1000, 0, 1000)], 0, NS_PER_S)
    assert first.transfers[0].status is Status.DONE
    with pytest.raises(RequestError) as refusal:
        network.exchange([Transfer(0, 1000, 0, 1000)], NS_PER_S // 2, NS_PER_S, bandwidth_shares=shares)
    closed = False
    try:
        network.exchange([Transfer(0, 1000, 0, 1000)], NS_PER_S, 2 * NS_PER_S)
    except PartnerLost:
        closed = True
    network.close()
    open_network("wired", {}, 1).close()
    return refusal.value.field, refusal.value.reason, closed


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise ValueError", "ValueError"),
        ("{}['x']", "KeyError: 'x'"),
        ("import json; json.loads('{')", "json.decoder.JSONDecodeError: Expecting property name"),
        ("raise type('Storm', (Exception,), {'__module__': __name__})('over', 9)", "Storm: ('over', 9)"),
        ("ns.NodeContainr()", "AttributeError: ns has no NodeContainr: misspelt"),
    ],
)
def test_what_a_python_function_raises_that_ns3_calls_is_told_by_its_line(ns3, tmp_path, fault, words):
    path = faulty(tmp_path, fault)
    field, reason, closed = ns3(refusal_in_a_run, str(path), None)
    assert (field, closed) == (here(path), True)
    assert reason.startswith(words)


def test_a_python_function_that_nobody_keeps_is_named(ns3, tmp_path):
    path = written(tmp_path, RETURN, CALLBACK.format(fault="pass", keep="called"))
    field, reason, closed = ns3(refusal_in_a_run, str(path), None)
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if "def tick" in text)
    assert (field, closed) == (f"{path}:{line}", True)
    assert reason.startswith(f"a Python function that ns-3 calls is gone: tick of line {line}; ")


def test_what_apply_shares_raises_is_told_by_its_line_and_the_simulation_goes_on(ns3, tmp_path):
    fails = "\n        def fails(shares):\n            shares[7]  # here\n\n"
    path = written(tmp_path, RETURN, fails + RETURN.replace("devices)", "devices, apply_shares=fails)"))
    assert ns3(refusal_in_a_run, str(path), [1.0]) == (here(path), "IndexError: list index out of range", False)


RADIO = """
        class Own(ns.cosim.Radio):
            def IsConnected(self, device):
                return True

            def GetLink(self, device):
                sample = ns.cosim.LinkSample()
                sample.downlinkSinrDb = 12.5 + device
                if ns.Simulator.Now().GetSeconds() > 0.4:
                    {fault}
                return sample

        return Topology(server, ns.Ipv4Address("10.1.0.1"), devices, Own())"""


def test_a_link_state_of_the_scripts_own_is_asked_and_what_it_raises_is_told_by_its_line(ns3, tmp_path):
    path = written(tmp_path, RETURN, RADIO.format(fault="raise OSError('fog')  # here"))
    assert ns3(refusal_in_a_run, str(path), None) == (here(path), "OSError: fog", True)
    path = written(tmp_path, RETURN, RADIO.format(fault="sample.cqi = 7"))
    first, second = ns3(links_of_two_exchanges, str(path))
    assert [(link.connected, link.downlink_sinr_db, link.cqi, link.uplink_sinr_db) for link in (first, second)] == [
        (True, 12.5, None, None),
        (True, 12.5, 7, None),
    ]


def links_of_two_exchanges(scenario: str) -> list[object]:
    network = open_network(scenario, {}, 1)
    links = [network.exchange([], at_ns, at_ns).links[0] for at_ns in (0, NS_PER_S // 2)]
    network.close()
    return links


def test_a_run_that_a_script_ends_has_exit_code_2_and_keeps_its_journal(small_run, tmp_path):
    path = faulty(tmp_path, "raise OSError('no grass')")
    done = cosim(*small_run, "--scenario", path, "--set", "scenario.delay_s=0.05")
    assert (done.returncode, done.stderr) == (2, f"cosim: {here(path)}: OSError: no grass\n")
    assert f"what was recorded until then: cosim show {tmp_path / 'run'}\n" in done.stdout
    journal = Journal.open(tmp_path / "run")
    assert journal.rows("SELECT count(*) BETWEEN 1 AND 4, max(end_ns) < 300000000 FROM exchanges") == [(1, 1)]
    ((kind, message),) = journal.rows("SELECT kind, message FROM events")
    assert (kind, message) == ("RequestError", f"{here(path)}: OSError: no grass")
    journal.close()


@pytest.mark.parametrize(
    ("scenario", "setting"),
    [
        ("nowhere.py", "delay_s=1"),
        ("lte", "devises=3"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused_before_the_model_is_looked_for(small_run, scenario, setting):
    no_model = ["--set", "model.path=/nowhere/at/all"]
    done = cosim(*small_run, *no_model, "--scenario", scenario, "--set", f"scenario.{setting}")
    assert done.returncode == 2
    assert done.stderr.startswith("cosim: radio.")


def test_a_run_that_a_script_holds_up_ends_by_its_line_and_its_prints_are_in_the_log(small_run, tmp_path):
    path = faulty(tmp_path, "import time; print('round and round')\n            while True: time.sleep(1)")
    done = cosim(*small_run, "--scenario", path, "--set", "scenario.delay_s=0.05")
    reason = "still here, and virtual time does not move; an endless loop?"
    assert (done.returncode, done.stderr) == (2, f"cosim: {here(path)}: {reason}\n")
    assert "script: round and round\n" in (tmp_path / "run" / "ns3.log").read_text()


@contextmanager
def served(folder: Path, *scripts: Path) -> Iterator[str]:
    """The endpoint of a `cosim serve` with these `--scripts`."""
    with private_ipc() as endpoint, (folder / "serve.log").open("wb") as log:
        words = [word for place in scripts for word in ("--scripts", str(place))]
        command = [sys.executable, "-m", "cosim.cli", "serve", "--listen", endpoint, *words]
        process = subprocess.Popen(command, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)})
        try:
            yield endpoint
        finally:
            process.terminate()
            process.wait()


def test_a_served_ns3_side_runs_only_the_scripts_that_it_was_told_of(tmp_path):
    (tmp_path / "ours").mkdir()
    theirs, ours = tmp_path / "theirs.py", tmp_path / "ours" / "mine.py"
    traces = tmp_path / "traces"
    for path in (theirs, ours):
        path.write_text(STAR + f"\nopen({str(traces)!r}, 'a').write({path.name!r})\n")
    crooked = tmp_path / "ours" / "crooked.py"
    crooked.symlink_to(theirs)
    strangers = (theirs, crooked, tmp_path / "ours" / ".." / "theirs.py", tmp_path / "nowhere.py")
    with served(tmp_path, tmp_path / "ours") as endpoint:
        for stranger in strangers:
            with pytest.raises(RequestError, match="is not among the scripts that this ns-3 side may run") as refusal:
                RemoteNetwork(endpoint, f"{stranger}:WiredStar", {}, 1)
            assert refusal.value.field == "radio.scenario"
        RemoteNetwork(endpoint, str(ours), {}, 1).close()
    assert traces.read_text() == "mine.py"
    with served(tmp_path) as endpoint:
        with pytest.raises(RequestError, match="is not among the scripts"):
            RemoteNetwork(endpoint, str(ours), {}, 1)
        RemoteNetwork(endpoint, "wired", {}, 1).close()
    with served(tmp_path, theirs) as endpoint:
        RemoteNetwork(endpoint, str(theirs), {}, 1).close()
