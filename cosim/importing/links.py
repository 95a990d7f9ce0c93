# SPDX-License-Identifier: Apache-2.0
"""Recorded links in a folder, and the configuration that plays them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .folder import quoted, told_of, write
from .rates import Series


@dataclass(frozen=True)
class Link:
    """One device's link."""

    name: str
    down: Series | None
    up: Series | None


def tell(links: Sequence[Link]) -> list[str]:
    """For the preview."""
    lines = []
    for link in links:
        for way, series in (("down", link.down), ("up", link.up)):
            lines += [f"{link.name}.{way}: nothing"] if series is None else told_of(f"{link.name}.{way}", series.told())
    return lines


def write_links(links: Sequence[Link], folder: Path) -> Path:
    """Write `NAME.down.csv` and `NAME.up.csv` of each link, and `radio.toml`. Raises `RequestError` naming OUT."""
    files = {
        f"{link.name}.{way}.csv": series.csv()
        for link in links
        for way, series in (("down", link.down), ("up", link.up))
        if series is not None
    }
    return write(folder, files, radio(folder, [link.name for link in links], files))


def radio(folder: Path, names: Sequence[str], files: Sequence[str] | dict[str, str], suffix: str = ".csv") -> str:
    """The configuration of devices on recordings `NAME.down` and `NAME.up`, with this suffix."""
    lines = ["[radio]", 'scenario = "recorded"', f"devices = {len(names)}"]
    for key, way in (("downlink", "down"), ("uplink", "up")):
        found = [
            quoted(folder / f"{name}.{way}{suffix}") if f"{name}.{way}{suffix}" in files else '"example"'
            for name in names
        ]
        made_up = '  # "example": nothing was recorded that way, and it is made up' if '"example"' in found else ""
        lines.append(f"{key} = [{', '.join(found)}]{made_up}")
    return "\n".join([*lines, ""])
