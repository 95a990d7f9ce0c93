# SPDX-License-Identifier: GPL-2.0-only
"""`cosim scenarios`: what there is, what its parameters are, a template that runs, and a check that finds faults."""

import os
import re
import subprocess
import sys
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from bridge.network import RequestError
from ns3_scenarios.catalogue import parameters, source, summary
from ns3_scenarios.scenario import Scenario
from ns3_scenarios.scenarios import SCENARIOS
from ns3_scenarios.scripts.script import load_script
from tests import ROOT
from tests.support.cosim_process import cosim

STAR = ROOT / "tests" / "support" / "wired_star.py"
BUILT_IN = {name: kind for name, kind in SCENARIOS.items() if kind.__module__.startswith("ns3_scenarios.")}


def scenarios(*arguments: object) -> "subprocess.CompletedProcess[str]":
    done = cosim("scenarios", *arguments)
    assert "Traceback" not in done.stderr
    return done


class Hall(Scenario):
    """A hall with rows of seats.

    It is loud.

    `rows`, `seats`: how many
    there are.

    `pitch_m`: between `rows`: small.
    `mode`: one of two, and `rows`: not a new one.
    """

    rows: Annotated[int, Meta(ge=1, lt=2**32 - 1)]
    seats: Annotated[int, Meta(ge=1, le=9)] = 3
    pitch_m: Annotated[float, Meta(gt=0)] | None = None
    mode: Literal["a", "b"] = "b"
    noise_dbm: tuple[Annotated[float, Meta(lt=5)], ...] = (1.0, 2.0)


def test_parameters_are_described_from_annotations_and_docstring():
    described = {p["name"]: (p["type"], p["unit"], p["default"], p["meaning"]) for p in parameters(Hall)}
    assert described["transport"][0] == "tcp, udp"
    assert {name: described[name] for name in ("rows", "seats", "pitch_m", "mode", "noise_dbm")} == {
        "rows": ("integer >= 1 < 4294967295", "", "required", "how many there are."),
        "seats": ("integer 1 to 9", "", "3", "how many there are."),
        "pitch_m": ("number > 0 or unset", "m", "unset", "between `rows`: small."),
        "mode": ("a, b", "", '"b"', "one of two, and `rows`: not a new one."),
        "noise_dbm": ("list of number < 5", "dBm", "[1.0,2.0]", ""),
    }
    assert summary(Hall) == "A hall with rows of seats."


SCRIPT = '''
from msgspec import Struct

from ns3_scenarios.scenario import Positive, Scenario


class Bench(Struct, tag_field="sort", tag="bench"):
    """A bench.

    `width_m`: from end to end.
    """

    width_m: Positive


class Hall(Scenario):
    """A hall."""

    rows: tuple[Bench, ...] = ()

    def build(self, ns):
        return None
'''


class Seat(Struct, forbid_unknown_fields=True):
    """A chair.

    `legs`: how many.
    """

    legs: Annotated[int, Meta(ge=3)] = 4


class Bench(Struct, tag_field="sort", tag="bench"):
    """A bench, or a row of chairs.

    `width_m`: from end to end.
    `chairs`: instead of boards.
    """

    width_m: float
    chairs: tuple[Seat, ...] = ()


class Stool(Struct, tag_field="sort", tag="stool"):
    """A stool."""


class Furnished(Scenario):
    """A hall with furniture."""

    throne: Seat | None = None
    rows: tuple[Bench | Stool, ...] = ()


