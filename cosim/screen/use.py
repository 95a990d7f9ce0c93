# SPDX-License-Identifier: Apache-2.0
"""What part of the time devices, links and the base station of each variant were busy, as a table."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from cosim.results.summary import VariantSummary
from cosim.screen.fitting import print_table


def print_use(variants: Sequence[VariantSummary], console: Console) -> None:
    """Print it device by device, then the base station, and of a shared band how much the payload took."""
    title = "busy, part of the time from when the network was ready"
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for heading in ("policy", "of", "downlink", "computing", "uplink"):
        table.add_column(heading, justify="left" if heading in ("policy", "of") else "right")
    for variant in variants:
        use = variant.use
        if use is None:
            continue
        table.add_section()
        shares = zip(use.downlink.tolist(), use.compute.tolist(), use.uplink.tolist(), strict=True)
        rows = [(device.name, *map(_share, each)) for device, each in zip(variant.devices, shares, strict=True)]
        rows.append(("base station", "", _share(use.base_station), ""))
        if use.band is not None:
            rows.append(("the whole band, payload", _share(use.band[0]), "", _share(use.band[1])))
        for number, row in enumerate(rows):
            table.add_row(variant.title if number == 0 else "", *row)
    if table.row_count:
        print_table(table, console)


def _share(part: float) -> str:
    return f"{part:.1%}"
