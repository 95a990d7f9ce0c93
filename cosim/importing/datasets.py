# SPDX-License-Identifier: Apache-2.0
"""Columns of a table of measurements, and of data sets that are known by name."""

from dataclasses import dataclass, field

BITS = {
    "bit/s": 1.0,
    "kbit/s": 1e3,
    "Mbit/s": 1e6,
    "Gbit/s": 1e9,
    "byte/s": 8.0,
    "kbyte/s": 8e3,
    "Mbyte/s": 8e6,
    "bytes": 8.0,
}
"""Bits in a unit; `bytes` are those of a row, the others are rates."""


@dataclass(frozen=True)
class Columns:
    """Which columns say what.

    `at_end`: a row is about the time up to its stamp, not from it on. `counter`: counts bytes over all; where it is 0
    or no number, that row and the next have no rate. `only`: rows that have this in these columns, all others are
    passed over. `latitude` and `longitude` in degrees.
    """

    time: str | None = None
    time_format: str | None = None
    down: str | None = None
    up: str | None = None
    unit: str | None = None
    at_end: bool = False
    counter: str | None = None
    only: dict[str, str] = field(default_factory=dict)
    latitude: str | None = None
    longitude: str | None = None


DATASETS = {
    "irish-5g": Columns(
        time="Timestamp",
        time_format="%Y.%m.%d_%H.%M.%S",
        down="DL_bitrate",
        up="UL_bitrate",
        unit="kbit/s",
        latitude="Latitude",
        longitude="Longitude",
    ),
    "lumos5g": Columns(
        time="seq_num", time_format="s", down="Throughput", unit="Mbit/s", latitude="latitude", longitude="longitude"
    ),
    "5gophers": Columns(time="seq_num", time_format="s", down="throughput_mbps", unit="Mbit/s"),
    "mtu": Columns(
        time="Time",
        time_format="%a %b %d %H:%M:%S UTC %Y",
        up="RATE(MBit/s)",
        unit="Mbit/s",
        at_end=True,
        counter="Sent Bytes",
    ),
}
"""Of Raca et al. (MMSys 2020), Narayanan et al. (IMC 2020, and WWW 2020), and Munster Technological University."""
