# SPDX-License-Identifier: GPL-2.0-only
"""Imported captures: files packed here byte by byte, and what their packets are as a load."""

import struct
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bridge.network import NS_PER_S
from ns3_scenarios.scenarios.lte import Lte
from ns3_scenarios.world.background import Recorded, read_recording
from tests.support.background_flows import Flow, observe, until
from tests.support.importing import imported, refusal

US = 1_000_000
BEGAN_S = 1_700_000_000


class Seen(NamedTuple):
    """A packet of IPv4 or IPv6: microseconds since the first, hosts by number, length from the IP header on."""

    time_us: int
    source: int
    destination: int
    ip_bytes: int
    version: int = 4


PACKETS = [
    Seen(0, 1, 2, 1500),
    Seen(10, 2, 1, 40),
    Seen(500_000, 1, 2, 1500),
    Seen(500_000, 3, 4, 99),
    Seen(1_250_000, 3, 2, 500, 6),
    Seen(1_250_000, 2, 3, 28),
    Seen(2_000_000, 2, 3, 60, 6),
]
DOWN = [(0.0, 1472), (0.5, 1472)]
UP = [(10e-6, 12), (1.25, 1)]


def ip(packet: Seen) -> bytes:
    if packet.version == 4:
        ends = bytes([10, 0, 0, packet.source]) + bytes([10, 0, 0, packet.destination])
        header = struct.pack(">BBHHHBBH", 0x45, 0, packet.ip_bytes, 1, 0, 64, 17, 0) + ends
    else:
        ends = bytes([0xFD] + [0] * 14 + [packet.source]) + bytes([0xFD] + [0] * 14 + [packet.destination])
        header = struct.pack(">IHBB", 6 << 28, packet.ip_bytes - 40, 17, 64) + ends
    return header + bytes(packet.ip_bytes - len(header))


def ethernet(packet: Seen) -> bytes:
    return bytes(12) + struct.pack(">H", {4: 0x0800, 6: 0x86DD}[packet.version]) + ip(packet)


def tagged(packet: Seen) -> bytes:
    return bytes(12) + struct.pack(">HH", 0x8100, 7) + ethernet(packet)[12:]


def cooked(packet: Seen) -> bytes:
    return struct.pack(">HHH8s", 0, 1, 6, b"") + ethernet(packet)[12:]


def point_to_point(packet: Seen) -> bytes:
    return struct.pack(">H", {4: 0x0021, 6: 0x0057}[packet.version]) + ip(packet)


ARP = bytes(12) + struct.pack(">H", 0x0806) + bytes(28)


def pcap(
    frames: list[tuple[int, bytes]], link: int = 1, snap: int = 2**16, order: str = "<", nano: bool = False
) -> bytes:
    content = struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, snap, link)
    for time_us, frame in frames:
        second, part = divmod(time_us, US)
        content += struct.pack(
            order + "IIII", BEGAN_S + second, part * (1000 if nano else 1), len(frame[:snap]), len(frame)
        )
        content += frame[:snap]
    return content


def pcapng(frames: list[tuple[int, bytes]], link: int = 1) -> bytes:
    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    content = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack("<HHI", link, 0, 0))
    for time_us, frame in frames:
        high, low = divmod(BEGAN_S * US + time_us, 2**32)
        content += block(6, struct.pack("<IIIII", 0, high, low, len(frame), len(frame)) + frame)
    return content


def framed(frame: Any) -> list[tuple[int, bytes]]:
    return [(packet.time_us, frame(packet)) for packet in PACKETS]


FILES = {
    "ethernet": pcap(framed(ethernet)),
    "the first 60 bytes, nanoseconds": pcap(framed(ethernet), snap=60, nano=True),
    "the other byte order": pcap(framed(ethernet), order=">"),
    "a VLAN": pcap(framed(tagged)),
    "Linux cooked": pcap(framed(cooked), 113),
    "point to point": pcap(framed(point_to_point), 9),
    "raw IP": pcap(framed(ip), 101),
    "pcapng": pcapng(framed(ethernet)),
    "not in order": pcap([(700_000, ARP), *reversed(framed(ethernet))]),
}


def rows(radio: dict[str, Any], way: str) -> list[tuple[float, int]]:
    """Times in s and bytes, as the scenario reads them."""
    loads = Lte.parse({"background": radio["background"]}).background
    (load,) = [load for load in loads if load.direction == way]
    assert isinstance(load, Recorded)
    flat = read_recording(load)
    return [(at_ns / NS_PER_S, size) for at_ns, size in zip(flat[::2], flat[1::2], strict=True)]


