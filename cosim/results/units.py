# SPDX-License-Identifier: Apache-2.0
"""The units of columns, which the ends of their names say."""

UNITS = {"ns": "ns", "s": "s", "bytes": "bytes", "db": "dB", "bps": "bit/s", "j": "J", "w": "W", "m": "m", "mps": "m/s"}


def unit_of(column: str) -> dict[str, str] | None:
    """The unit that the end of a column's name says, as the metadata of a Parquet column; None for none."""
    _, separator, end = column.rpartition("_")
    return {"unit": UNITS[end]} if separator and end in UNITS else None
