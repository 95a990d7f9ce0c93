# SPDX-License-Identifier: Apache-2.0
"""Links of the documentation: those of a Markdown page to files that are no pages, and all within the built site."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


def linked_files(page: Path) -> set[Path]:
    """The files that a Markdown page links to, but pages."""
    targets = re.findall(r"\]\(((?:\.\./)*[\w./-]+\.\w+)\)", page.read_text(encoding="utf-8"))
    found = {(page.parent / target).resolve() for target in targets}
    return {path for path in found if path.is_file() and path.suffix != ".md"}


class _Page(HTMLParser):
    """What a page of HTML links to, and the anchors that it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.add(value)
            if name in ("id", "name") and value:
                self.anchors.add(value)


def follow(site: Path) -> tuple[int, list[str]]:
    """How many links within the site were followed, and a line on each that leads nowhere."""
    pages = {path.resolve(): _Page(path) for path in sorted(site.rglob("*.html"))}
    followed, broken = 0, []
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            followed += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            reached = pages.get(target)
            if not target.exists() or (reached and unquote(parts.fragment) not in reached.anchors):
                broken.append(f"{path.relative_to(site.resolve())}: {link} leads nowhere")
    return followed, broken
