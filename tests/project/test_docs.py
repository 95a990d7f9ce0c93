# SPDX-License-Identifier: GPL-2.0-only
"""The documentation beside the code: every scenario's parameters with their defaults, and every link between pages."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from msgspec import json

from ns3_scenarios.scenario import Scenario
from ns3_scenarios.scenarios import SCENARIOS as KNOWN
from tests import ROOT

TOP = ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY", "CODE_OF_CONDUCT")
PAGES = [ROOT / f"{name}.md" for name in TOP]
PAGES += [page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent != ROOT / "docs/site"]
"""Without the site's own first page, whose links the site's build follows."""
TOLD_BY = {"lte-multicell": "lte", "nr-multicell": "nr"}
"""Scenarios whose page says only what they have of their own, and whose page has the rest."""
_RANGE = re.compile(r"([\d.]+) to ([\d.]+), (?:geometric|evenly)")

SCENARIOS = {name: kind for name, kind in KNOWN.items() if kind.__module__.startswith("ns3_scenarios.")}
"""Without those of other tests in this process."""


def documented(scenario: str) -> dict[str, str]:
    """The parameters in the table of a scenario's page, and what stands there as their defaults."""
    text = (ROOT / "docs/scenarios" / f"{scenario}.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`radio\.\w+`(?:, )?)+) \| (.*?) \|", text, re.MULTILINE)
    shown: dict[str, str] = {}
    for cell, defaults in rows:
        names = re.findall(r"`radio\.(\w+)`", cell)
        values = [defaults] if len(names) == 1 else defaults.split(", ")
        shown |= dict(zip(names, (value.strip("`") for value in values), strict=True))
    return shown


def is_default(shown: str, name: str, scenario: Scenario) -> bool:
    """Whether `shown` is what a parameter is without being given: as TOML, or in words where there is no one value."""
    value = json.decode(json.encode(getattr(scenario, name)))
    if value is not None and (ends := _RANGE.fullmatch(shown)):
        return (float(ends[1]), float(ends[2])) == (pytest.approx(value[0]), pytest.approx(value[-1]))
    try:
        return bool(tomllib.loads(f"value = {shown}")["value"] == value)
    except tomllib.TOMLDecodeError:
        fields = type(scenario).__struct_fields__
        defaults = type(scenario).__struct_defaults__
        return dict(zip(fields[len(fields) - len(defaults) :], defaults, strict=True))[name] is None


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_page_of_a_scenario_lists_its_parameters_with_their_defaults(name):
    kind = SCENARIOS[name]
    shown = documented(name)
    own = {*kind.__struct_fields__} - {*Scenario.__struct_fields__}
    assert shown.pop("scenario") == f'"{name}"'
    assert shown.keys() <= {"transport", *own}
    elsewhere = documented(TOLD_BY[name]) if name in TOLD_BY else {}
    assert own <= shown.keys() | elsewhere.keys()
    plain = kind()
    assert [f"{each}: {text}" for each, text in shown.items() if not is_default(text, each, plain)] == []


def test_every_scenario_has_a_page():
    assert {path.stem for path in (ROOT / "docs/scenarios").glob("*.md")} == {*SCENARIOS}


def links(page: Path) -> Iterator[str]:
    """What a page links to, code left out."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"\]\((?!https?:)([^)\s]+)\)", re.sub(r"`[^`\n]*`(?!\]\()", "", text))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = [re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_is_linked_to():
    linked = {
        (page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in links(page) if link[0] != "#"
    }
    assert [str(page) for page in PAGES[len(TOP) :] if page not in linked and page != ROOT / "docs/README.md"] == []


def test_every_claim_of_the_validation_page_has_a_command_that_is_there_and_a_date():
    text = (ROOT / "docs/inside/validation.md").read_text(encoding="utf-8")
    rows = [row.strip("| ").split(" | ") for row in re.findall(r"^\| .* \|$", text, re.MULTILINE)]
    claims = [row for row in rows if row[0] != "claim"]
    assert len(claims) > 30
    for _, figure, shown_by, date in claims:
        assert figure
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", date), date
        assert "`" in shown_by
        files = re.findall(r"`(tests/[\w/]+\.py)`", shown_by)
        files += [module.replace(".", "/") + ".py" for module in re.findall(r"`python -m ([\w.]+)", shown_by)]
        assert [file for file in files if not (ROOT / file).is_file()] == []


FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"))


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_an_issue_form_has_what_the_host_of_the_repository_asks_for(form):
    told = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert all(told[part] for part in ("name", "description", "body"))
    asked = [field for field in told["body"] if field["type"] != "markdown"]
    assert all(field["attributes"]["label"] for field in asked)
    assert len({field["id"] for field in asked}) == len(asked) > 1
    assert any(field["validations"]["required"] for field in asked)


def test_the_citation_has_what_the_citation_file_format_requires():
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    for work in (told, *told["references"]):
        assert work["title"]
        assert all(author.get("family-names") or author.get("name") for author in work["authors"])
    assert told["cff-version"] == "1.2.0"
    assert told["message"]
