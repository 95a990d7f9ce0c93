# SPDX-License-Identifier: GPL-2.0-only
"""ns-3's own outputs: packets in pcap and text, queues, NetAnim, FlowMonitor, and what radios count themselves.

None of them changes what it records: a simulation takes the same times to the nanosecond with and without.
"""

import re
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from bridge.network import RequestError

from . import radio_statistics
from .topology import Topology
from .wheel import loader
from .world.movement import circle

Output = Literal["pcap", "ascii", "queues", "netanim", "flow-monitor", "statistics"]

UNPLACED_M = 50.0
"""How far from x = y = 0 NetAnim shows the nodes that have no place."""

_FIELD = "radio.outputs"


class Outputs:
    """The outputs of one simulation, whatever of them has begun."""

    def __init__(self) -> None:
        self._finishing: list[Callable[[], None]] = []
        self._closing: list[Callable[[], None]] = []

    def begin(self, ns: Any, asked: Sequence[Output], topology: Topology, folder: str | None) -> None:
        """Begin before virtual time runs, in files of `folder`, which is made and must not be there before.

        Raises `RequestError` for what this network or this folder cannot have.
        """
        if not asked:
            return
        self._topology = topology
        self._statistics = radio_statistics.writers(ns) if "statistics" in asked else []
        if "statistics" in asked and not self._statistics:
            raise RequestError(_FIELD, "no radio of this scenario has statistics; leave them out")
        self._folder = _made(folder)
        beginnings: dict[Output, Callable[[], None]] = {
            "pcap": self._begin_pcap,
            "ascii": self._begin_ascii,
            "queues": self._begin_queues,
            "netanim": self._begin_netanim,
            "flow-monitor": self._begin_flow_monitor,
            "statistics": self._begin_statistics,
        }
        for output in dict.fromkeys(asked):
            beginnings[output]()

    def finish(self) -> None:
        """Write what is known only at the end, while the network still stands."""
        for write in self._finishing:
            write()

    def close(self) -> None:
        """Complete all files and let go of what recorded, once the network, which calls it to its end, is gone."""
        self._finishing.clear()  # holds what writes to the last when it is let go
        for complete in self._closing:
            complete()
        self._closing.clear()

    def _begin_pcap(self) -> None:
        recorder = self._recorder("pcap")
        for name, node in self._nodes().items():
            self._open(recorder.AddNode, node, f"{name}.pcap")
            for i in range(node.GetNDevices()):
                if recorder.HasFrames(node.GetDevice(i)):
                    self._open(recorder.AddDevice, node.GetDevice(i), f"{name}-if{i}.pcap")

    def _begin_ascii(self) -> None:
        recorder = self._recorder("ascii")
        for name, node in self._nodes().items():
            self._open(recorder.AddNode, node, f"{name}.tr")

    def _begin_queues(self) -> None:
        ns = loader.load((), ("queue-recorder.h",))
        recorder = ns.CreateObject[ns.cosim.QueueRecorder]()
        for name, node in self._nodes().items():
            self._open(recorder.AddNode, node, f"{name}-queues.txt")
        self._finishing.append(recorder.Close)

    def _recorder(self, kind: str) -> Any:
        """A recorder of IPv4 packets from and to the devices and other users, closed at the end."""
        ns = loader.load((), (f"{kind}-recorder.h",))
        recorder = ns.CreateObject[getattr(ns.cosim, f"{kind.capitalize()}Recorder")]()
        for device in (*self._topology.devices, *self._topology.others):
            recorder.Follow(device.address)
        self._closing.append(recorder.Close)
        return recorder

    def _open(self, add: Callable[[Any, str], bool], watched: Any, file: str) -> None:
        if not add(watched, str(self._folder / file)):
            reason = "the disk is full, too many files are open, or the node has no IPv4"
            raise RequestError(_FIELD, f"{self._folder / file} cannot be begun: {reason}")

    def _begin_netanim(self) -> None:
        ns = loader.load(("netanim",), ("ns3/animation-interface.h",))
        nodes = ns.NodeContainer.GetGlobal()
        unplaced = [nodes.Get(i) for i in range(nodes.GetN()) if not nodes.Get(i).GetObject[ns.MobilityModel]()]
        for node, place in zip(unplaced, circle([UNPLACED_M] * len(unplaced), 0.0), strict=True):
            ns.AnimationInterface.SetConstantPosition(node, *place)
        animation = ns.AnimationInterface(str(self._folder / "netanim.xml"))
        animation.SetMaxPktsPerTraceFile(2**63)  # all in one file
        for name, node in self._nodes().items():
            animation.UpdateNodeDescription(node, name)
        self._finishing.append(lambda: animation.SetStopTime(ns.Simulator.Now() - ns.NanoSeconds(1)))
        self._closing.append(animation.__destruct__)

    def _begin_flow_monitor(self) -> None:
        ns = loader.load(("flow-monitor",), ("ns3/flow-monitor-helper.h",))
        helper = ns.FlowMonitorHelper()
        monitor = helper.Install(ns.NodeContainer.GetGlobal())
        path = str(self._folder / "flow-monitor.xml")

        def write() -> None:
            monitor.CheckForLostPackets()
            monitor.SerializeToXmlFile(path, True, True)
            name_flows(Path(path), self._names_of_addresses(ns))

        self._finishing.append(write)
        self._closing.append(helper.__destruct__)

    def _begin_statistics(self) -> None:
        names = {int(node.GetId()): name for name, node in self._nodes().items()}
        self._finishing += [begin(self._folder, names) for begin in self._statistics]
        self._closing.append(lambda: radio_statistics.mend(self._folder))

    def _nodes(self) -> dict[str, Any]:
        """The edge server, devices, other users and nodes of the scenario's, by names that can be those of files."""
        nodes = {"edge-server": self._topology.edge_server}
        users = [(user.name, user.node) for user in (*self._topology.devices, *self._topology.others)]
        for called, node in (*users, *self._topology.nodes.items()):
            name = re.sub(r"[^\w.-]", "_", called)
            nodes[f"{name}-{len(nodes)}" if name in nodes else name] = node
        return nodes

    def _names_of_addresses(self, ns: Any) -> dict[str, str]:
        names = {}
        for name, node in self._nodes().items():
            ip = node.GetObject[ns.Ipv4]()
            for i in range(ip.GetNInterfaces() if ip else 0):
                for k in range(ip.GetNAddresses(i)):
                    names[str(ip.GetAddress(i, k).GetLocal())] = name
        return names


def name_flows(path: Path, names: dict[str, str]) -> None:
    """Add to each flow in FlowMonitor's file between whom it is, as `sourceName` and `destinationName`, if known."""
    tree = ElementTree.parse(path)
    for flow in tree.iterfind("Ipv4FlowClassifier/Flow"):
        for end in ("source", "destination"):
            name = names.get(flow.get(f"{end}Address", ""))
            if name is not None:
                flow.set(f"{end}Name", name)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _made(folder: str | None) -> Path:
    if folder is None:
        raise RequestError(_FIELD, "nobody said into which folder")
    path = Path(folder)
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        raise RequestError(_FIELD, f"{path} is there already; choose another run folder") from None
    except OSError as error:
        raise RequestError(_FIELD, f"{path} cannot be made on the ns-3 side's host: {error.strerror}") from None
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # pcap and ascii keep a file or more a node open
    return path