def test_tables_among_the_parameters_are_described_with_their_own():
    described = {p["name"]: p for p in parameters(Furnished)}
    throne, rows = described["throne"], described["rows"]
    assert (throne["type"], throne["default"], rows["type"], rows["default"]) == (
        "table or unset",
        "unset",
        "list of tables",
        "[]",
    )
    (seat,) = throne["tables"]
    assert (seat["choice"], seat["summary"]) == ("", "A chair.")
    assert [(p["name"], p["type"], p["default"], p["meaning"]) for p in seat["parameters"]] == [
        ("legs", "integer >= 3", "4", "how many.")
    ]
    bench, stool = rows["tables"]
    assert (bench["choice"], stool["choice"]) == ('sort = "bench"', 'sort = "stool"')
    assert [(p["name"], p["unit"], p["default"]) for p in bench["parameters"]] == [
        ("width_m", "m", "required"),
        ("chairs", "", "[]"),
    ]
    assert bench["parameters"][1]["tables"] == [seat]
    assert stool["parameters"] == []


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"throne": {"legs": 2}}, "radio.throne.legs", ">= 3"),
        ({"throne": {"arms": 2}}, "radio.throne.arms", "no such parameter of radio.throne"),
        ({"rows": [{"sort": "stool"}, {"sort": "bench"}]}, "radio.rows[1].width_m", "is required"),
        ({"rows": [{"sort": "sofa"}]}, "radio.rows[0].sort", "nobody knows 'sofa'"),
        ({"rows": [{"sort": "bench", "width_m": float("nan")}]}, "radio.rows[0].width_m", "not a finite number"),
        (
            {"rows": [{"sort": "bench", "width_m": 1.0, "chairs": [{}, {"legs": 1.5}]}]},
            "radio.rows[0].chairs[1].legs",
            "expected a whole number",
        ),
    ],
)
def test_what_is_wrong_in_a_table_is_refused_by_its_full_name(values, field, words):
    with pytest.raises(RequestError, match=re.escape(words)) as refusal:
        Furnished.parse(values)
    assert refusal.value.field == field


def test_one_parameter_is_shown_with_its_tables(tmp_path):
    path = tmp_path / "hall.py"
    path.write_text(SCRIPT)
    assert "What the tables hold: cosim scenarios hall.py rows or movement" in scenarios(path).stdout
    shown = scenarios(path, "rows").stdout
    assert re.search(r"^rows +│ list of tables +│ +│ \[\] ", shown, re.MULTILINE)
    assert '\nrows[] with sort = "bench": A bench.\n' in shown
    assert re.search(r"^width_m +│ number > 0 +│ m +│ required │ from end to end\.", shown, re.MULTILINE)
    assert "movement" not in shown
    assert '\nmovement with kind = "random-waypoint": ' in scenarios("wired", "movement").stdout
    refused = scenarios("wired", "movements")
    assert (refused.returncode, "PARAMETER: movements is none of" in refused.stderr) == (2, True)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_explains_itself_and_each_of_its_parameters(name):
    assert summary(BUILT_IN[name])
    for parameter in parameters(BUILT_IN[name]):
        assert_explained(parameter)


