# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios in a file of the user's own: loaded by path, and told by line when they fail."""

import inspect
import re
from pathlib import Path

import pytest

from bridge.client import RemoteNetwork
from bridge.endpoint import private_ipc
from bridge.network import NS_PER_S, RequestError, Status, Transfer
from cosim.networks.ns3_process import ns3_process
from cosim.record.journal import Journal
from ns3_scenarios.scripts.script import load_script
from ns3_scenarios.simulation import open_network
from tests.support import wired_star
from tests.support.cosim_process import cosim
from tests.support.ns3_worker import Step, play

STAR = inspect.getsource(wired_star)


def written(folder: Path, source: str) -> Path:
    path = folder / "mine.py"
    path.write_text(source)
    return path


def changed(old: str, new: str) -> str:
    """The star's source with one change."""
    assert STAR.count(old) == 1
    return STAR.replace(old, new)


def line_of(path: Path, words: str) -> int:
    (number,) = (i for i, line in enumerate(path.read_text().splitlines(), 1) if words in line)
    return number


def test_a_script_is_the_same_network_as_the_class_it_defines(ns3, tmp_path):
    path = written(tmp_path, STAR)
    steps = [Step([Transfer(0, 30_000, 1000, 20_000)])]
    parameters = {"rates_bps": [4_000_000]}
    built_in = ns3(play, steps, parameters, "wired-star")
    for scenario in (f"{path}:WiredStar", str(path)):
        played = ns3(play, steps, parameters, scenario)
        assert played.outcomes == built_in.outcomes
        assert played.outcomes[0].transfers[0].status is Status.DONE
        assert (played.info.scenario, played.info.parameters) == ("wired-star", built_in.info.parameters)
    assert not (tmp_path / "__pycache__").exists()


def test_a_changed_script_is_another_version_even_within_one_served_process(ns3, tmp_path):
    path = written(tmp_path, STAR)
    first = ns3(play, [], {}, str(path)).info
    assert ns3(play, [], {}, str(path)).info == first
    written(tmp_path, changed('name: ClassVar[str] = "wired-star"', 'name: ClassVar[str] = "wired-sun!"'))
    second = ns3(play, [], {}, str(path)).info
    assert second.scenario == "wired-sun!"
    assert second.versions["scenario"] != first.versions["scenario"]


def test_a_class_without_a_name_is_called_by_its_own(tmp_path):
    assert (
        load_script(str(written(tmp_path, changed('    name: ClassVar[str] = "wired-star"\n', "")))).name == "WiredStar"
    )


def test_postponed_annotations_are_understood(tmp_path):
    kind = load_script(str(written(tmp_path, STAR.replace("\n\n", "\n\nfrom __future__ import annotations\n", 1))))
    assert kind.parse({"delay_s": 2}).delay_s == 2
    with pytest.raises(RequestError, match=r"^radio\.delay_s: "):
        kind.parse({"delay_s": "long"})


@pytest.mark.parametrize(
    ("source", "scenario", "words"),
    [
        (None, "", r"does not exist on the host"),
        ("", "", r"defines no class that derives from"),
        ("from ns3_scenarios.scenarios.lte import Lte\n", "", r"defines no class"),
        (STAR, ":Stadium", r"has no scenario Stadium; it defines WiredStar"),
        (STAR + "\n\nclass Moon(WiredStar):\n    pass\n", "", r"defines WiredStar, Moon; say which, as in mine\.py:"),
        (
            "from ns3_scenarios.scenario import Scenario\nclass A(Scenario):\n    rows: int = 1\n",
            "",
            r"A has no method",
        ),
    ],
)
def test_a_file_or_class_that_is_not_there_is_named(tmp_path, source, scenario, words):
    path = tmp_path / "mine.py" if source is None else written(tmp_path, source)
    with pytest.raises(RequestError, match=words) as refusal:
        open_network(f"{path}{scenario}", {}, 1)
    assert refusal.value.field == "radio.scenario"
    assert str(path) in refusal.value.reason


def test_one_of_two_classes_can_be_chosen(tmp_path):
    path = written(tmp_path, STAR + "\n\nclass Moon(WiredStar):\n    delay_s: Positive = 1.28\n")
    assert load_script(f"{path}:Moon").parse({}).delay_s == 1.28


POST_INIT = """
    def __post_init__(self) -> None:
        if len(self.rates_bps) % 2:
            raise ValueError("the rows must pair")  # here

    def build("""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("import Meta\n", "import Meta\n1 / 0  # here\n", "ZeroDivisionError: division by zero"),
        ("import Meta\n", "import Meta\nimport nowhere_at_all  # here\n", "ModuleNotFoundError: No module named"),
        ("import Meta\n", "import Meta\nraise SystemExit(3)  # here\n", "SystemExit: 3"),
        ("import Meta\n", "import Meta\nx = = 3  # here\n", "SyntaxError: invalid syntax"),
        ("import Meta\n", "import Meta\nimport json\njson.loads('{')  # here\n", "JSONDecodeError: "),
        ("\n    def build(", POST_INIT, "ValueError: the rows must pair"),
    ],
)
def test_what_a_script_raises_is_told_by_its_line(tmp_path, old, new, words):
    path = written(tmp_path, changed(old, new))
    with pytest.raises(RequestError) as refusal:
        open_network(str(path), {}, 1)
    assert refusal.value.field == f"{path}:{line_of(path, '# here')}"
    assert words in refusal.value.reason


