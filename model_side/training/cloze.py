# SPDX-License-Identifier: Apache-2.0
"""The shipped cloze test, from the held-out passages: `python -m model_side.training.cloze FILE`.

Of each passage a few stretches are taken, and of each stretch its last words. Which words go on: these, or those at
three other places of the same source, in passages of their own? So what the choices have in common is the style.
"""

import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from model_side.model.model_folder import SHIPPED_PROMPTS
from model_side.model.passages import Document, read_prompts

STRETCHES = 5
CONTEXT_WORDS = 32
CHOICE_WORDS = 5
CHOICES = 4
SEED = 1
_WORD = re.compile(r"\s*\S+")


@dataclass(frozen=True)
class Stretch:
    """A piece of the passage `number` of a source: its context, and the words behind it with the blank before them."""

    number: int
    context: str
    following: str


def stretches(number: int, text: str) -> Iterator[Stretch]:
    """At most `STRETCHES` of a text, none overlapping another, each where a single blank divides context and words."""
    words = _WORD.findall(text)
    room = len(words) // STRETCHES
    for first in range(0, room * STRETCHES, room):
        for begin in range(first, first + room - CONTEXT_WORDS - CHOICE_WORDS + 1):
            cut = begin + CONTEXT_WORDS
            following = "".join(words[cut : cut + CHOICE_WORDS])
            if re.fullmatch(r"( \S+)+", following):
                yield Stretch(number, "".join(words[begin:cut]).strip(), following)
                break


def items(passages: Iterable[Document], seed: int = SEED) -> Iterator[dict[str, object]]:
    """The test's items in the task format; where the right choice stands is drawn, and so are the wrong ones."""
    draw = random.Random(seed)
    sources: dict[str, list[Document]] = {}
    for passage in passages:
        sources.setdefault(passage.source, []).append(passage)
    for source, documents in sources.items():
        found = [each for number, document in enumerate(documents) for each in stretches(number, document.text)]
        for each in found:
            choices = _wrong(each, found, draw)
            answer = draw.randrange(CHOICES)
            choices.insert(answer, each.following)
            yield {"context": each.context, "choices": choices, "answer": answer, "subject": source}


def _wrong(right: Stretch, found: Sequence[Stretch], draw: random.Random) -> list[str]:
    """Words of three other passages, none of them those of another choice."""
    taken = {right.number: right.following}
    while len(taken) < CHOICES:
        other = draw.choice(found)
        if other.number not in taken and other.following not in taken.values():
            taken[other.number] = other.following
    return list(taken.values())[1:]


def main(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    prompts: Annotated[Path, typer.Option(help="Held-out passages.")] = SHIPPED_PROMPTS,
) -> None:
    """Write the cloze test of held-out passages, one item a line."""
    rows = [json.dumps(item, ensure_ascii=False) for item in items(read_prompts(prompts))]
    file.write_text("".join(f"{row}\n" for row in rows), "utf-8")
    print(f"{file}: {len(rows)} items")


if __name__ == "__main__":
    typer.run(main)
