# SPDX-License-Identifier: GPL-2.0-only
"""ns-3's own outputs against what the transfers must have put on the wire, and without a trace in the transfers."""

import itertools
import math
import os
import re
import signal
import struct
import subprocess
import sys
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple, get_args
from xml.etree import ElementTree

import pandas
import pytest

from bridge.network import NS_PER_S, Outcome, RequestError, Status, Transfer
from cosim.record.journal import FILE_NAME, Journal
from ns3_scenarios.outputs import UNPLACED_M, Output
from ns3_scenarios.radio_statistics import LTE_FILES
from ns3_scenarios.scenarios import SCENARIOS
from ns3_scenarios.simulation import Simulation, open_network
from tests import ROOT
from tests.support.cosim_process import cosim
from tests.support.ns3_worker import Step, carry_out
from tests.support.still import STILL

BUILT_IN = [name for name, kind in SCENARIOS.items() if kind.__module__.startswith("ns3_scenarios.")]

PAYLOAD_BYTES, TCP_PAYLOAD_BYTES = 1472, 1448
IP_BYTES, UDP_BYTES, PPP_BYTES = 20, 8, 2
PDCP_BYTES = 2  # TS 36.323 clause 6.2.3: a data PDU with a sequence number of 12 bits
LLC_BYTES = 8
ETHERNET_BYTES, ETHERNET_LEAST_BYTES = 18, 46  # with the frame check sequence; the least payload
RAW, PPP, ETHERNET, WIFI = 101, 9, 1, 105  # link types of pcap

DOWN, UP = (30_000, 1, 1472, 4_000), (5_000, 2944, 1, 9_000)
STEPS = [
    Step([Transfer(i, d, 1_000_000, u) for i, (d, u) in enumerate(zip(DOWN, UP, strict=True))], 2_000_000),
    Step([Transfer(2, 8_192, 0, 8_192)], 10_000_000),
    Step([], 10_000_000),  # for the acknowledgements of the last frames
]
DEVICES = len(DOWN)


kept: list[Simulation] = []


def record(scenario: str, folder: Path, outputs: list[str], parameters: dict[str, object]) -> list[Outcome]:
    """Carry out `STEPS` with these outputs in `folder`, and close the network, but keep the object."""
    network = open_network(scenario, {"outputs": outputs, **parameters}, 1, folder=str(folder) if outputs else None)
    kept[:] = [network]
    try:
        outcomes = [carry_out(network, step) for step in STEPS]
    finally:
        network.close()
    assert all(came.status is Status.DONE for outcome in outcomes for came in outcome.transfers)
    return outcomes


def refused(scenario: str, parameters: dict[str, object], folder: str | None) -> tuple[str, str] | None:
    """Field and reason of the refusal to open this network, if it was refused."""
    try:
        open_network(scenario, parameters, 1, folder=folder).close()
    except RequestError as error:
        return error.field, error.reason
    return None


class Packet(NamedTuple):
    """A packet of a pcap file: when, how long it was, and as much of it as was kept."""

    time_ns: int
    length: int
    kept: bytes

    @property
    def way(self) -> tuple[str, str]:
        """Source and destination in the IPv4 header (RFC 791) that it begins with."""
        return str(ip_address(self.kept[12:16])), str(ip_address(self.kept[16:20]))


def read_pcap(path: Path) -> tuple[int, list[Packet]]:
    """Link type and packets of a pcap file with timestamps in ns (draft-ietf-opsawg-pcap)."""
    content = path.read_bytes()
    magic, major, minor, _, _, snap_bytes, link_type = struct.unpack_from("<IHHiIII", content)
    assert (magic, major, minor) == (0xA1B23C4D, 2, 4)
    packets, at = [], 24
    while at < len(content):
        seconds, nanoseconds, kept, length = struct.unpack_from("<IIII", content, at)
        assert kept == min(length, snap_bytes)
        packets.append(Packet(seconds * NS_PER_S + nanoseconds, length, content[at + 16 : at + 16 + kept]))
        at += 16 + kept
    assert at == len(content), "the last packet is not whole"
    assert [p.time_ns for p in packets] == sorted(p.time_ns for p in packets)
    return link_type, packets


