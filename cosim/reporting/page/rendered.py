# SPDX-License-Identifier: Apache-2.0
"""The page put together: what was run, a summary, plots to explore, and every figure with what it says."""

import json
import re
import shlex
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import tomli_w
from bokeh.resources import Resources
from jinja2 import Environment
from markupsafe import Markup

from cosim.reporting.cases import Data, Run
from cosim.reporting.page.packed import packed
from cosim.reporting.page.plots import plots
from cosim.reporting.page.table import table
from cosim.reporting.style import INK, TEXT_IN
from cosim.reporting.written import KINDS, Written

_POINTS_AN_INCH = 72


def rendered(data: Data, written: Sequence[Written], live: dict[str, Any] | None = None) -> str:
    """The page as HTML; `live` says how far a run is that goes on, whose page asks for what is recorded since."""
    environment = Environment(autoescape=True, trim_blocks=True)
    there = files(__package__)
    script, divisions = plots()
    drawn = [each for each in written if not each.lacking]
    return environment.from_string(there.joinpath("page.html").read_text(encoding="utf-8")).render(
        title=_title(data),
        lead=_lead(data, bool(live)),
        live=live,
        runs=[_described(run, data) for run in data.runs],
        table=table(data),
        figures=[
            {"name": each.name, "title": each.title, "text": each.text, "svg": inlined(each), "wide": is_wide(each)}
            for each in drawn
        ],
        lacking=[each for each in written if each.lacking],
        kinds=KINDS,
        version=version("wdmoe-cosim"),
        style=Markup(there.joinpath("page.css").read_text(encoding="utf-8")),
        script=Markup(there.joinpath("page.js").read_text(encoding="utf-8")),
        data=Markup(_json(packed(data, live=bool(live)) | {"live": live})),
        bokeh=Markup("\n".join(Resources(mode="inline", components=["bokeh"], log_level="error").js_raw)),
        bokeh_figures=Markup(script),
        plots={name: Markup(division) for name, division in divisions.items()},
    )


def _json(value: Any) -> str:
    """For an element of a page, which no text of it may end."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _title(data: Data) -> str:
    more = f" and {len(data.runs) - 3} more" if len(data.runs) > 3 else ""
    return f"Report of {', '.join(run.name for run in data.runs[:3])}{more}" if data.runs else "A run that begins"


def _lead(data: Data, live: bool) -> str:
    if not data.cases:
        return "What was run appears here when something was recorded and the page is loaded again."
    exchanges = sum(len(case.exchanges["exchange"]) for case in data.cases)
    tokens = sum(len(case.tokens["latency_s"]) for case in data.cases)
    scenarios = sorted({case.scenario for case in data.exchanging.cases})
    return f"{', '.join(data.groups)}: {exchanges:,} exchanges and {tokens:,} tokens over {', '.join(scenarios)}. " + (
        "" if live else "Each figure has a sentence with its numbers, and lies beside this page as PDF, SVG and PNG."
    )


def _described(run: Run, data: Data) -> dict[str, Any]:
    made = json.loads(run.meta.get("made", "{}"))
    versions = json.loads(run.meta["versions"])
    mine = next((case for case in data.cases if case.run is run), data.cases[0])
    seeds = {"seed": run.config["seed"], **{k: v for k, v in run.config["seeds"].items() if v is not None}}
    facts = {
        "folder": str(run.path),
        "made": made.get("when", "not recorded"),
        "by": shlex.join(made["command"]) if "command" in made else "not recorded",
        "commit": made.get("commit") or "not recorded",
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
        "radio": f"{mine.scenario}, {len(mine.devices)} devices",
        "seeds": ", ".join(f"{name} {value}" for name, value in seeds.items()),
        "fingerprint": run.fingerprint[:16] if run.finished else f"{run.fingerprint[:16]} (did not come to its end)",
    }
    return {
        "name": run.name,
        "facts": list(facts.items()),
        "mishaps": run.mishaps,
        "toml": tomli_w.dumps(_toml(run.config)),
    }


def _toml(value: Any) -> Any:
    """Without what is none, which TOML has no word for and stands for the default."""
    if isinstance(value, dict):
        return {key: _toml(item) for key, item in value.items() if item is not None}
    return [_toml(item) for item in value] if isinstance(value, list) else value


def is_wide(figure: Written) -> bool:
    """Whether a figure is as wide as the text."""
    width = re.search(r'<svg[^>]*\bwidth="([\d.]+)pt"', figure.svg)
    return width is not None and float(width[1]) > _POINTS_AN_INCH * TEXT_IN * 0.75


def inlined(figure: Written) -> Markup:
    """An SVG for the page: with names of its own, letters and axes in the page's colour, labelled with what it says."""
    svg = figure.svg[figure.svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{figure.name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{figure.name}-", svg)
    svg = svg.replace(INK, "currentColor")
    label = Markup.escape(figure.text)
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{label}" fill="currentColor"', 1))
