# SPDX-License-Identifier: GPL-2.0-only
"""What a script does wrong, told by its line, in our words, with what to do about it."""

import inspect
import re
from pathlib import Path

import pytest

from bridge.network import NS_PER_S, RequestError, Status, Transfer
from cosim.networks.last_words import blame
from ns3_scenarios.scripts.script import load_script
from ns3_scenarios.simulation import open_network
from tests.support import wired_star
from tests.support.cosim_process import cosim

STAR = inspect.getsource(wired_star).replace("(8_000_000,)", "(8_000_000, 8_000_000)")
FIELDS = "    delay_s: Positive = 0.001\n"
DEVICE = 'devices.append(Device(f"device{i}", nodes.Get(i), interfaces.GetAddress(1)))'
SERVER = "        server = ns.CreateObject[ns.Node]()\n"
RETURN = '        return Topology(server, ns.Ipv4Address("10.1.0.1"), devices)'
IMPORT = "        import cppyy\n"
SCHEDULE = '        ns.Simulator.Schedule(ns.MilliSeconds(300), cppyy.gbl.std.function["void()"]({}))\n'


def written(folder: Path, *changes: tuple[str, str]) -> Path:
    source = STAR
    for old, new in changes:
        assert source.count(old) == 1
        source = source.replace(old, new)
    path = folder / "mine.py"
    path.write_text(source)
    return path


def here(path: Path) -> str:
    (number,) = (i for i, line in enumerate(path.read_text().splitlines(), 1) if "# here" in line)
    return f"{path}:{number}"


def exchange_twice(scenario: str) -> None:
    network = open_network(scenario, {}, 1)
    for begin_s in range(2):
        network.exchange([Transfer(0, 1000, 0, 1000)], begin_s * NS_PER_S, (begin_s + 1) * NS_PER_S)


def refusal(scenario: str) -> tuple[str, str]:
    """Field and reason with which the scenario, or an exchange over it, is refused; another one works after that."""
    with pytest.raises(RequestError) as refused:
        exchange_twice(scenario)
    network = open_network("wired-star", {}, 1)
    assert network.exchange([Transfer(0, 10, 0, 10)], 0, NS_PER_S).transfers[0].status is Status.DONE
    network.close()
    return refused.value.field, refused.value.reason


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (DEVICE, DEVICE.replace("Get(i)", "Get(0)", 1), None),  # two on one node: below
        (DEVICE, DEVICE.replace("nodes.Get(i)", "server"), "device0 is on the node of the edge server"),
        (DEVICE, DEVICE.replace('f"device{i}"', '"sun"'), "two are called sun"),
        (DEVICE, DEVICE.replace("nodes.Get(i)", "nodes") + "  # here", "an ns.Node, not an ns.NodeContainer"),
        (DEVICE, DEVICE.replace("GetAddress(1)", "GetAddress(0)"), "device0 does not have the address 10.1.0.1"),
        (DEVICE, DEVICE.replace("interfaces.GetAddress(1)", '"10.1.0.2"') + "  # here", 'ns.Ipv4Address("10.1.0.2")'),
        (DEVICE, DEVICE.replace('f"device{i}"', "i") + "  # here", "a Device's name is a text, not 0"),
        ('ns.Ipv4Address("10.1.0.1")', '"10.1.0.1"', 'write ns.Ipv4Address("10.1.0.1")'),
        ("Topology(server,", "Topology(ns.CreateObject[ns.Node](),", "the edge server has no internet stack"),
        ("Topology(server,", "Topology(server.GetObject[ns.Ipv4](),", "edge server is an ns.Node, not an ns.Ipv4"),
        (DEVICE, DEVICE.replace("GetAddress(1)", "GetAddress(1), (1.0, -1.0)") + "  # here", "air_w of device0 is two"),
        ("devices)", 'devices, nodes={"device0": nodes.Get(0)})', "two are called device0"),
        ("devices)", "devices, ready=True)", "ready is a function"),
        ("devices)", "devices, ready=lambda: True)", "an attach_s of 0"),
    ],
)
def test_what_cannot_be_a_topology_is_told_by_the_line_that_says_it(ns3, tmp_path, old, new, words):
    changes = [(old, new)] if old != "devices)" else [(RETURN, RETURN.replace(old, new))]
    path = written(tmp_path, *changes)
    source = path.read_text()
    if "# here" not in source:
        path.write_text(source.replace("return Topology(", "return Topology(  # here\n            "))
    field, reason = ns3(refusal, str(path))
    assert field == here(path)
    assert (words or "device1 is on the node of device0; each needs a node of its own") in reason


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("ns.Simulator.Run()", "ns.Simulator.Run cannot be called by a scenario: the simulation runs when"),
        ("ns.Simulator.Stop(ns.Seconds(9))", "ns.Simulator.Stop cannot"),
        ("ns.Simulator.Destroy()", "ns.Simulator.Destroy cannot"),
        ("ns.RngSeedManager.SetSeed(7)", "ns.RngSeedManager.SetSeed cannot be called by a scenario: seed and run are"),
        ("ns.RngSeedManager.SetRun(7)", "ns.RngSeedManager.SetRun cannot"),
    ],
)
def test_clock_and_chance_are_the_simulations(ns3, tmp_path, call, words):
    path = written(tmp_path, (RETURN, f"        {call}  # here\n{RETURN}"))
    field, reason = ns3(refusal, str(path))
    assert (field, reason[: len(words)]) == (here(path), words)


