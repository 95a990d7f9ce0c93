# SPDX-License-Identifier: Apache-2.0
"""The documentation's site: which page stands where, what is generated, and that a broken link is found."""

import re
import sys
from pathlib import Path

import pytest

from model_side.policies import COMPOSITIONS, POLICIES
from tests import ROOT

sys.path[:0] = [str(ROOT / "docs/site")]

import links  # noqa: E402
import make_site  # noqa: E402
import reference  # noqa: E402


def places(there: list[str]) -> dict[str, list[str]]:
    """The captions under which each page stands."""
    found: dict[str, list[str]] = {}
    for caption, entries in make_site.sections(there):
        for entry in entries:
            found.setdefault(entry.partition("<")[2].rstrip(">") or entry, []).append(caption)
    return found


def test_every_page_stands_in_one_section():
    there = [*make_site.pages(), "reference/commands", "notebooks/index"]
    assert {page: len(captions) for page, captions in places(there).items()} == dict.fromkeys(there, 1)


def test_a_new_page_appears_by_itself():
    there = make_site.pages()
    assert places([*there, "docs/world/weather"])["docs/world/weather"] == places(there)["docs/world/life"]


def test_a_page_in_a_folder_that_no_section_knows_is_named():
    with pytest.raises(make_site.SiteError, match=r"docs/law/tax\.md: in no section; .*docs/site/sections\.toml"):
        make_site.sections([*make_site.pages(), "docs/law/tax"])


def test_links_of_the_site_are_followed_to_files_and_anchors(tmp_path):
    (tmp_path / "low").mkdir()
    (tmp_path / "low/one.html").write_text(
        '<h1 id="top">One</h1><a href="../two.html#a%20b">there</a><a href="#top">up</a>'
    )
    (tmp_path / "two.html").write_text(
        '<i id="a b"></i><a href="low/one.html">back</a><a href="https://x.example/">out</a>'
    )
    assert links.follow(tmp_path) == (3, [])
    (tmp_path / "two.html").write_text(
        '<a href="low/one.html#gone">x</a><img src="low/none.png"><a href="low/one.html">y</a>'
    )
    assert links.follow(tmp_path) == (
        5,
        [
            "low/one.html: ../two.html#a%20b leads nowhere",
            "two.html: low/none.png leads nowhere",
            "two.html: low/one.html#gone leads nowhere",
        ],
    )


def test_what_a_page_links_to_beside_pages_is_brought_along(tmp_path):
    (tmp_path / "code.py").touch()
    page = tmp_path / "page.md"
    page.write_text("[a](code.py) [b](page.md) [c](https://x.example/code.py) [d](none.py)")
    assert links.linked_files(page) == {tmp_path / "code.py"}


def test_every_option_that_the_commands_declare_is_on_their_page():
    page = reference.commands()
    declared = {
        option
        for path in (ROOT / "cosim").rglob("cli.py")
        for option in re.findall(r'Option\(\s*"(--[\w-]+)"', path.read_text(encoding="utf-8"))
    }
    assert len(declared) > 8
    assert [option for option in sorted(declared - {"--version"}) if f"`{option}" not in page] == []
    assert "cosim import mahimahi" in page


def test_the_keys_that_are_generated_are_those_that_are_explained_with_the_same_defaults():
    told = dict(re.findall(r"^\| `([\w.]+)` \| `(.*?)` \|", explained(), re.MULTILINE))
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| (?:`(.*?)` \| )?(.+) \|$", reference.configuration(), re.MULTILINE)
    assert {key for key, *_ in rows} == {key for key in told if not key.startswith("radio.")}
    for key, _, default, meaning in rows:
        assert meaning
        if not key.startswith("seeds."):
            assert default == told[key], key


def explained() -> str:
    return Path(ROOT / "docs/runs/configuration.md").read_text(encoding="utf-8")


def test_every_policy_has_a_section_with_its_options():
    page = reference.policies()
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == [*POLICIES, *COMPOSITIONS]
    options = {f"policy.{name}.{field}" for name, kind in POLICIES.items() for field in kind.__struct_fields__}
    assert set(re.findall(r"^\| `(policy\..*?)` \|", page, re.MULTILINE)) == options


def test_words_of_docstrings_are_no_markup():
    assert reference.plain("w_i < *k* in `a_b`, see docs/runs/what-if.md.") == (
        r"w\_i \< \*k\* in `a_b`, see [docs/runs/what-if.md](../docs/runs/what-if.md)."
    )