def datagrams(payload_bytes: int) -> list[int]:
    """IPv4 packets in bytes that a block of so many bytes becomes under UDP."""
    full, rest = divmod(payload_bytes, PAYLOAD_BYTES)
    sizes = [PAYLOAD_BYTES] * full + [rest] * bool(rest)
    return [size + UDP_BYTES + IP_BYTES for size in sizes]


def asked(device: int) -> tuple[list[int], list[int]]:
    """All IPv4 packets in bytes, down and up, that the device's transfers in `STEPS` become under UDP."""
    transfers = [t for step in STEPS for t in step.transfers if t.device == device]
    down = [size for t in transfers for size in datagrams(t.downlink_bytes)]
    return down, [size for t in transfers for size in datagrams(t.uplink_bytes)]


def blocks(packets: list[Packet], address: str) -> tuple[list[int], list[int]]:
    """Lengths of the packets to and from this address, in their order."""
    return [p.length for p in packets if p.way[1] == address], [p.length for p in packets if p.way[0] == address]


@pytest.mark.parametrize("scenario", ["wired", "lte"])
def test_pcap_has_each_datagram_at_both_ends_and_when(ns3, tmp_path, scenario):
    outcomes = ns3(record, scenario, tmp_path / "out", ["pcap"], {"devices": DEVICES})
    link_type, at_server = read_pcap(tmp_path / "out" / "edge-server.pcap")
    assert link_type == RAW
    prefix = "device" if scenario == "wired" else "ue"
    for device in range(DEVICES):
        _, at_device = read_pcap(tmp_path / "out" / f"{prefix}{device}.pcap")
        address = at_device[0].way[1]
        assert blocks(at_device, address) == blocks(at_server, address) == asked(device)
        assert len(at_device) == sum(map(len, asked(device)))
    for outcome, step in zip(outcomes, STEPS, strict=True):
        for came, transfer in zip(outcome.transfers, step.transfers, strict=True):
            _, at_device = read_pcap(tmp_path / "out" / f"{prefix}{transfer.device}.pcap")
            times = [p.time_ns for p in at_device]
            assert came.downlink_end_ns in times
            assert came.compute_end_ns in times
    assert {p.time_ns for p in at_server} >= {c.uplink_end_ns for o in outcomes for c in o.transfers}


def test_pcap_of_cables_has_their_framing(ns3, tmp_path):
    ns3(record, "wired", tmp_path / "ppp", ["pcap"], {"devices": DEVICES})
    for device in range(DEVICES):
        for name in (f"device{device}-if1", f"edge-server-if{device + 1}"):
            link_type, frames = read_pcap(tmp_path / "ppp" / f"{name}.pcap")
            assert link_type == PPP
            assert {frame.kept[:2] for frame in frames} == {b"\x00\x21"}  # IPv4, RFC 1332
            assert sorted(f.length for f in frames) == sorted(s + PPP_BYTES for part in asked(device) for s in part)
    ns3(record, "wired", tmp_path / "csma", ["pcap"], {"devices": DEVICES, "kind": "csma"})
    link_type, frames = read_pcap(tmp_path / "csma" / "edge-server-if1.pcap")
    assert link_type == ETHERNET
    sizes = [size for device in range(DEVICES) for part in asked(device) for size in part]
    assert sorted(f.length for f in frames) == sorted(max(s, ETHERNET_LEAST_BYTES) + ETHERNET_BYTES for s in sizes)


def test_pcap_of_wifi_has_the_802_11_frames(ns3, tmp_path):
    """Each datagram is in a QoS data frame that goes to the station, or comes from it, and has no error."""
    ns3(record, "wifi", tmp_path / "out", ["pcap"], {"devices": DEVICES, "transport": "udp"})
    link_type, frames = read_pcap(tmp_path / "out" / "edge-server-if0.pcap")
    assert link_type == WIFI
    kinds = {(frame.kept[0] >> 2 & 3, frame.kept[0] >> 4) for frame in frames}
    assert kinds >= {(0, 8), (2, 8), (1, 9)}  # beacon, QoS data, block acknowledgement: IEEE 802.11 table 9-1
    header_bytes, check_bytes = 26, 4
    found: dict[bytes, list[int]] = {}
    for frame in frames:
        if frame.kept[0] == 0x88:
            ip = frame.kept[header_bytes + LLC_BYTES :]
            assert frame.length == header_bytes + LLC_BYTES + int.from_bytes(ip[2:4]) + check_bytes
            if not frame.kept[1] & 8:  # not a retry
                found.setdefault(ip[16:20], []).append(int.from_bytes(ip[2:4]))
    expected = [asked(device) for device in range(DEVICES)]
    _, at_server = read_pcap(tmp_path / "out" / "edge-server.pcap")
    server = at_server[0].kept[12:16]
    assert sorted(found.pop(server)) == sorted(size for _, up in expected for size in up)
    assert sorted(map(sorted, found.values())) == sorted(sorted(down) for down, _ in expected)
    assert len(at_server) == sum(len(part) for both in expected for part in both)


