# SPDX-License-Identifier: Apache-2.0
"""Scenarios as the ns-3 side knows them: listed, described, as a template, and put to the test."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bridge.client import RemoteNetwork
from bridge.endpoint import private_ipc
from bridge.names import meant
from bridge.network import (
    NS_PER_S,
    LinkState,
    Network,
    NetworkInfo,
    PartnerLost,
    RequestError,
    Status,
    Transfer,
    TransferOutcome,
)
from cosim.config import Config
from cosim.networks.last_words import blame
from cosim.networks.ns3_process import ns3_process

PROBE_BYTES = 64 * 8192
"""A prompt of 64 tokens as hidden states of Mixtral 8x7B: what a device may well get at once."""
PROBE_LIMIT_S = 60
SAID_BY_SCRIPT = "script: "
"""What the ns-3 side puts before each line that a script prints."""


@dataclass(frozen=True)
class Probe:
    """What became of one transfer of `PROBE_BYTES` each way, alone on the network, the link after it, and why not."""

    name: str
    transfer: TransferOutcome
    link: LinkState
    notes: Sequence[str] = ()

    @property
    def downlink_bps(self) -> float | None:
        """Payload over the time from the first byte sent to the last one received; None if that did not come."""
        return _rate_bps(self.transfer.downlink_begin_ns, self.transfer.downlink_end_ns)

    @property
    def uplink_bps(self) -> float | None:
        """As `downlink_bps`, the other way."""
        return _rate_bps(self.transfer.compute_end_ns, self.transfer.uplink_end_ns)

    @property
    def problem(self) -> str | None:
        """What is wrong with this device, or None."""
        if self.notes:
            return "; ".join(self.notes)
        way = "downlink" if self.transfer.downlink_end_ns is None else "uplink"
        match self.transfer.status:
            case Status.UNREACHABLE:
                return f"{self.name}: it is not connected; its link is too weak, or attach_s is too short for it"
            case Status.LOST:
                return f'{self.name}: packets were dropped in the {way}; longer queues or transport = "tcp" mend that'
            case Status.LATE:
                return f"{self.name}: {PROBE_BYTES} bytes were not through the {way} within {PROBE_LIMIT_S} s"
        return None


def print_list(console: Console) -> None:
    """Print the built-in scenarios, one line each."""
    table = Table(show_edge=False, pad_edge=False, box=None, show_header=False)
    for name, summary in _catalogue().items():
        table.add_row(name, escape(summary))
    console.print(table)


def device_count(config: Config) -> int | None:
    """How many devices the scenario of `config` has, if its parameters tell; without building it.

    Raises `RequestError` for what the scenario refuses. A script is run for it, in a process of its own.
    """
    devices: int | None = _described(config.scenario, config.radio_parameters)["devices"]
    return devices


def print_parameters(
    scenario: str, parameter: str | None, console: Console, values: dict[str, Any] | None = None
) -> None:
    """Print a scenario's parameters: name, type, unit, default and meaning; or one of them, with what tables it holds.

    Raises `RequestError` for what the scenario refuses, also of `values`, and for a parameter that it does not have.
    """
    described = _described(scenario, values) if values else _catalogue(scenario)
    parameters = {each["name"]: each for each in described["parameters"]}
    if parameter is None:
        console.print(_parameter_table(list(parameters.values()), escape(described["summary"])))
        tables = [name for name, each in parameters.items() if each["tables"]]
        if tables:
            more = f"What the tables hold: cosim scenarios {Path(scenario).name} {' or '.join(tables)}"
            console.print(f"\n{more}", highlight=False, markup=False, soft_wrap=True)
        return
    if parameter not in parameters:
        hint = meant(parameter, parameters)
        raise RequestError("PARAMETER", f"{parameter} is none of {', '.join(parameters)}{hint}")
    console.print(_parameter_table([parameters[parameter]]))
    _print_nested([parameters[parameter]], "", console)


def _parameter_table(parameters: list[dict[str, Any]], title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for heading in ("parameter", "type", "unit", "default", "meaning"):
        table.add_column(heading, overflow="fold")
    for parameter in parameters:
        table.add_row(*(escape(parameter[part]) for part in ("name", "type", "unit", "default", "meaning")))
    return table


def _print_nested(parameters: list[dict[str, Any]], prefix: str, console: Console) -> None:
    for parameter in parameters:
        name = prefix + parameter["name"] + ("[]" if parameter["type"].startswith("list") else "")
        for table in parameter["tables"]:
            heading = f"{name} with {table['choice']}" if table["choice"] else name
            text = f"\n{heading}: {table['summary']}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
            if table["parameters"]:
                console.print(_parameter_table(table["parameters"]))
            _print_nested(table["parameters"], f"{name}.", console)


def template(scenario: str) -> str:
    """The source of a scenario, to start one's own from."""
    return str(_catalogue(scenario, "--template"))


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
    console.print(_check_table(network.info, probes))
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


def probe_all(network: Network) -> Iterator[Probe]:
    """One device after the other."""
    for device, name in enumerate(network.info.devices):
        deadline_ns = network.now_ns + PROBE_LIMIT_S * NS_PER_S
        outcome = network.exchange([Transfer(device, PROBE_BYTES, 0, PROBE_BYTES)], network.now_ns, deadline_ns)
        yield Probe(name, outcome.transfers[0], outcome.links[device], outcome.notes)


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


def _described(scenario: str, values: dict[str, Any]) -> Any:
    return _catalogue(scenario, "--values", values=values)


def _catalogue(*arguments: str, values: dict[str, Any] | None = None) -> Any:
    """What the ns-3 side's catalogue says; raises `RequestError` for what it refuses."""
    command = [sys.executable, "-m", "ns3_scenarios.catalogue", *arguments]
    given = None if values is None else msgspec.msgpack.encode(values)
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    said = done.stderr.decode(errors="replace")
    if done.returncode not in (0, 2):
        file = re.match(r"(.+\.py)(:\w+)?$", arguments[0]) if arguments else None
        refusal = blame(said, Path(file[1]) if file else None)
        how = f"ended with exit code {done.returncode}: {said.strip()}"
        raise refusal or PartnerLost(f"the process that looks at scenarios {how}")
    sys.stderr.write(said)
    answer = json.loads(done.stdout)
    if done.returncode == 2:
        raise RequestError(answer["field"], answer["reason"])
    return answer


def _rate_bps(begin_ns: int | None, end_ns: int | None) -> float | None:
    if begin_ns is None or end_ns is None:
        return None
    return 8 * PROBE_BYTES * NS_PER_S / (end_ns - begin_ns)


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
