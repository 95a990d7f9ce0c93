# SPDX-License-Identifier: Apache-2.0
"""Try the pins of constraints.txt with other Pythons: python .ci/pins.py 3.12 3.13.

For each version of Python the package index is asked whether every pinned release has a wheel that this machine could
install, or, for those that come as sources only (`SOURCES`), those. Nothing else is fetched. What is missing is named
and fails, and so does a version of Python that pyproject.toml admits and ns-3 has no wheel for, or the other way round.
"""

import contextlib
import json
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version
from pip._internal.models.index import PyPI  # its address, where pip's configuration names no other

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("cppyy", "cppyy-backend", "CPyCppyy")  # compiled at install
TIMEOUT_S = 20

Page = list[dict[str, str | None]]


def index() -> str:
    """The address of the package index that pip asks first."""
    asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return (done.stdout.strip() or PyPI.simple_url).rstrip("/")


def files(base: str, name: str) -> Page:
    """The files of the package `name` in the index (PEP 691); none if it has no such package."""
    request = Request(f"{base}/{canonicalize_name(name)}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            return list(json.load(answer)["files"])
    except HTTPError as error:
        if error.code == 404:
            return []
        raise


def tags_of(python: str) -> set[Tag]:
    """What a wheel may ask for, of CPython `python` on this machine."""
    version = tuple(map(int, python.split(".")))
    return {*cpython_tags(version), *compatible_tags(version, f"cp{python.replace('.', '')}")}


def of_release(page: Page, release: str, python: str) -> list[str]:
    """Names of the files of `page` that look like `release`'s and whose `requires-python` admits CPython `python`."""
    alike = (file for file in page if release in str(file["filename"]))
    return [str(f["filename"]) for f in alike if f"{python}.0" in SpecifierSet(f.get("requires-python") or "")]


def has_wheel(page: Page, release: str, python: str) -> bool:
    """Whether `page` has a wheel of `release` for CPython `python` on this machine."""
    wanted = tags_of(python)
    for name in of_release(page, release, python):
        with contextlib.suppress(InvalidWheelFilename):
            _, version, _, tags = parse_wheel_filename(name)
            if version == Version(release) and wanted & tags:
                return True
    return False


def has_sources(page: Page, release: str, python: str) -> bool:
    """Whether `page` has sources of `release` that admit CPython `python`."""
    for name in of_release(page, release, python):
        with contextlib.suppress(InvalidSdistFilename):
            if parse_sdist_filename(name)[1] == Version(release):
                return True
    return False


def missing(pages: dict[str, Page], pinned: dict[str, str], python: str) -> list[str]:
    """The pins that CPython `python` cannot have: `SOURCES` need sources, the others a wheel."""
    needs = {name: has_sources if name in SOURCES else has_wheel for name in pinned}
    return [f"{name}=={each}" for name, each in pinned.items() if not needs[name](pages[name], each, python)]


def first_excluded() -> str:
    """The first minor version of Python above those that `requires-python` admits: "3.14"."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["requires-python"].rpartition("<")[2].strip())


def main() -> int:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {name: release for name, sign, release in (line.partition("==") for line in lines) if sign}
    base, end = index(), first_excluded()
    try:
        with ThreadPoolExecutor(16) as pool:
            pages = dict(zip(pinned, pool.map(lambda name: files(base, name), pinned), strict=True))
    except OSError as error:
        print(f"the package index does not answer: {error}", file=sys.stderr)
        return 2
    print(f"come as sources, compiled at install: {', '.join(f'{name}=={pinned[name]}' for name in SOURCES)}")
    failed = False
    for python in sys.argv[1:]:
        lacking = missing(pages, pinned, python)
        said = f"none for {', '.join(lacking)}" if lacking else f"all {len(pinned) - len(SOURCES)} others have a wheel"
        print(f"Python {python}: {said}")
        failed |= bool(lacking)
    if has_wheel(pages["ns3"], pinned["ns3"], end):
        print(f"Python {end}: ns3 has a wheel, but requires-python ends before it")
        failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