@pytest.mark.parametrize("scenario", ["wired", "lte"])
def test_ascii_has_a_line_a_datagram(ns3, tmp_path, scenario):
    ns3(record, scenario, tmp_path / "out", ["ascii", "pcap"], {"devices": DEVICES})
    for trace in (tmp_path / "out").glob("*.tr"):
        _, packets = read_pcap(trace.with_suffix(".pcap"))
        lines = trace.read_text().splitlines()
        assert len(lines) == len(packets) > 0
        for line, packet in zip(lines, packets, strict=True):
            time, length, source, destination, payload = re.fullmatch(
                r"[tr] (\S+) ns3::Ipv4Header \(.* length: (\d+) (\S+) > (\S+)\) "
                r"ns3::UdpHeader \(.*\) Payload \(size=(\d+)\)",
                line,
            ).groups()
            assert int(time.replace(".", "")) == packet.time_ns
            assert (source, destination) == packet.way
            assert int(length) == packet.length == int(payload) + UDP_BYTES + IP_BYTES


def test_ascii_tells_tcp_headers(ns3, tmp_path):
    ns3(record, "wired", tmp_path / "out", ["ascii"], {"devices": DEVICES, "transport": "tcp"})
    lines = (tmp_path / "out" / "device0.tr").read_text().splitlines()
    sizes = [int(re.search(r"ns3::TcpHeader \(.*Seq=\d+ .*\) Payload \(size=(\d+)\)", line)[1]) for line in lines]
    assert sum(sizes) == DOWN[0] + UP[0]
    assert max(sizes) == TCP_PAYLOAD_BYTES


@pytest.mark.parametrize("scenario", ["wired", "lte", "nr", "wifi"])
def test_flow_monitor_counts_the_bytes_of_each_way(ns3, tmp_path, scenario):
    ns3(record, scenario, tmp_path / "out", ["flow-monitor"], {"devices": DEVICES, "transport": "udp"})
    root = ElementTree.parse(tmp_path / "out" / "flow-monitor.xml").getroot()
    ours = [f.get("flowId") for f in root.find("Ipv4FlowClassifier") if f.get("destinationPort") != "2123"]  # GTP-C
    flows = [flow for flow in root.find("FlowStats") if flow.get("flowId") in ours]
    expected = sorted((sum(part), len(part)) for device in range(DEVICES) for part in asked(device))
    for sizes, packets in (("txBytes", "txPackets"), ("rxBytes", "rxPackets")):
        assert sorted((int(flow.get(sizes)), int(flow.get(packets))) for flow in flows) == expected
    assert {flow.get("lostPackets") for flow in flows} == {"0"}
    named = [f for f in root.find("Ipv4FlowClassifier") if f.get("flowId") in ours]
    prefix = {"wired": "device", "wifi": "sta"}.get(scenario, "ue")
    ends = [(f.get("sourceName"), f.get("destinationName")) for f in named]
    devices = [f"{prefix}{device}" for device in range(DEVICES)]
    assert sorted(ends) == sorted(pair for d in devices for pair in ((d, "edge-server"), ("edge-server", d)))


