# SPDX-License-Identifier: Apache-2.0
"""Scenarios as the ns-3 side knows them: listed, described, as a template, and put to the test."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bridge.client import RemoteNetwork
from bridge.endpoint import private_ipc
from bridge.names import meant
from bridge.network import (
    NS_PER_S,
    NetworkInfo,
    RequestError,
)
from cosim.config import Config
from cosim.networks.catalogue import catalogue, described
from cosim.networks.ns3_process import ns3_process
from cosim.networks.probe import PROBE_BYTES, Probe, probe_all
from cosim.screen.fitting import print_table

SAID_BY_SCRIPT = "script: "
"""What the ns-3 side puts before each line that a script prints."""


def print_list(console: Console) -> None:
    """Print the built-in scenarios, one line each."""
    table = Table(show_edge=False, pad_edge=False, box=None, show_header=False)
    for name, summary in catalogue().items():
        table.add_row(name, escape(summary))
    console.print(table)


def parameters(scenario: str, parameter: str | None, values: dict[str, Any] | None = None) -> dict[str, Any]:
    """A scenario's `summary` and `parameters`, or one of these. Raises `RequestError` as `print_parameters`."""
    told: dict[str, Any] = described(scenario, values) if values else catalogue(scenario)
    known = {each["name"]: each for each in told["parameters"]}
    if parameter is None:
        return told
    if parameter not in known:
        raise RequestError("PARAMETER", f"{parameter} is none of {', '.join(known)}{meant(parameter, known)}")
    return told | {"parameters": [known[parameter]]}


def print_parameters(
    scenario: str, parameter: str | None, console: Console, values: dict[str, Any] | None = None
) -> None:
    """Print a scenario's parameters: name, type, unit, default and meaning; or one of them, with what tables it holds.

    Raises `RequestError` for what the scenario refuses, also of `values`, and for a parameter that it does not have.
    """
    told = parameters(scenario, parameter, values)
    if parameter is None:
        print_table(_parameter_table(told["parameters"], escape(told["summary"])), console)
        tables = [each["name"] for each in told["parameters"] if each["tables"]]
        if tables:
            more = f"What the tables hold: cosim scenarios {Path(scenario).name} {' or '.join(tables)}"
            console.print(f"\n{more}", highlight=False, markup=False, soft_wrap=True)
        return
    print_table(_parameter_table(told["parameters"]), console)
    _print_nested(told["parameters"], "", console)


def _parameter_table(shown: list[dict[str, Any]], title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for heading in ("parameter", "type", "unit", "default", "meaning"):
        table.add_column(heading, overflow="fold")
    for parameter in shown:
        table.add_row(*(escape(parameter[part]) for part in ("name", "type", "unit", "default", "meaning")))
    return table


def _print_nested(shown: list[dict[str, Any]], prefix: str, console: Console) -> None:
    for parameter in shown:
        name = prefix + parameter["name"] + ("[]" if parameter["type"].startswith("list") else "")
        for table in parameter["tables"]:
            heading = f"{name} with {table['choice']}" if table["choice"] else name
            text = f"\n{heading}: {table['summary']}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
            if table["parameters"]:
                print_table(_parameter_table(table["parameters"]), console)
            _print_nested(table["parameters"], f"{name}.", console)


def template(scenario: str) -> str:
    """The source of a scenario, to start one's own from."""
    return str(catalogue(scenario, "--template"))


def check(config: Config, console: Console) -> bool:
    """Build the scenario of `config` in a process of its own, probe device after device, and print what came of it.

    Returns whether all is well. Raises `RequestError` for what the scenario refuses, `PartnerLost` if ns-3 aborts.
    """
    with ExitStack() as stack:
        endpoint = stack.enter_context(private_ipc())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        process = stack.enter_context(ns3_process(endpoint, folder / "ns3.log", config.script))
        stack.callback(_print_said, folder / "ns3.log", console)
        network = RemoteNetwork(
            endpoint,
            config.scenario,
            config.radio_parameters,
            config.seed_for("radio"),
            config.seeds_apart,
            folder=folder / "ns3",
            check_partner=process.check,
            diagnose=process.diagnose,
        )
        stack.callback(network.close)
        probes = list(probe_all(network))
    print_table(_check_table(network.info, probes), console)
    problems = [probe.problem for probe in probes if probe.problem]
    for problem in problems:
        console.print(f"problem: {problem}", highlight=False, markup=False, soft_wrap=True)
    if not problems:
        console.print(f"no problem with any device: {PROBE_BYTES} bytes each way", highlight=False)
    return not problems


def _print_said(log: Path, console: Console) -> None:
    """Print what a script printed, marked as it is in ns-3's log."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(SAID_BY_SCRIPT):
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def _check_table(info: NetworkInfo, probes: list[Probe]) -> Table:
    title = f"{info.scenario}, ready at {info.now_ns / NS_PER_S:g} s of virtual time"
    table = Table(title=escape(title), title_justify="left", show_edge=False, pad_edge=False)
    for heading in ("device", "connected"):
        table.add_column(heading)
    for heading in ("Mbit/s down", "up", "SINR dB down", "up", "CQI", "MCS down", "up"):
        table.add_column(heading, justify="right")
    for probe in probes:
        link = probe.link
        table.add_row(
            escape(probe.name),
            "yes" if link.connected and not probe.notes else "no",
            *(_figure(rate and rate / 1e6, ".2f") for rate in (probe.downlink_bps, probe.uplink_bps)),
            *(_figure(sinr, ".1f") for sinr in (link.downlink_sinr_db, link.uplink_sinr_db)),
            *(_figure(index, "d") for index in (link.cqi, link.downlink_mcs, link.uplink_mcs)),
        )
    return table


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
