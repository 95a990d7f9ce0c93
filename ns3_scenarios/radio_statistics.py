# SPDX-License-Identifier: GPL-2.0-only
"""What radios count themselves, layer by layer, as tables of text: LTE's by ns-3, Wi-Fi's and NR's by ours."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from .wheel import loader

LTE_FILES = {
    "PhyStatsCalculator::DlRsrpSinrFilename": "DlRsrpSinrStats.txt",
    "PhyStatsCalculator::UlSinrFilename": "UlSinrStats.txt",
    "PhyStatsCalculator::UlInterferenceFilename": "UlInterferenceStats.txt",
    "PhyTxStatsCalculator::DlTxOutputFilename": "DlTxPhyStats.txt",
    "PhyTxStatsCalculator::UlTxOutputFilename": "UlTxPhyStats.txt",
    "PhyRxStatsCalculator::DlRxOutputFilename": "DlRxPhyStats.txt",
    "PhyRxStatsCalculator::UlRxOutputFilename": "UlRxPhyStats.txt",
    "MacStatsCalculator::DlOutputFilename": "DlMacStats.txt",
    "MacStatsCalculator::UlOutputFilename": "UlMacStats.txt",
    "RadioBearerStatsCalculator::DlRlcOutputFilename": "DlRlcStats.txt",
    "RadioBearerStatsCalculator::UlRlcOutputFilename": "UlRlcStats.txt",
    "RadioBearerStatsCalculator::DlPdcpOutputFilename": "DlPdcpStats.txt",
    "RadioBearerStatsCalculator::UlPdcpOutputFilename": "UlPdcpStats.txt",
}
"""ns-3's names for the files, by the attribute that holds each."""

NR_COUNTS = {
    "blocks": "blocks",
    "firstBlocks": "firstBlocks",
    "firstErrors": "firstErrors",
    "givenUp": "givenUp",
    "decodedBytes": "bytes",
    "PRBs": "prbs",
    "droppedPackets": "dropped",
}
"""What `ns::cosim::NrCount` calls the figures of nr.txt, by the names of their columns."""

_INTERFERENCE = re.compile(r"[\d.]+\t\d+\t(?:[\d.]+e[+-]\d\d ?)+")
"""A row: time, cell, and a value for each resource block; the time of the next one follows without a space."""

Names = Mapping[int, str]
"""What nodes are called, by their numbers."""

Write = Callable[[], None]
"""Writes at the end what is not written yet."""


def lte(_: list[Any], folder: Path, names: Names) -> Write:
    """Have ns-3 write its statistics of all LTE cells and their devices."""
    ns = loader.load((), ("ns3/lte-helper.h",))
    for attribute, name in LTE_FILES.items():
        ns.Config.SetDefault(f"ns3::{attribute}", ns.StringValue(str(folder / name)))
    # A helper of its own: one that has installed net devices has made its calculators, with other file names.
    helper = ns.CreateObject[ns.LteHelper]()
    helper.Initialize()
    helper.EnableTraces()

    def write() -> None:
        for bearers in (helper.GetRlcStats(), helper.GetPdcpStats()):
            bearers.Dispose()  # writes the epoch under way

    return write


def wifi(net_devices: list[Any], folder: Path, names: Names) -> Write:
    """Count what these Wi-Fi net devices send."""
    ns = loader.load((), ("wifi-statistics.h",))
    statistics = ns.CreateObject[ns.cosim.WifiStatistics]()
    for net_device in net_devices:
        statistics.AddDevice(net_device)

    def write() -> None:
        statistics.Write(str(folder / "wifi.txt"))
        _name(folder / "wifi.txt", names)

    return write


def nr(net_devices: list[Any], folder: Path, names: Names) -> Write:
    """What the cells of these NR net devices have counted by the end."""
    ns = loader.load((), ("nr-cell.h", "nr-net-device.h"))
    ends = [net_device.GetObject[ns.cosim.NrNetDevice]() for net_device in net_devices]

    def write() -> None:
        with (folder / "nr.txt").open("w", encoding="utf-8") as table:
            print("% node", "name", "direction", *NR_COUNTS, sep="\t", file=table)
            for end in ends:
                if end.GetDevice() >= 0:
                    print(*_nr_rows(end, names), sep="\n", file=table)

    return write


def _nr_rows(end: Any, names: Names) -> Iterator[str]:
    """What the links of a device's end have counted, down and up."""
    node = int(end.GetNode().GetId())
    for is_uplink in (False, True):
        count = end.GetCell().GetTotal(end.GetDevice(), is_uplink)
        figures = (getattr(count, field) for field in NR_COUNTS.values())
        yield "\t".join(map(str, (node, names.get(node, ""), "up" if is_uplink else "down", *figures)))


BY_NET_DEVICE = {"ns3::LteEnbNetDevice": lte, "ns3::WifiNetDevice": wifi, "ns3::cosim::NrNetDevice": nr}
"""How a radio is known to be there, and who writes its statistics."""


def mend(folder: Path) -> None:
    """Make ns-3's LTE tables such that each line has as many columns as the heading.

    ns-3 ends lines with a further tab, and puts all rows of interference on one line.
    """
    for path in (folder / name for name in LTE_FILES.values()):
        if path.exists():
            whole = path.with_suffix(".tmp")
            with path.open(encoding="utf-8") as lines, whole.open("w", encoding="utf-8") as mended:
                for line in lines:
                    rows = _INTERFERENCE.findall(line) if path.name == "UlInterferenceStats.txt" else []
                    mended.writelines(f"{row.rstrip()}\n" for row in rows or [line])
            whole.replace(path)


def _name(path: Path, names: Names) -> None:
    """Add a column, behind the first one, which has the number of the node: what the node is called."""
    heading, *rows = (line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines())
    named = [[heading[0], "name", heading[1]], *([node, names.get(int(node), ""), rest] for node, rest in rows)]
    path.write_text("".join("\t".join(row) + "\n" for row in named), encoding="utf-8")


def writers(ns: Any) -> list[Callable[[Path, Names], Write]]:
    """One for each radio of the network that has statistics; called with a folder before virtual time runs."""
    found: dict[str, list[Any]] = {}
    nodes = ns.NodeContainer.GetGlobal()
    for i in range(nodes.GetN()):
        for k in range(nodes.Get(i).GetNDevices()):
            net_device = nodes.Get(i).GetDevice(k)
            found.setdefault(str(net_device.GetInstanceTypeId().GetName()), []).append(net_device)
    return [partial(begin, found[kind]) for kind, begin in BY_NET_DEVICE.items() if kind in found]