@pytest.mark.parametrize(("scenario", "others"), [("wired", 1), ("lte", 4), ("nr", 2), ("wifi", 1)])
def test_netanim_has_every_node_with_a_place_and_packets(ns3, tmp_path, scenario, others):
    """Beside the devices the server; with LTE its gateways and the BS. ns-3 cannot show packets in NR's air."""
    ns3(record, scenario, tmp_path / "out", ["netanim"], STILL.get(scenario, {}) | {"devices": DEVICES})
    root = ElementTree.parse(tmp_path / "out" / "netanim.xml").getroot()
    away_m = [math.hypot(float(node.get("locX")), float(node.get("locY"))) for node in root.iter("node")]
    assert len(away_m) == DEVICES + others
    if scenario == "wired":  # where no node has a place
        assert away_m == pytest.approx([UNPLACED_M] * (DEVICES + others))
    if scenario == "lte":  # the core's three nodes have none; the BS is in the middle
        assert away_m.count(pytest.approx(UNPLACED_M)) == 3
        assert 0 in away_m
    names = {change.get("descr") for change in root.iter("nu")} - {None}
    assert len(names) == DEVICES + 1
    assert list(root.iter("p" if scenario in ("wired", "nr") else "wpr"))


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a table of tab-separated text whose first line names the columns."""
    heading, *rows = path.read_text().splitlines()
    columns = heading.removeprefix("% ").split("\t")
    return [dict(zip(columns, row.split("\t"), strict=False)) for row in rows]


@pytest.mark.parametrize(("profile", "most"), [("20mhz", 2.0), ("100mhz-2x2", 1.0)])
def test_lte_statistics_count_the_bytes_of_every_layer(ns3, tmp_path, profile, most):
    """RLC puts two bytes before each of its PDUs and two, at most, for each further SDU in it; AM repeats some."""
    ns3(record, "lte", tmp_path / "out", ["statistics"], {"devices": DEVICES, "profile": profile})
    expected = [asked(device) for device in range(DEVICES)]
    for direction, way in (("Dl", 0), ("Ul", 1)):
        rows = table(tmp_path / "out" / f"{direction}PdcpStats.txt")
        for device in range(DEVICES):
            mine = [row for row in rows if row["IMSI"] == str(device + 1)]
            for size, count in (("TxBytes", "nTxPDUs"), ("RxBytes", "nRxPDUs")):
                assert sum(int(row[size]) for row in mine) == sum(s + PDCP_BYTES for s in expected[device][way])
                assert sum(int(row[count]) for row in mine) == len(expected[device][way])
            rlc = [r for r in table(tmp_path / "out" / f"{direction}RlcStats.txt") if r["IMSI"] == str(device + 1)]
            carried, pdus = (sum(int(row[column]) for row in rlc) for column in ("TxBytes", "nTxPDUs"))
            pdcp_bytes = sum(s + PDCP_BYTES for s in expected[device][way])
            least = pdcp_bytes + 2 * pdus
            assert least <= carried <= most * (least + 2 * len(expected[device][way]))
        mac = table(tmp_path / "out" / f"{direction}MacStats.txt")
        granted = sum(int(row[key]) for row in mac for key in ("size", "sizeTb1", "sizeTb2") if key in row)
        assert granted >= sum(s for both in expected for s in both[way])
    for name in ("DlRsrpSinr", "UlSinr", "UlInterference", "DlTxPhy", "DlRxPhy", "UlTxPhy", "UlRxPhy"):
        assert (tmp_path / "out" / f"{name}Stats.txt").stat().st_size > 100

    for name in LTE_FILES.values():
        heading, *rows = (line.split("\t") for line in (tmp_path / "out" / name).read_text().splitlines())
        assert {len(row) for row in rows} == {len(heading)}, name
    read = pandas.read_csv(tmp_path / "out" / "DlPdcpStats.txt", sep="\t")
    assert read[read["IMSI"] == 1]["TxBytes"].sum() == sum(size + PDCP_BYTES for size in expected[0][0])
    read = pandas.read_csv(tmp_path / "out" / "UlInterferenceStats.txt", sep="\t")
    assert set(read["cellId"]) <= {1, 2, 3, 4, 5}  # one a carrier
    assert {len(row.split()) for row in read["Interference"]} == {100}  # resource blocks of 20 MHz


@pytest.mark.parametrize(
    "carriers", [{}, {"bandwidth_mhz": 5, "second_carrier": {"frequency_hz": 3.6e9, "bandwidth_mhz": 5}}]
)
def test_nr_statistics_name_the_devices(ns3, tmp_path, carriers):
    ns3(record, "nr", tmp_path / "out", ["statistics"], {"devices": DEVICES, **carriers})
    rows = table(tmp_path / "out" / "nr.txt")
    assert [(row["name"], row["direction"]) for row in rows] == [
        (f"ue{device}", way) for device in range(DEVICES) for way in ("down", "up")
    ]
    for device in range(DEVICES):
        for row, sizes in zip(rows[2 * device : 2 * device + 2], asked(device), strict=True):
            assert int(row["decodedBytes"]) >= sum(sizes)


def test_queues_hold_what_a_cable_has_not_taken_yet(ns3, tmp_path):
    """All datagrams of a downlink enter at its departure, and leave one by one, each when the one before is sent."""
    ns3(record, "wired", tmp_path / "out", ["queues"], {"devices": DEVICES, "rate_bps": 10**7})
    rows = [row for row in table(tmp_path / "out" / "edge-server-queues.txt") if row["interface"] == "1"]
    sizes = [size + PPP_BYTES for size in datagrams(DOWN[0])]
    assert {row["queue"] for row in rows} == {"device"}
    assert [int(row["packets"]) for row in rows] == list(reversed(range(len(sizes))))
    assert [int(row["bytes"]) for row in rows] == [sum(sizes[k:]) for k in range(1, len(sizes) + 1)]
    steps_s = [float(b["time"]) - float(a["time"]) for a, b in itertools.pairwise(rows)]
    assert steps_s == pytest.approx([8 * size / 10**7 for size in sizes[:-1]], abs=1e-9)
    assert {row["dropped"] for row in rows} == {"0"}


def test_wifi_statistics_count_what_was_acknowledged(ns3, tmp_path):
    ns3(record, "wifi", tmp_path / "out", ["statistics"], {"devices": DEVICES, "transport": "udp"})
    server, *stations = table(tmp_path / "out" / "wifi.txt")
    expected = [asked(device) for device in range(DEVICES)]
    sent = [[size for down, _ in expected for size in down], *(up for _, up in expected)]
    assert [row["name"] for row in [server, *stations]] == ["edge-server", *(f"sta{i}" for i in range(DEVICES))]
    for row, sizes in zip([server, *stations], sent, strict=True):
        assert int(row["ackedMpdus"]) == len(sizes)
        assert int(row["ackedBytes"]) == sum(size + LLC_BYTES for size in sizes)
        assert int(row["droppedMpdus"]) == 0
        assert 0 < float(row["airtime"]) < 1


@pytest.mark.parametrize("scenario", BUILT_IN)
def test_outputs_change_no_time_and_keep_the_process_usable(ns3, tmp_path, scenario):
    kinds = ["pcap", "ascii", "queues", "netanim", "flow-monitor"]
    before = ns3(record, scenario, tmp_path, [], {})
    for number, outputs in enumerate([*([kind] for kind in kinds), kinds]):
        assert ns3(record, scenario, tmp_path / str(number), outputs, {}) == before
    if ns3(refused, scenario, {"outputs": ["statistics"]}, str(tmp_path / "refused")) is None:
        assert ns3(record, scenario, tmp_path / "all", [*kinds, "statistics"], {}) == before
    assert ns3(record, scenario, tmp_path, [], {}) == before


STAR = """
from tests.support.wired_star import WiredStar