def assert_explained(parameter: dict[str, Any]) -> None:
    assert parameter["meaning"], parameter["name"]
    assert parameter["type"] not in ("struct", "any", "custom"), parameter["name"]
    for table in parameter["tables"]:
        assert table["summary"], parameter["name"]
        for nested in table["parameters"]:
            assert_explained(nested)


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_template_of_a_built_in_is_a_script_with_the_same_parameters(name, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(source(BUILT_IN[name]))
    kind = load_script(f"{path}:{BUILT_IN[name].__name__}")
    assert parameters(kind) == parameters(BUILT_IN[name])
    assert kind.__module__ != BUILT_IN[name].__module__


def test_the_list_and_the_parameters_are_printed():
    listed = scenarios()
    assert (listed.returncode, listed.stderr) == (0, "")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == sorted(BUILT_IN)
    shown = scenarios("lte")
    assert re.search(r"^bs_power_dbm +│ number -30 to 60 +│ dBm +│ 40.0 +│ transmit power", shown.stdout, re.MULTILINE)
    of_a_file = scenarios(f"{STAR}:WiredStar")
    assert re.search(r"^delay_s +│ number > 0 +│ s +│ 0.001", of_a_file.stdout, re.MULTILINE)


def test_a_template_runs_as_it_is_written(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(scenarios("lte", "--template").stdout)
    args = ("--check", "--set", "scenario.distances_m=[50]")
    own, built_in = scenarios(path, *args), scenarios("lte", *args)
    assert (own.returncode, own.stdout) == (0, built_in.stdout)
    assert "no problem" in own.stdout


def test_a_check_shows_the_rates_of_the_closed_form():
    rates = "scenario.rates_bps=[8000000, 2000000]"
    done = scenarios(STAR, "--check", "--set", rates, "--set", "scenario.delay_s=0.02")
    assert (done.returncode, done.stderr) == (0, "")
    for device, rate_bps in enumerate((8_000_000, 2_000_000)):
        air_s = (524_288 + 357 * 30) * 8 / rate_bps + 0.02  # 357 datagrams with headers of IPv4, UDP and PPP
        rate = f"{524_288 * 8 / air_s / 1e6:.2f}"
        assert re.search(rf"^device{device} +│ yes +│ +{rate} +│ +{rate} +│ +- ", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("scenario", "setting", "problem"),
    [
        (STAR, "drop=[3]", "device0: packets were dropped in the downlink"),
        (STAR, "rates_bps=[8000000, 10000]", "device1: 524288 bytes were not through the downlink within 60 s"),
        (STAR, "rates_bps=[8000000, 100000]", "device1: 524288 bytes were not through the uplink within 60 s"),
        ("lte", "distances_m=[40, 90000]", "ue1: it is not connected"),
    ],
)
def test_a_check_names_the_device_with_a_problem(scenario, setting, problem):
    done = scenarios(scenario, "--check", "--set", f"scenario.{setting}")
    assert (done.returncode, done.stderr) == (1, "")
    (named,) = re.findall(r"^problem: (.*)$", done.stdout, re.MULTILINE)
    assert named.startswith(problem)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nope"], 2, "radio.scenario: nope is none of"),
        (["/nowhere/mine.py"], 2, "radio.scenario: /nowhere/mine.py does not exist"),
        (["/nowhere/mine.py", "--check"], 2, "radio.scenario: /nowhere/mine.py does not exist"),
        ([STAR, "--check", "--set", "scenario.delay_s=0"], 2, "radio.delay_s: expected a number > 0"),
        (["--check"], 2, "NAME: say which scenario"),
        (["lte", "--check", "--template"], 2, "--template: prints a source"),
        (["--template"], 2, "NAME: say which scenario"),
        (["--set", "radio.devices=3"], 2, "NAME: say which scenario"),
        (["lte", "--template", "--set", "radio.devices=3"], 2, "--template: prints a source"),
        (
            ["lte", "--set", "radio.devces=4"],
            2,
            "radio.devces: no such parameter of this scenario; did you mean d",
        ),
        (["lte", "devices", "--set", "scenario.devices=-4"], 2, "radio.devices: expected a whole number >= 1"),
        (
            [STAR, "--set", "scenario.dely_s=1"],
            2,
            "radio.dely_s: no such parameter of this scenario; did you mean d",
        ),
        (["lte", "--set", "sead=4"], 2, "sead: is not known here, see docs/runs/configuration.md; did you mean seed?"),
        (["wird"], 2, "radio.scenario: wird is none of"),
        (["lte", "devces"], 2, "PARAMETER: devces is none of"),
    ],
)
def test_what_cannot_be_shown_is_named(arguments, code, words):
    done = scenarios(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"cosim: {words}")
    assert done.stderr.count("\n") == 1


def test_a_script_that_fails_is_told_by_line_and_one_that_aborts_by_the_words_of_ns3(tmp_path):
    path = tmp_path / "mine.py"
    text = STAR.read_text()
    path.write_text("print('hello')\n" + text + "\nNAMES = {}['first']\n")
    last = len(path.read_text().splitlines())
    done = scenarios(path)
    assert done.stderr == f"script: hello\ncosim: {path}:{last}: KeyError: 'first'\n"
    wrong = 'ns.Config.SetDefault("ns3::Nope::X", ns.StringValue("1"))'
    path.write_text(text.replace("server = ns.C", f"{wrong}\n        server = ns.C"))
    done = scenarios(path, "--check")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Could not set default value for ns3::Nope::X" in done.stderr
    assert f"{path}:" in done.stderr


def test_the_models_process_never_loads_the_ns3_side():
    """What is asked of it goes through a process of its own, for ns-3's aborts and its licence."""
    code = (
        "import sys; from rich.console import Console\n"
        "from cosim import cli, config\n"
        "from cosim.screen import scenarios\n"
        "scenarios.print_list(Console()); scenarios.print_parameters('lte', None, Console())\n"
        f"scenarios.check(config.load(None, [], scenario={str(STAR)!r}), Console())\n"
        "sys.exit(any(name.partition('.')[0] in ('ns3_scenarios', 'ns3', 'cppyy') for name in sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
