# SPDX-License-Identifier: Apache-2.0
"""WikiText's files: pages, of text that was cut into words."""

import re
from pathlib import Path

from bridge.network import RequestError
from model_side.tasks.item import Item, Text
from model_side.tasks.rows import FIELD, lines, rows

_TITLE = re.compile(r" ?= [^=].*[^=] = ?")
_CLOSE = re.compile(r" ([,.:;?!)\]}%])")
_OPEN = re.compile(r"([(\[{]) ")
_QUOTED = re.compile(r'" ([^"]*?) "')


def wikitext(path: Path) -> list[Item]:
    """The pages of `wiki.test.tokens`, `wiki.test.raw` or the rows `text` of the data set, each one item.

    A page begins with its title, as ` = Title = `. The model reads the text with its words put together again
    (`joined`); words and bytes by which perplexity is told are those of the file, so that it compares with others'.
    """
    if path.suffix in (".parquet", ".jsonl"):
        found = [(row.line, row.text("text", empty=True).removesuffix("\n")) for row in rows(path)]
    else:
        found = list(lines(path))
    pages: list[tuple[int, list[str]]] = []
    for number, line in found:
        if _TITLE.fullmatch(line) or (not pages and line.strip()):
            pages.append((number, []))
        if pages:
            pages[-1][1].append(line)
    if not pages:
        raise RequestError(FIELD, f"{path} is empty")
    texts = [(number, "\n".join(page).rstrip()) for number, page in pages]
    return [Text(line=number, text=joined(text), original=text) for number, text in texts]


def joined(text: str) -> str:
    """WikiText's text as it was before it was cut into words, as far as rules can tell."""
    text = re.sub(r" @([-,.])@ ", r"\1", text)
    text = re.sub(r"(?<==) (?==)", "", text)
    text = _QUOTED.sub(r'"\1"', text)
    text = _OPEN.sub(r"\1", _CLOSE.sub(r"\1", text))
    return re.sub(r" '(s|t|re|ve|ll|d|m)\b", r"'\1", text).replace("s ' ", "s' ")