def refusal_of(scenario: str) -> tuple[str, str]:
    """Field and reason with which ns-3's process refuses to open a scenario; it can open another one after that."""
    with pytest.raises(RequestError) as refusal:
        open_network(scenario, {}, 1)
    open_network("wired-star", {}, 1).close()
    return refusal.value.field, refusal.value.reason


SERVER = "server = ns.CreateObject[ns.Node]()\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (SERVER, SERVER + "        self.rates_bps[7]  # here\n", "IndexError: tuple index out of range"),
        (
            SERVER,
            SERVER + "        ns.PointToPointHelpr()  # here\n",
            "AttributeError: ns has no PointToPointHelpr: misspelt, or",
        ),
        (SERVER, SERVER + "        ns.NodeContainer('three', [])  # here\n", "TypeError: "),
    ],
)
def test_what_build_raises_is_told_by_its_line(ns3, tmp_path, old, new, words):
    path = written(tmp_path, changed(old, new))
    field, reason = ns3(refusal_of, str(path))
    assert field == f"{path}:{line_of(path, '# here')}"
    assert words in reason


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("return Topology(", "Topology(", "build of wired-star returned NoneType, not a Topology"),
        ('Address("10.1.0.1"), devices', 'Address("10.1.0.1"), []', "without devices"),
    ],
)
def test_a_build_that_returns_no_network_is_refused(ns3, tmp_path, old, new, words):
    path = written(tmp_path, changed(old, new))
    field, reason = ns3(refusal_of, str(path))
    assert (field, words in reason) == (f"{path}:{line_of(path, 'Topology(server')}", True)


def test_a_run_over_a_script_named_from_its_own_folder(small_run, tmp_path):
    written(tmp_path, STAR)
    done = cosim(*small_run, "--scenario", "mine.py:WiredStar", "--set", "scenario.delay_s=0.25", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    journal = Journal.open(tmp_path / "run")
    assert journal.rows("SELECT scenario, json_extract(parameters, '$.delay_s') FROM variants") == [
        ("wired-star", 0.25)
    ]
    assert journal.rows(
        "SELECT min(uplink_end_ns - depart_ns) > 500000000 FROM transfers JOIN exchanges USING (exchange)"
    )
    journal.close()


FAULT = "        raise OSError('no grass')  # here\n"


@pytest.mark.parametrize(
    ("source", "setting", "message"),
    [
        (changed(SERVER, SERVER + FAULT), "delay_s=1", "{path}:{here}: OSError: no grass"),
        (STAR, "delay_s=-1", "radio.delay_s: expected a number > 0"),
        (STAR, "delay=1", "radio.delay: no such parameter of this scenario; did you mean delay_s?"),
    ],
)
def test_bad_input_has_exit_code_2_and_one_line(small_run, tmp_path, source, setting, message):
    path = written(tmp_path, source)
    done = cosim(*small_run, "--scenario", path, "--set", f"scenario.{setting}")
    here = line_of(path, "# here") if "# here" in source else 0
    assert (done.returncode, done.stderr) == (2, f"cosim: {message.format(path=path, here=here)}\n")
    assert not (tmp_path / "run").exists()


ABORT = """
        import cppyy

        cppyy.cppdef("#include <ns3/simulator.h>\\n#include <ns3/fatal-error.h>\\n"
            "void fail() { ns3::Simulator::Schedule(ns3::MilliSeconds(5), [] { NS_FATAL_ERROR(\\"no roof\\"); }); }")
        cppyy.gbl.fail()
"""


BAD_DEFAULT = '        ns.Config.SetDefault("ns3::Nope::X", ns.StringValue("1"))\n'


def test_when_ns3_aborts_in_build_that_is_told_by_its_line(small_run, tmp_path):
    path = written(tmp_path, changed(SERVER, SERVER + BAD_DEFAULT))
    done = cosim(*small_run, "--scenario", path)
    place, _, message = done.stderr.partition(": ns-3 ended its process here: ")
    assert (done.returncode, place) == (2, f"cosim: {path}:{line_of(path, 'ns3::Nope::X')}")
    assert message == "Could not set default value for ns3::Nope::X\n"
    assert not (tmp_path / "run").exists()


def test_when_ns3_aborts_its_own_message_is_shown(small_run, tmp_path):
    path = written(tmp_path, changed(SERVER, SERVER + ABORT))
    done = cosim(*small_run, "--scenario", path, "--set", "scenario.delay_s=0.1")
    assert done.returncode == 1
    assert re.search(r"the ns-3 side was lost at virtual time 0\.\d+ s: process \d+ was killed by SIGABRT", done.stderr)
    assert "no roof" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_served_ns3_side_refuses_a_script_and_serves_the_mended_one(tmp_path):
    path = tmp_path / "mine.py"
    with private_ipc() as endpoint, ns3_process(endpoint, tmp_path / "ns3.log", path) as process:

        def opened() -> RemoteNetwork:
            return RemoteNetwork(endpoint, str(path), {}, 1, check_partner=process.check)

        with pytest.raises(RequestError, match="does not exist on the host where the ns-3 side runs"):
            opened()
        for fault in ("import sys\nsys.exit()  # here\n", changed(SERVER, SERVER + FAULT)):
            path.write_text(fault)
            with pytest.raises(RequestError) as refusal:
                opened()
            assert refusal.value.field == f"{path}:{line_of(path, '# here')}"
        path.write_text(STAR)
        network = opened()
        outcome = network.exchange([Transfer(0, 1000, 0, 1000)], 0, NS_PER_S)
        assert outcome.transfers[0].status is Status.DONE
        network.close()
