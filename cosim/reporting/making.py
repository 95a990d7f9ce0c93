# SPDX-License-Identifier: Apache-2.0
"""A report made of runs: read, drawn, written, in one go or not at all."""

from collections.abc import Sequence
from pathlib import Path

from bridge.names import meant
from bridge.network import RequestError
from cosim.folders import made, told
from cosim.reporting.cases import load
from cosim.reporting.figures import FIGURES
from cosim.reporting.page.rendered import rendered
from cosim.reporting.place import is_study
from cosim.reporting.written import KINDS, PAGE, replaced, write


def make(runs: Sequence[Path], out: Path | None = None, figures: Sequence[str] = ()) -> list[Path]:
    """Write the report of these runs to `out`, by default `report` in the first one's folder; what to look at.

    Of `figures` only those are written, by name, and no page; what else is in the folder stays. Raises `RequestError`
    naming RUN, --figure or --out; an earlier report stays as it was then.
    """
    if any(map(is_study, runs)):
        from cosim.reporting.studies import page  # noqa: PLC0415  (pyarrow is only for who has studies)

        if len(runs) > 1:
            raise RequestError("STUDY", "is reported by itself; leave the others away")
        return page.make(runs[0], out, figures)
    for name in figures:
        if name not in FIGURES:
            there = f"there are {', '.join(FIGURES)}{meant(name, FIGURES)}"
            raise RequestError("--figure", f"nobody knows {name!r}; {there}")
    data = load(runs)
    first = runs[0] if runs[0].is_dir() else runs[0].parent
    folder = out or first / "report"
    if figures:
        with made(folder, "--out"), told(folder, "--out"):
            for each in write(data, folder, figures):
                if each.lacking:
                    raise RequestError("--figure", f"{each.name} has nothing to show: {each.lacking}")
        return [folder / f"{name}.{kind}" for name in figures for kind in KINDS]
    with replaced(folder) as fresh:
        (fresh / PAGE).write_text(rendered(data, write(data, fresh)), encoding="utf-8")
    return [folder / PAGE]
