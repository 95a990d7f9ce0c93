# SPDX-License-Identifier: Apache-2.0
"""How figures look in print: column widths and font sizes of a two-column paper, colours that all readers tell apart.

Widths and sizes are those that tueplots has for ICML 2024 (column 3.25 in, text 6.75 in), which go into the columns of
IEEE and ACM papers too; letters are STIX, which come with matplotlib, so that a figure is the same on every machine.
Colours: M. Okabe and K. Ito, "Color Universal Design" (2008), but its yellow; maps of numbers: cividis.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tueplots import bundles

INK = "#1a1b1c"
"""Of letters and axes; the page puts its own colour in its place."""
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F", "#8C510A")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (7, 2)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "//", "..", "xx", "\\\\", "++")
MAP = "cividis"
COLUMN_IN, TEXT_IN = 3.25, 6.75


@contextmanager
def paper() -> Iterator[None]:
    """Inside, figures are made and written as for a paper; two of the same data are the same to the byte."""
    bundle = bundles.icml2024(column="half", usetex=False, family="serif")
    ours: dict[Any, Any] = {
        "font.serif": ["STIXGeneral"],
        "mathtext.fontset": "stix",
        "axes.titlesize": 7,
        "axes.labelsize": 7,
        "legend.frameon": False,
        "legend.handlelength": 2.2,
        "axes.linewidth": 0.5,
        "lines.linewidth": 1.0,
        "lines.markersize": 3.5,
        "xtick.major.width": 0.5,
        "ytick.major.width": 0.5,
        "hatch.linewidth": 0.35,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": INK,
        "grid.alpha": 0.15,
        "grid.linewidth": 0.4,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=COLOURS),
        "image.cmap": MAP,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "savefig.dpi": 300,
        "pdf.fonttype": 42,
        "svg.fonttype": "path",
        "svg.hashsalt": "cosim",
        **dict.fromkeys(
            ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "patch.edgecolor"), INK
        ),
    }
    with mpl.rc_context(dict(bundle) | ours):
        yield


def panels(
    rows: int = 1, columns: int = 1, *, wide: bool = False, panel_in: float = 1.9, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure as wide as a column, or `wide` as the text, whose rows are `panel_in` high; its panels row by row."""
    figure = Figure(figsize=(TEXT_IN if wide else COLUMN_IN, panel_in * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.ravel())


def colour(index: int) -> str:
    """Of the label, device or part of this number."""
    return COLOURS[index % len(COLOURS)]


def dash(index: int) -> Any:
    """Its kind of line, so that print without colour tells it too."""
    return DASHES[index % len(DASHES)]


def legend(figure: Figure, axes: Axes, columns: int = 3) -> None:
    """One legend above all panels, of what has a label in one of them."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside upper center", ncols=min(columns, len(labels)), borderpad=0)