class Named(WiredStar, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name = "named"

    def build(self, ns):
        topology = super().build(ns)
        names = ("../a b", "edge-server", "x/", "x?")
        devices = [type(d)(name, d.node, d.address) for name, d in zip(names, topology.devices, strict=True)]
        return type(topology)(topology.edge_server, topology.edge_address, devices)
"""


def test_a_script_has_them_too_whatever_its_devices_are_called(ns3, tmp_path):
    script = tmp_path / "named.py"
    script.write_text(STAR)
    rates = {"rates_bps": [10**7] * DEVICES}
    ns3(record, str(script), tmp_path / "a" / "out", ["pcap", "ascii", "netanim", "flow-monitor"], rates)
    files = {path.name for path in (tmp_path / "a" / "out").iterdir()}
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"out"}
    named = {"edge-server", ".._a_b", "edge-server-2", "x_", "x_-4"}
    assert {name.removesuffix(".tr") for name in files if name.endswith(".tr")} == named
    for device, name in enumerate(sorted(named - {"edge-server"}, key=[".._a_b", "edge-server-2", "x_", "x_-4"].index)):
        _, packets = read_pcap(tmp_path / "a" / "out" / f"{name}.pcap")
        assert len(packets) == sum(map(len, asked(device)))


@pytest.mark.parametrize(
    ("outputs", "place", "words"),
    [
        (["statistics"], "new", "no radio of this scenario has statistics"),
        (["pcap"], "there", "is there already"),
        (["pcap"], "file/below", "cannot be made"),
        (["pcap"], None, "nobody said"),
        (["film"], "new", "film"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(ns3, tmp_path, outputs, place, words):
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    folder = None if place is None else str(tmp_path / place)
    field, reason = ns3(refused, "wired", {"outputs": outputs}, folder)
    assert field.startswith("radio.outputs")
    assert words in reason
    assert not (tmp_path / "new").exists()


def test_the_documentation_lists_every_output():
    text = (ROOT / "docs/world/outputs.md").read_text(encoding="utf-8")
    assert {*re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)} == {*get_args(Output)}
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert SCENARIOS["wired"].parse(tomllib.loads(example)["scenario"]).outputs == ("pcap", "flow-monitor")
    assert "`DlRlcStats.txt` and twelve more" in text
    assert len(LTE_FILES) == 13


def small_run(model: Path, folder: Path, *extra: str) -> list[str]:
    """Arguments of a small run over cables."""
    text = folder.parent / "text.txt"
    text.write_text("Shall I compare thee to a summer's day? Thou art more lovely and more temperate. " * 20)
    settings = [f"model.path={model}", f"workload.text={text}", "workload.prompt_tokens=8"]
    arguments = ["run", "--scenario", "wired", "--out", str(folder)]
    for setting in settings:
        arguments += ["--set", setting]
    return [*arguments, *extra]


def test_a_run_keeps_them_in_its_folder_and_out_of_its_fingerprint(tiny_model, tmp_path):
    kinds = [
        "--set",
        'scenario.outputs=["pcap", "flow-monitor"]',
        "--set",
        "workload.new_tokens=2",
        "--set",
        "workload.requests=1",
    ]
    prints = []
    for place in ("a", "b"):
        done = cosim(
            *small_run(tiny_model, tmp_path / place, *kinds, "--policy", "top-k", "--policy", "weight-to-latency")
        )
        assert (done.returncode, done.stderr) == (0, "")
        journal = Journal.open(tmp_path / place)
        prints.append(journal.fingerprint())
        for variant, policy in ((1, "top-k"), (2, "weight-to-latency")):
            files = tmp_path / place / "ns3" / policy
            _, packets = read_pcap(files / "edge-server.pcap")
            blocks = journal.rows("SELECT downlink_bytes, uplink_bytes FROM transfers WHERE variant = ?", variant)
            assert sum(p.length for p in packets) == sum(sum(datagrams(size)) for both in blocks for size in both)
            assert ElementTree.parse(files / "flow-monitor.xml").getroot().tag == "FlowMonitor"
        journal.close()
    assert prints[0] == prints[1]


def test_ctrl_c_leaves_whole_files(tiny_model, tmp_path):
    kinds = ["--set", 'scenario.outputs=["pcap", "netanim", "flow-monitor"]', "--set", "workload.new_tokens=100"]
    command = [sys.executable, "-m", "cosim.cli", *small_run(tiny_model, tmp_path / "run", *kinds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if "virtual time" in line:
                break
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in errors) == (130, False)
    files = tmp_path / "run" / "ns3" / "top-k"
    journal = Journal.open(tmp_path / "run" / FILE_NAME)
    sizes = [size for both in journal.rows("SELECT downlink_bytes, uplink_bytes FROM transfers") for size in both]
    journal.close()
    _, packets = read_pcap(files / "edge-server.pcap")
    assert sum(p.length for p in packets) >= sum(sum(datagrams(size)) for size in sizes) > 0
    for name in ("netanim.xml", "flow-monitor.xml"):
        ElementTree.parse(files / name)


def test_a_refused_output_ends_a_run_with_exit_code_2(tiny_model, tmp_path):
    done = cosim(*small_run(tiny_model, tmp_path / "run", "--set", 'scenario.outputs=["statistics"]'))
    assert (done.returncode, "radio.outputs" in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