def test_a_seed_that_is_set_past_the_guard_is_refused_too(ns3, tmp_path):
    call = '        ns.Config.SetGlobal("RngRun", ns.UintegerValue(9))\n'
    field, reason = ns3(refusal, str(written(tmp_path, (RETURN, f"{call}{RETURN}  # here"))))
    assert (field, reason[:30]) == (here(tmp_path / "mine.py"), "build has set ns-3's RngSeed o")


@pytest.mark.parametrize(
    ("made", "name", "words"),
    [
        ("        def tick():  # here\n            pass\n", "tick", "tick of line"),
        ("", "lambda: None", "the lambda of line"),
    ],
)
def test_a_python_function_that_nobody_keeps_is_told_by_name_and_line(ns3, tmp_path, made, name, words):
    schedule = SCHEDULE.format(name).rstrip() + ("\n" if made else "  # here\n")
    path = written(tmp_path, (RETURN, f"{IMPORT}{made}{schedule}{RETURN}"))
    field, reason = ns3(refusal, str(path))
    assert field == here(path)
    assert f"is gone: {words} {field.rpartition(':')[2]}; give it a name, and put that in the Topology's keep" in reason


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("    outputs: int = 3  # here", "outputs is a parameter of every scenario, of another type"),
        ("    place: str = 'roof'  # here", "place is not free for a parameter"),
        ("    scenario: str = 'roof'  # here", "scenario is not free for a parameter"),
        ("    transport = 'tcp'  # here", "transport is a parameter of every scenario; another default needs the ann"),
    ],
)
def test_a_field_that_means_something_else_is_told_by_its_line(tmp_path, line, words):
    path = written(tmp_path, (FIELDS, f"{line}\n{FIELDS}"))
    with pytest.raises(RequestError) as refused:
        load_script(str(path))
    assert refused.value.field == here(path)
    assert refused.value.reason.startswith(words)


def settled(scenario: str) -> tuple[int, Status]:
    network = open_network(scenario, {}, 1)
    began_ns = network.now_ns
    outcome = network.exchange([Transfer(0, 1000, 0, 1000)], began_ns, began_ns + NS_PER_S)
    network.close()
    return began_ns, outcome.transfers[0].status


SILENT = RETURN.replace("devices)", "devices, ns.CreateObject[ns.cosim.Radio]())")
READY = RETURN.replace("devices)", "devices, ready=lambda: ns.Simulator.Now().GetSeconds() >= {})")


