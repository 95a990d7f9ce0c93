# SPDX-License-Identifier: Apache-2.0
"""What a task asks, item by item."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question; it stands in `line` of its task's file and belongs to `subject`, "" where there is none."""

    line: int
    subject: str = ""
    context: str = ""


@dataclass(frozen=True, kw_only=True)
class Choice(Item):
    """Which of `choices` goes on after the context? Number `answer` does. The blank before a choice is part of it."""

    choices: tuple[str, ...]
    answer: int


@dataclass(frozen=True, kw_only=True)
class Generation(Item):
    """What is generated after the context, at most `new_tokens` up to one of `until`, should be one of `answers`.

    `number`: not the text counts but the number that it gives, after #### or else the last one in it.
    """

    answers: tuple[str, ...]
    until: tuple[str, ...] = ("\n",)
    new_tokens: int = 64
    number: bool = False


@dataclass(frozen=True, kw_only=True)
class Text(Item):
    """How likely is `text` after the context? Words and bytes are those of `original`, "" where that is `text`."""

    text: str
    original: str = ""

    @property
    def words(self) -> int:
        """Words between white space."""
        return len((self.original or self.text).split())

    @property
    def size_bytes(self) -> int:
        """Its length in UTF-8."""
        return len((self.original or self.text).encode())


@dataclass(frozen=True)
class Task:
    """The items of a file, all of one kind. `name` is what it is called in tables, `sha256` the file's."""

    name: str
    file: str
    sha256: str
    items: tuple[Item, ...]
