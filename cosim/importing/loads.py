# SPDX-License-Identifier: Apache-2.0
"""Captured packets in a folder, as background load: each becomes a datagram that is as long in IPv4."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bridge.csv_rows import FileRefused

from .folder import quoted, told_of, write

UDP_IPV4_BYTES = 20 + 8
"""Headers that the load itself gets in the simulation."""


class Packet(NamedTuple):
    """When it was seen, from whom to whom, and its length from the IP header on."""

    time_s: float
    source: str
    destination: str
    ip_bytes: int


@dataclass
class Capture:
    """A user's packets, as times in s from the first one and bytes of payload, by the way they go."""

    name: str
    user: str
    rows: dict[str, list[tuple[float, int]]]
    skipped: Counter[str] = field(default_factory=Counter)

    def told(self) -> list[str]:
        """For the preview."""
        lines = [f"the user is {self.user}"]
        for way, rows in self.rows.items():
            span_s = rows[-1][0] - rows[0][0] if rows else 0.0
            mean = f", {8e-6 * sum(size for _, size in rows) / span_s:.4g} Mbit/s" if span_s else ""
            sizes = sorted(size for _, size in rows)
            if sizes:
                spread = f"least {sizes[0]}, median {sizes[len(sizes) // 2]}, greatest {sizes[-1]} bytes"
                lines.append(f"{way}: {len(rows)} packets over {span_s:.10g} s; {spread} of payload{mean}")
            else:
                lines.append(f"{way}: nothing")
        return lines + [f"skipped {count}: {reason}" for reason, count in self.skipped.items()]


def capture(file: Path, packets: list[Packet], user: str | None, skipped: Counter[str]) -> Capture:
    """What a user received and sent; without a name it is who has a part in most packets. Raises `FileRefused`."""
    ends = Counter(end for packet in packets for end in dict.fromkeys((packet.source, packet.destination)))
    if not ends:
        raise FileRefused(f"{file}: no IP packet in it")
    if user is not None and user not in ends:
        known = ", ".join(name for name, _ in ends.most_common(5))
        raise FileRefused(f"{file}: no packet from or to {user}; most are from or to {known}")
    who = user or ends.most_common(1)[0][0]
    found = Capture(file.stem, who, {"down": [], "up": []}, skipped)
    first_s = min(packet.time_s for packet in packets)
    for packet in sorted(packets, key=lambda packet: packet.time_s):
        if who not in (packet.source, packet.destination):
            found.skipped["between others"] += 1
            continue
        payload_bytes = max(packet.ip_bytes - UDP_IPV4_BYTES, 1)
        found.rows["up" if packet.source == who else "down"].append((packet.time_s - first_s, payload_bytes))
    return found


def tell(captures: list[Capture]) -> list[str]:
    """For the preview."""
    return [line for one in captures for line in told_of(one.name, one.told())]


def write_loads(captures: list[Capture], folder: Path) -> Path:
    """Write `NAME.down.csv`, `NAME.up.csv` and `radio.toml`, with another user for each capture."""
    files, lines = {}, ["[radio]", 'scenario = "lte"']
    for one in captures:
        for way, rows in one.rows.items():
            if rows:
                file = f"{one.name}.{way}.csv"
                files[file] = "\n".join(["time_s,bytes", *(f"{at_s:.9f},{size}" for at_s, size in rows), ""])
                lines += ["", "[[radio.background]]", 'kind = "recorded"', f'direction = "{way}"']
                lines += [f"file = {quoted(folder / file)}"]
    return write(folder, files, "\n".join([*lines, ""]))
