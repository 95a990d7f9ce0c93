# SPDX-License-Identifier: Apache-2.0
"""Held-out passages: the default workload's prompts, and the text that perplexity is measured on."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from model_side.model.passages import Document

PASSAGES = 64
PASSAGE_TOKENS = 576


def held_out_prompts(
    held_out: Mapping[str, Sequence[Document]], tokenizer: PreTrainedTokenizerFast
) -> Iterable[Document]:
    """`PASSAGES` passages a source, each of at least `PASSAGE_TOKENS` tokens and cut at white space.

    All whole passages of the held-out documents are counted off, and taken at equal distances.
    """
    for documents in held_out.values():
        passages = [passage for document in documents for passage in cut(document, tokenizer)]
        count = min(PASSAGES, len(passages))
        for i in range(count):
            yield passages[i * len(passages) // count]


def cut(document: Document, tokenizer: PreTrainedTokenizerFast) -> Iterable[Document]:
    """A document's passages one after the other; what is left at its end is dropped."""
    encoding = tokenizer(document.text, add_special_tokens=False, return_offsets_mapping=True)
    offsets, text, begin, first = encoding["offset_mapping"], document.text, 0, 0
    while first + PASSAGE_TOKENS < len(offsets):
        last = first + PASSAGE_TOKENS
        while last < len(offsets) and not text[offsets[last][0]].isspace():
            last += 1
        if last == len(offsets):
            return
        end = offsets[last][0]
        yield Document(document.source, document.name, text[begin:end].strip())
        begin, first = end, last


def write_prompts(path: Path, prompts: Iterable[Document]) -> None:
    """One JSON object a line, with `source`, `name` of the document, and `text`."""
    path.write_text("".join(json.dumps(asdict(prompt), ensure_ascii=False) + "\n" for prompt in prompts), "utf-8")