@pytest.mark.parametrize(
    ("topology", "began_s"),
    [
        (RETURN, 2.5),
        (READY.format(0.5), 0.5),
        (SILENT, 2.5),
    ],
    ids=["no radio", "ready", "a radio without a word"],
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_network_settles_for_attach_s_or_until_the_script_says_so(ns3, tmp_path, topology, began_s, transport):
    attach = f'    attach_s: ClassVar[float] = 2.5\n    transport: Literal["udp", "tcp"] = "{transport}"\n'
    path = written(tmp_path, (FIELDS, attach + FIELDS), (RETURN, topology), ("ClassVar\n", "ClassVar, Literal\n"))
    assert ns3(settled, str(path)) == (began_s * NS_PER_S, Status.DONE)


def test_a_network_that_never_settles_is_refused_by_the_line_that_says_no(ns3, tmp_path):
    attach = "    attach_s: ClassVar[float] = 0.25\n"
    path = written(tmp_path, (FIELDS, attach + FIELDS), (RETURN, READY.format(1e9) + "  # here"))
    field, reason = ns3(refusal, str(path))
    assert (field, reason[:60]) == (here(path), "ready of wired-star still says no after attach_s, 0.25 s; gi")


CRASH = f"""{IMPORT}        cppyy.cppdef("void crash() {{ *(volatile int*)8 = 1; }}")
        cppyy.gbl.crash()  # here
"""
DISC = '        create(ns, "ns3::Nope", ns.Object)  # here\n'
SPIN = "        while True:  # here\n            pass  # or here\n"
LIMIT = "    build_limit_s: ClassVar[float] = 3.0\n"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (CRASH, "ns-3 crashed here (segmentation fault): what it was given is null"),
        (DISC, "ns-3 has no class ns3::Nope: misspelt, or the module that has it is not among `modules`"),
        ("        server.GetDevice(17)  # here\n", "ns-3 ended its process here: Device index 17 is out of range"),
        (SPIN, "still here after 0:00:03 (h:mm:ss); an endless loop?"),
        (
            IMPORT + '        cppyy.cppdef("void spin() { for (volatile int i = 0;; i = 0) {} }")\n'
            "        cppyy.gbl.spin()  # here\n",
            "still here after 0:00:03 (h:mm:ss); an endless loop?",
        ),
    ],
    ids=["segmentation fault", "unknown class", "assertion", "endless loop", "endless loop in C++"],
)
def test_what_ends_or_holds_up_ns3s_process_is_told_by_its_line(tmp_path, fault, words):
    printed = "        print('the star', 'rises')\n"
    imported = ("import Device, Positive", "import Device, create, Positive")
    limit = LIMIT if "endless" in words else ""
    path = written(tmp_path, (SERVER, SERVER + printed + fault), (FIELDS, limit + FIELDS), imported)
    done = cosim("scenarios", path, "--check")
    lines = [i for i, line in enumerate(path.read_text().splitlines(), 1) if "here" in line]
    assert (done.returncode, done.stdout) == (2, "script: the star rises\n")
    place, line, message = re.fullmatch(r"cosim: (.*):(\d+): (.*)\n", done.stderr).groups()
    assert (place, int(line) in lines) == (str(path), True)
    assert message.startswith(words)


def test_what_a_script_prints_is_no_part_of_an_answer(tmp_path):
    noise = "import os\nprint('over', 'here')\nos.write(1, b'and there')\n"
    path = written(tmp_path, ("import Meta\n", f"import Meta\n{noise}"))
    done = cosim("scenarios", path)
    assert (done.returncode, "rates_bps" in done.stdout, "there" in done.stdout) == (0, True, False)
    assert "script: over here\n" in done.stderr


def test_the_innermost_line_of_the_script_is_found_among_others(tmp_path):
    path = tmp_path / "träge \U0001f40c.py"
    name = str(path).encode("ascii", "backslashreplace").decode()
    frames = [f'  File "/elsewhere.py", line 3 in f\n  File "{name}", line {n} in g\n' for n in (7, 9)]
    log = 'NS_ASSERT failed, cond="m_ptr", msg="", +0.0s 1 file=ptr.h, line=1\nFatal Python error: Aborted\n\n'
    log += f"Current thread 0x0000 (most recent call first):\n{''.join(frames)}"
    found = blame(log, path)
    assert (found.field, found.reason) == (f"{path}:7", "ns-3 ended its process here: m_ptr")
    assert blame(log, tmp_path / "other.py") is None
    assert blame(log.partition("Fatal")[0], path) is None
