# SPDX-License-Identifier: Apache-2.0
"""Build the documentation's site: python docs/site/make_site.py FOLDER (make docs: build/docs).

The Markdown stays where it is. A copy of it is laid beside pages that are generated from the types, the whole gets its
sections from sections.toml, and Sphinx makes FOLDER/html of that. Every warning is an error. Then each link within the
site is followed (links.py); `--external` asks each one that leads out of it as well, which needs a network.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import links
import reference

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(__file__).resolve().parent
TOP = ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY", "CODE_OF_CONDUCT")
PICTURES = (".gif", ".jpg", ".png", ".svg", ".webp")
WRITTEN_BY_SPHINX = ("notebooks/index",)


class SiteError(Exception):
    """The site cannot be built. The message says what to mend."""


def pages() -> list[str]:
    """The Markdown pages, as paths below the repository without their suffix."""
    below = sorted((ROOT / "docs").rglob("*.md"))
    return [*TOP, *(str(page.relative_to(ROOT).with_suffix("")) for page in below if SITE not in page.parents)]


def sections(there: list[str]) -> list[tuple[str, list[str]]]:
    """Captions with their entries, as a toctree has them. Raises `SiteError` for a page that no section takes.

    A page that sections.toml names and that is not there is left out: it may come.
    """
    told = tomllib.loads((SITE / "sections.toml").read_text(encoding="utf-8"))["section"]
    named = {entry.partition("<")[2].rstrip(">") or entry for section in told for entry in section["pages"]}
    left = [page for page in there if page not in named]
    made = []
    for section in told:
        entries: list[str] = []
        for entry in section["pages"]:
            if "*" not in entry:
                page = entry.partition("<")[2].rstrip(">") or entry
                entries += [entry] if page in there else []
                continue
            taken = [page for page in left if fnmatchcase(page, entry)]
            left = [page for page in left if page not in taken]
            entries += taken
        made.append((section["caption"], entries))
    if left:
        where = (SITE / "sections.toml").relative_to(ROOT)
        raise SiteError(f"{', '.join(f'{page}.md' for page in left)}: in no section; add a pattern to {where}")
    return made


def lay_out(source: Path) -> None:
    """Write into `source` all that Sphinx reads: copies, generated pages, and the first page with the sections."""
    for page in pages():
        copy(ROOT / f"{page}.md", source / f"{page}.md")
    for path in sorted((ROOT / "docs").rglob("*")):
        if path.suffix in PICTURES:
            copy(path, source / path.relative_to(ROOT))
    for page in pages():  # of sources that a page links to, copies to download
        for path in links.linked_files(ROOT / f"{page}.md"):
            copy(path, source / path.relative_to(ROOT))
    generated = {f"reference/{name}": text for name, text in reference.pages().items()}
    for name, text in generated.items():
        write(source / f"{name}.md", text)
    first = (SITE / "index.md").read_text(encoding="utf-8")
    for caption, entries in sections([*pages(), *generated, *WRITTEN_BY_SPHINX]):
        first += "\n```{toctree}\n:hidden:\n:caption: " + "\n".join([caption, "", *entries, "```", ""])
    write(source / "index.md", first)


def copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)


def write(target: Path, text: str) -> None:
    """Write a file, but leave one that says the same as it is, so that Sphinx need not read it again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")


def sphinx(builder: str, folder: Path) -> int:
    """Run a builder of Sphinx on what was laid out; its exit code."""
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "-c", str(SITE)]
    command += ["-b", builder, "-d", str(folder / "doctrees"), str(folder / "source"), str(folder / builder)]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": path}).returncode


def forget(folder: Path) -> None:
    """Begin anew if an earlier build had sources that are no more, as pages would be left of them."""
    source = folder / "source"
    copied = [*source.glob("*.md"), *(source / "docs").rglob("*.md")]
    run = (source / "notebooks").glob("plot_*.py")
    gone = [page for page in copied if page.name != "index.md" and not (ROOT / page.relative_to(source)).exists()]
    gone += [page for page in run if not (ROOT / "examples" / page.name).exists()]
    if gone:
        shutil.rmtree(folder)


def main() -> int:
    folder = Path(sys.argv[1]).resolve()
    source = folder / "source"
    forget(folder)
    try:
        lay_out(source)
    except SiteError as error:
        print(f"docs: {error}", file=sys.stderr)
        return 2
    if code := sphinx("html", folder):
        return code
    followed, broken = links.follow(folder / "html")
    for line in broken:
        print(line, file=sys.stderr)
    print(f"{folder / 'html' / 'index.html'}: {followed} links within it followed, {len(broken)} broken")
    if "--external" in sys.argv[2:]:
        return sphinx("linkcheck", folder) or bool(broken)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
