# SPDX-License-Identifier: Apache-2.0
"""Captures of packets, pcap and pcapng, with whole packets or only their beginnings."""

import socket
from collections import Counter
from pathlib import Path
from typing import Any

import dpkt

from bridge.csv_rows import FileRefused

from .loads import Capture, Packet, capture

IPV6_HEADER_BYTES = 40
FRAMES = {
    dpkt.pcap.DLT_EN10MB: dpkt.ethernet.Ethernet,
    dpkt.pcap.DLT_LINUX_SLL: dpkt.sll.SLL,
    dpkt.pcap.DLT_LINUX_SLL2: dpkt.sll2.SLL2,
    dpkt.pcap.DLT_NULL: dpkt.loopback.Loopback,
    dpkt.pcap.DLT_LOOP: dpkt.loopback.Loopback,
}
RAW = {dpkt.pcap.DLT_RAW, 14, 101, dpkt.pcap.DLT_IPV4, dpkt.pcap.DLT_IPV6}  # the IP header comes first


def read(file: Path, user: str | None) -> Capture:
    """A user's packets. Raises `FileRefused`, which names the packet by its number."""
    skipped: Counter[str] = Counter()
    packets: list[Packet] = []
    number = 0
    try:
        with file.open("rb") as content:
            reader = dpkt.pcap.UniversalReader(content)
            link = reader.datalink()
            if link not in FRAMES and link not in RAW and link != dpkt.pcap.DLT_PPP:
                raise FileRefused(
                    f"{file}: link type {link} is not read; Ethernet, Linux cooked, PPP, loopback and raw IP are"
                )
            for number, (time_s, frame) in enumerate(reader, 1):  # noqa: B007
                packet = _packet(float(time_s), _ip(link, frame))
                if packet is None:
                    skipped["no IP, or too short for its header"] += 1
                else:
                    packets.append(packet)
    except OSError as error:
        raise FileRefused(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, dpkt.Error) as error:
        if isinstance(error, FileRefused):
            raise
        reason = f"packet {number + 1} cannot be read" if number else "neither pcap nor pcapng"
        raise FileRefused(f"{file}: {reason}: {error}") from None
    return capture(file, packets, user, skipped)


def _ip(link: int, frame: bytes) -> Any:
    try:
        if link == dpkt.pcap.DLT_PPP:  # RFC 1661; RFC 1662 has two bytes more
            link, frame = dpkt.pcap.DLT_RAW, frame[4 if frame[:2] == b"\xff\x03" else 2 :]
        if link in RAW:
            return (dpkt.ip6.IP6 if frame[:1] and frame[0] >> 4 == 6 else dpkt.ip.IP)(frame)
        return FRAMES[link](frame).data
    except (dpkt.Error, ValueError, IndexError):
        return None


def _packet(time_s: float, ip: Any) -> Packet | None:
    """Lengths are those of the header, since a capture may have cut what follows."""
    if isinstance(ip, dpkt.ip.IP):
        family, size = socket.AF_INET, int(ip.len)
    elif isinstance(ip, dpkt.ip6.IP6):
        family, size = socket.AF_INET6, int(ip.plen) + IPV6_HEADER_BYTES
    else:
        return None
    return Packet(time_s, socket.inet_ntop(family, ip.src), socket.inet_ntop(family, ip.dst), size or len(ip))