@pytest.mark.parametrize("content", FILES)
def test_a_capture_is_a_load_as_long_in_ip_as_it_was(tmp_path, content):
    (tmp_path / "a.pcap").write_bytes(FILES[content])
    radio = imported(tmp_path / "out", "pcap", "--user", "10.0.0.2", tmp_path / "a.pcap")
    for way, expected in (("down", DOWN), ("up", UP)):
        found = rows(radio, way)
        assert [size for _, size in found] == [size for _, size in expected]
        assert [time_s for time_s, _ in found] == pytest.approx([time_s for time_s, _ in expected], abs=1e-6)


def test_ipv6_and_who_takes_part_most_are_found(tmp_path, capsys):
    (tmp_path / "a.pcap").write_bytes(pcap([*framed(ethernet), (3, ARP)]))
    radio = imported(tmp_path / "six", "pcap", "--user", "fd00::2", tmp_path / "a.pcap")
    assert rows(radio, "down") == [(1.25, 472)]
    assert rows(radio, "up") == [(2.0, 32)]
    radio = imported(tmp_path / "out", "pcap", tmp_path / "a.pcap")
    said = capsys.readouterr().out
    assert [size for _, size in rows(radio, "down")] == [size for _, size in DOWN]
    assert "a: the user is 10.0.0.2" in said
    assert "skipped 1: no IP" in said
    assert "skipped 3: between others" in said


def test_wireshark_s_list_is_the_same_load_as_its_capture(tmp_path):
    lines = ['"No.","Time","Source","Destination","Protocol","Length","Info"']
    for i, packet in enumerate(PACKETS, 1):
        ends = [f"10.0.0.{host}" if packet.version == 4 else f"fd00::{host}" for host in packet[1:3]]
        info = 'GET ""/a,b"" #1'
        lines.append(
            f'"{i}","{packet.time_us / US:.6f}","{ends[0]}","{ends[1]}","TCP","{packet.ip_bytes + 14}","{info}"'
        )
    (tmp_path / "a.csv").write_text("\n".join([*lines, ""]))
    radio = imported(tmp_path / "out", "wireshark", "--user", "10.0.0.2", tmp_path / "a.csv")
    assert (rows(radio, "down"), rows(radio, "up")) == (DOWN, UP)


def test_a_capture_is_played_beside_the_devices(ns3, tmp_path):
    """On a shared cable: by when what was offered, and that it arrives."""
    (tmp_path / "a.pcap").write_bytes(FILES["ethernet"])
    radio = imported(tmp_path / "out", "pcap", "--user", "10.0.0.2", tmp_path / "a.pcap")
    times_s = [0.25, 1, 2]
    steps = [until(round(after * NS_PER_S)) for after in (0.25, 0.75, 1)]
    flows = ns3(observe, "wired", radio["background"], steps, kind="csma", devices=1).flows
    for time_s, both in zip(times_s, flows, strict=True):
        for flow, sent in zip(both, (DOWN, UP), strict=True):
            offered = sum(size for at_s, size in sent if at_s <= time_s)
            assert flow == Flow(offered, 0, offered)


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("pcap", b"no capture at all, but longer than any header of one", ": neither pcap nor pcapng: "),
        ("pcap", b"", ": neither pcap nor pcapng: "),
        ("pcap", FILES["ethernet"][:-1600][:24], ": no IP packet in it"),
        ("pcap", FILES["ethernet"][: 24 + 16 + 1514 + 5], ": packet 2 cannot be read"),
        ("pcap", pcap(framed(ethernet), 105), ": link type 105 is not read; Ethernet, "),
        ("pcap", FILES["ethernet"], ": no packet from or to 10.9.9.9; most are from or to 10.0.0.2"),
        (
            "wireshark",
            b'"Time","Source","Destination","Length"\n"0","a","b","big"\n',
            ":2: Length 'big' is not a number",
        ),
        ("wireshark", b'"Time","Source","Destination"\n"0","a","b"\n', ":1: no column Length among"),
        ("wireshark", b"Time,Source,Destination,Length\n1,a,b,60\n0,a,b,60\n", ":3: Time 0 goes back"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_place(tmp_path, kind, content, expected):
    file: Path = tmp_path / "a"
    file.write_bytes(content)
    assert refusal(kind, "--user", "10.9.9.9", file, tmp_path / "out").startswith(f"FILE: {file}{expected}")
