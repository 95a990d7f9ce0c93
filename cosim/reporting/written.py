# SPDX-License-Identifier: Apache-2.0
"""Figures as files: each as PDF, SVG and PNG, in a folder that is there as a whole or not at all."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from bridge.network import RequestError
from cosim.folders import made, told
from cosim.reporting.cases import Data
from cosim.reporting.figures import FIGURES, OF_TOKENS
from cosim.reporting.figures.drawn import Drawn, Lacking
from cosim.reporting.style import paper

PAGE = "report.html"
KINDS = ("pdf", "svg", "png")
_UNDATED = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


@dataclass(frozen=True)
class Written:
    """A figure that was written: `text` says what it shows, `svg` is its drawing; `lacking` says why there is none."""

    name: str
    title: str
    text: str = ""
    svg: str = ""
    lacking: str = ""


def write(data: Data, folder: Path, names: Sequence[str] = ()) -> list[Written]:
    """Draw these figures, or all, into a folder that is there."""
    found = []
    for name in names or FIGURES:
        plot = FIGURES[name]
        with paper():
            try:
                drawn = plot.draw(data if name in OF_TOKENS else data.exchanging)
            except Lacking as reason:
                found.append(Written(name, plot.TITLE, lacking=str(reason)))
                continue
            found.append(saved(drawn, name, plot.TITLE, folder))
    return found


def saved(drawn: Drawn, name: str, title: str, folder: Path) -> Written:
    """Write a figure in each of its kinds."""
    drawn.figure.draw_without_rendering()
    drawn.figure.set_layout_engine("none")  # what was laid out once stays so for each kind of file
    for kind in KINDS:
        ground = "white" if kind == "png" else "none"
        drawn.figure.savefig(folder / f"{name}.{kind}", metadata=_UNDATED[kind], facecolor=ground)
    return Written(name, title, drawn.text, (folder / f"{name}.svg").read_text(encoding="utf-8"))


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `folder` when all is done; nothing of it stays if that fails.

    What stood there must have been an earlier report. Raises `RequestError` naming --out if not, or if it cannot be
    written.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / PAGE).is_file():
        raise RequestError("--out", f"{folder} holds something that is no report; choose another")
    with made(folder.parent, "--out"), told(folder, "--out"):
        fresh = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            yield fresh
            os.chmod(fresh, 0o777 & ~_umask())
            if folder.exists():
                old = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
                folder.replace(old)
                fresh.replace(folder)
                shutil.rmtree(old)
            else:
                fresh.replace(folder)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
