# SPDX-License-Identifier: Apache-2.0
"""Items of tasks as requests to a model, and what its forward passes answer.

A choice, or a text, is scored by one prefill over all of its tokens but the last, whose logits tell how likely each
token was: so it is bit for bit what the model gives for these ids, with no padding and no cache in between. Choices
that differ only in their last token are answered by one prefill.
"""

import math
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from model_side.model.inference import Pass, Request
from model_side.model.model_folder import ModelError
from model_side.tasks.item import Choice, Generation, Item, Task, Text
from model_side.tasks.score import ACC, ACC_NORM, BYTES, CUT, EXACT_MATCH, NLL, TOKENS, WORDS, UnusableItem

Ask = Callable[[Request], Iterator[Pass]]
"""Has a request answered, pass by pass."""

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_MARK = "####"


@dataclass(frozen=True)
class Answer:
    """What was answered, and by name what it scores."""

    given: str
    scores: dict[str, float]


class Asked(Protocol):
    """An item, ready to be asked. `answer` is the right one, `requests` are at most what it takes."""

    answer: str
    requests: list[Request]

    def ask(self, ask: Ask) -> Generator[Pass, None, Answer]:
        """Have it answered; yields each forward pass."""


class Encoder:
    """A tokenizer's text as token ids, `context_tokens` the most that the model reads at once.

    `begin`: what the tokenizer puts before a text. `start`: what stands before a text with nothing before it, its begin
    or else its end token; empty if it has neither. `ends`: tokens that end a generated answer.
    """

    def __init__(self, tokenizer: Any, context_tokens: int, ends: frozenset[int] = frozenset()):
        self._tokenizer = tokenizer
        self.context_tokens = context_tokens
        whole, plain = tokenizer("a")["input_ids"], self.encode("a")
        at = next((at for at in range(len(whole)) if whole[at : at + len(plain)] == plain), 0)
        self.begin: list[int] = whole[:at]
        own = (tokenizer.bos_token_id, tokenizer.eos_token_id)
        self.start = self.begin or [token for token in own if token is not None][:1]
        self.ends = ends | ({own[1]} if own[1] is not None else set())

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, none put before or behind it."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def pair(self, context: str, following: str) -> tuple[list[int], list[int]]:
        """The tokens of a context and of what follows it, to which the context's last blanks belong.

        They are those of the whole text, cut where the tokens of the context alone would end.
        """
        bare = context.rstrip()
        before = self.encode(bare) if bare else []
        ids = self.encode(context + following)[len(before) :]
        return (self.begin + before if before else self.start), ids

    def decode(self, ids: list[int]) -> str:
        """The text of tokens, special ones left out."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))


class AskedChoice:
    """A multiple choice: how likely is each choice after the context?"""

    def __init__(self, item: Choice, encoder: Encoder, refuse: Callable[[str, str], UnusableItem]):
        self._lengths = np.array([len(choice.strip()) for choice in item.choices], dtype=np.float64)
        self._right = item.answer
        self.answer = str(item.answer)
        self._cut = 0
        prompts: dict[tuple[int, ...], list[tuple[int, list[int]]]] = {}
        for number, choice in enumerate(item.choices):
            before, ids = encoder.pair(item.context, choice)
            if not before:
                raise refuse("context", "is empty, and the tokenizer has no begin or end token to stand before")
            if not ids:
                raise refuse(f"choices[{number}]", f"{choice!r} has no token of its own after the context")
            if len(ids) > encoder.context_tokens:
                raise refuse(f"choices[{number}]", f"{len(ids)} tokens are more than the model reads at once")
            row = before + ids
            kept = row[-(encoder.context_tokens + 1) :]
            self._cut = max(self._cut, len(row) - len(kept))
            prompts.setdefault(tuple(kept[:-1]), []).append((number, ids))
        self._asked = [(Request(prompt, 1), choices) for prompt, choices in prompts.items()]
        self.requests = [request for request, _ in self._asked]

    def ask(self, ask: Ask) -> Generator[Pass, None, Answer]:
        """See `Asked`; the first of equally likely choices is given."""
        sums = np.zeros(len(self._lengths))
        for request, choices in self._asked:
            for each in ask(request):
                yield each
                for number, ids in choices:
                    sums[number] = log_likelihood(each.logits, ids)
        given, by_length = int(sums.argmax()), int((sums / self._lengths).argmax())
        scores = {ACC: float(given == self._right), ACC_NORM: float(by_length == self._right)}
        scores |= {f"choice {number}": float(value) for number, value in enumerate(sums)}
        return Answer(str(given), scores | _cut(self._cut))


class AskedText:
    """A text: how likely is it, after its context if it has one?

    What is longer than the model reads at once is read in windows, with as many tokens as fit before the scored ones.
    """

    def __init__(self, item: Text, encoder: Encoder, refuse: Callable[[str, str], UnusableItem]):
        before, ids = encoder.pair(item.context, item.text)
        if not before:
            raise refuse(
                "text", "begins with nothing before it, and the tokenizer has no begin or end token to stand there"
            )
        if not ids:
            raise refuse("text", "has no token of its own after the context")
        self.answer = ""
        self._counts = {TOKENS: float(len(ids)), BYTES: float(item.size_bytes), WORDS: float(item.words)}
        row, most = before + ids, encoder.context_tokens
        self._cut = max(0, len(before) - most)
        self._asked: list[tuple[Request, list[int]]] = []
        first, end = len(before), min(len(row), max(most, len(before)) + 1)
        while first < len(row):
            self._asked.append((Request(tuple(row[max(0, end - most - 1) : end - 1]), 1), row[first:end]))
            first, end = end, min(len(row), end + most)
        self.requests = [request for request, _ in self._asked]

    def ask(self, ask: Ask) -> Generator[Pass, None, Answer]:
        """See `Asked`."""
        nats = 0.0
        for request, ids in self._asked:
            for each in ask(request):
                yield each
                nats -= log_likelihood(each.logits, ids)
        return Answer("", {NLL: nats} | self._counts | _cut(self._cut))


class AskedGeneration:
    """A question whose answer is generated, greedily."""

    def __init__(self, item: Generation, encoder: Encoder, refuse: Callable[[str, str], UnusableItem]):
        self.answer = item.answers[0]
        self._item, self._encoder = item, encoder
        room = encoder.context_tokens - item.new_tokens
        if room < 1:
            raise refuse(
                "new_tokens", f"{item.new_tokens} leave no room for a question in {encoder.context_tokens} tokens"
            )
        before = encoder.begin + encoder.encode(item.context) if item.context else encoder.start
        if not before:
            raise refuse("context", "is empty, and the tokenizer has no begin or end token to stand before")
        self._cut = max(0, len(before) - room)
        self.requests = [Request(tuple(before[-room:]), item.new_tokens)]

    def ask(self, ask: Ask) -> Generator[Pass, None, Answer]:
        """See `Asked`; ends at an end token, or as soon as one of the texts that end an answer has come."""
        ids: list[int] = []
        text = ""
        for each in ask(self.requests[0]):
            yield each
            if each.token_id in self._encoder.ends:
                break
            ids.append(each.token_id)
            text = self._encoder.decode(ids)
            if any(end in text for end in self._item.until):
                break
        for end in self._item.until:
            text = text.partition(end)[0]
        given = text.strip()
        return Answer(given, {EXACT_MATCH: float(self._is_right(given))} | _cut(self._cut))

    def _is_right(self, given: str) -> bool:
        if self._item.number:
            value = number_in(given)
            return value is not None and value in map(number_in, self._item.answers)
        return given in (answer.strip() for answer in self._item.answers)


def asked(task: Task, item: Item, encoder: Encoder) -> Asked:
    """An item as this model is asked it. Raises `UnusableItem` by file, line and field."""

    def refuse(field: str, reason: str) -> UnusableItem:
        return UnusableItem(task.file, item.line, field, reason)

    match item:
        case Choice():
            return AskedChoice(item, encoder, refuse)
        case Generation():
            return AskedGeneration(item, encoder, refuse)
        case Text():
            return AskedText(item, encoder, refuse)
    raise TypeError(f"no item: {item}")


def log_likelihood(logits: Tensor, ids: list[int]) -> float:
    """The log-likelihood in nats of `ids`, which end where the last row of `logits` [N, V] is the next token's."""
    rows = logits[-len(ids) :].double().log_softmax(dim=-1)
    value = float(rows.gather(1, torch.tensor(ids, device=rows.device)[:, None]).sum())
    if math.isnan(value):
        raise ModelError("the model gives logits that are no numbers; load it in a wider element type (model.dtype)")
    return value


def number_in(text: str) -> Decimal | None:
    """The number that a text gives: the first after ####, or without that mark the last one; None if there is none."""
    _, mark, behind = text.rpartition(_MARK)
    found = _NUMBER.findall(behind)
    return Decimal(found[0 if mark else -1].replace(",", "")) if found else None


def _cut(tokens: int) -> dict[str, float]:
    return {CUT: float(tokens)} if tokens else {}
