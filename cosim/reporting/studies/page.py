# SPDX-License-Identifier: Apache-2.0
"""The report of a study: a page with a table of its labels, and its figures as files beside it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from bridge.names import meant
from bridge.network import RequestError
from cosim.folders import made, told
from cosim.reporting.figures import arrival_rate, goodput, throughput
from cosim.reporting.figures.drawn import Drawn, Lacking
from cosim.reporting.page.rendered import inlined, is_wide
from cosim.reporting.studies.drawing import effects, front
from cosim.reporting.studies.rows import StudyRows, study_rows
from cosim.reporting.style import paper
from cosim.reporting.written import KINDS, PAGE, Written, replaced, saved

_MOST_LABELS = 60
_MOST_KEYS = 8


def make(folder: Path, out: Path | None, figures: Sequence[str] = ()) -> list[Path]:
    """Write the report of a study to `out`, by default `report` in its folder; as `cosim.reporting.making.make`."""
    study = study_rows(folder)
    there = out or folder / "report"
    known = _figures(study)
    for name in figures:
        if name not in known:
            raise RequestError("--figure", f"nobody knows {name!r}; there are {', '.join(known)}{meant(name, known)}")
    if figures:
        with made(there, "--out"), told(there, "--out"):
            for each in _written({name: known[name] for name in figures}, there):
                if each.lacking:
                    raise RequestError("--figure", f"{each.name} has nothing to show: {each.lacking}")
        return [there / f"{name}.{kind}" for name in figures for kind in KINDS]
    with replaced(there) as fresh:
        page = _rendered(study, _written(known, fresh))
        (fresh / PAGE).write_text(page, encoding="utf-8")
    return [there / PAGE]


def _figures(study: StudyRows) -> dict[str, tuple[str, Callable[[], Drawn]]]:
    """By name: the title, and what draws it."""
    found: dict[str, tuple[str, Callable[[], Drawn]]] = {"front": ("Quality against latency", partial(front, study))}
    if study.services.runs:
        of_services = (throughput, arrival_rate, goodput)
        found |= {each.NAME: (each.TITLE, partial(each.of, study.services)) for each in of_services}
    for key in study.varied[:_MOST_KEYS]:
        found[f"by-{key.replace('.', '-')}"] = (f"By {key}", partial(effects, study, key))
    return found


def _written(figures: Mapping[str, tuple[str, Callable[[], Drawn]]], folder: Path) -> list[Written]:
    found = []
    for name, (title, draw) in figures.items():
        with paper():
            try:
                drawn = draw()
            except Lacking as reason:
                found.append(Written(name, title, lacking=str(reason)))
                continue
            found.append(saved(drawn, name, title, folder))
    return found


def _rendered(study: StudyRows, written: Sequence[Written]) -> str:
    environment = Environment(autoescape=True, trim_blocks=True)
    page, here = files("cosim.reporting.page"), files(__package__)
    measures = [measure for measure in study.measures if any(measure.of(row) is not None for row in study.rows)]
    labels = list(study.groups.items())
    table = [
        (label, len(rows), [_mean(measure.of, measure.digits, list(rows.values())) for measure in measures])
        for label, rows in labels[:_MOST_LABELS]
    ]
    return environment.from_string(here.joinpath("study.html").read_text(encoding="utf-8")).render(
        title=f"Study {study.folder.resolve().name}",
        lead=_lead(study),
        measures=[f"{measure.name}{f' in {measure.unit}' if measure.unit else ''}" for measure in measures],
        table=table,
        more=len(labels) - len(table),
        figures=[
            {"name": each.name, "title": each.title, "text": each.text, "svg": inlined(each), "wide": is_wide(each)}
            for each in written
            if not each.lacking
        ],
        kinds=KINDS,
        version=version("wdmoe-cosim"),
        style=Markup(page.joinpath("page.css").read_text(encoding="utf-8")),
    )


def _mean(of: object, digits: int, rows: Sequence[dict[str, object]]) -> str:
    assert callable(of)
    known = [value for row in rows if (value := of(row)) is not None]
    return f"{np.mean(known):,.{digits}f}" if known else "-"


def _lead(study: StudyRows) -> str:
    varied = ", ".join(study.varied) or "nothing but policies and seeds"
    failed = f" {study.failed} failed, and are not in it." if study.failed else ""
    return f"{len(study.rows):,} runs, {len(study.groups):,} labels; what varies: {varied}.{failed}"
