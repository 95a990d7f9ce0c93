# SPDX-License-Identifier: Apache-2.0
"""Tasks that a model answers here, item by item."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_side.base_station import BaseStation
from model_side.element import Element
from model_side.model.asking import Answer, Ask, Asked, Encoder, asked
from model_side.model.causal import CausalModel
from model_side.model.inference import Pass, Request, passes
from model_side.model.loaded_model import LoadedModel
from model_side.model.wire import carried_by
from model_side.model.workload import context_of
from model_side.serving import TokenRecord
from model_side.tasks.item import Item, Task
from model_side.tasks.reading import read_tasks
from model_side.tasks.score import ItemScore

NO_LIMIT = 1 << 20
"""Tokens at once of a model that does not say how many it reads."""


@dataclass(frozen=True)
class ItemPlace:
    """An item's number in the run, its task, and the number of its first request."""

    number: int
    task: str
    item: Item
    request: int
    asked: Asked


class TaskRun:
    """A model, and the tasks that it is asked.

    Of each task `items` are drawn by `seed`, all if that is 0 or there are no more; they stay in their order.
    `reference`: whether the unmodified model is asked too. `element`: to what the wire rounds. Raises `RequestError`
    naming `workload.tasks` with file and line of what cannot be asked.
    """

    probabilities = True

    def __init__(
        self,
        loaded: LoadedModel,
        tasks: Sequence[str],
        items: int,
        seed: int,
        reference: bool,
        element: Element = Element.OWN,
    ):
        read = read_tasks(tasks)
        self._loaded, self._split = loaded, loaded.split
        self._reference = reference
        self._element = element
        self._places = places_of(read, items, seed, encoder_of(loaded.split, loaded.tokenizer))
        self._reference_answers: dict[int, Answer] = {}
        self.model = loaded.path
        self.shape = loaded.shape
        self.record: Mapping[str, Any] = {
            "tasks": {task.name: task.sha256 for task in read},
            "weights": loaded.weights,
        }
        tokens = sum(request.new_tokens for place in self._places for request in place.asked.requests)
        self.exchanges = len(self._split.blocks) * tokens

    def serve(self, base_station: BaseStation) -> Iterator[TokenRecord]:
        """See `model_side.serving.Serving`; an item's last token has its scores."""
        self._loaded.take_threads()
        carry = carried_by(base_station, self._element, self._split.model.dtype)
        for place in self._places:
            yield from item_records(
                place,
                lambda request, number: passes(self._split, request, number, base_station, carry),
                lambda place, answer: item_score(place, answer, self._unmodified(place) if self._reference else None),
            )

    def _unmodified(self, place: ItemPlace) -> Answer:
        """What the unmodified model answers, which is the same in each variant."""
        if place.number not in self._reference_answers:
            self._reference_answers[place.number] = answered(place.asked, lambda request: passes(self._split, request))
        return self._reference_answers[place.number]


def item_records(
    place: ItemPlace,
    answer: Callable[[Request, int], Iterator[Pass]],
    scored: Callable[[ItemPlace, Answer], ItemScore],
) -> Iterator[TokenRecord]:
    """The tokens that an item takes; `answer` gives the passes of a request and its number, the last has the scores."""
    numbers = iter(range(place.request, place.request + len(place.asked.requests)))
    asking = place.asked.ask(lambda request: answer(request, next(numbers)))
    last = None
    while True:
        try:
            each = next(asking)
        except StopIteration as stop:
            assert last is not None
            yield last.record(items=(scored(place, stop.value),))
            return
        if last is not None:
            yield last.record()
        last = each


def item_score(place: ItemPlace, answer: Answer, unmodified: Answer | None) -> ItemScore:
    """What an item scores by an answer, beside that of the unmodified model if it was asked."""
    return ItemScore(
        place.number,
        place.task,
        place.item.subject,
        place.item.line,
        place.request,
        len(place.asked.requests),
        place.asked.answer,
        answer.given,
        None if unmodified is None else unmodified.given,
        {
            name: (value, None if unmodified is None else unmodified.scores[name])
            for name, value in answer.scores.items()
        },
    )


def answered(one: Asked, ask: Ask) -> Answer:
    """The answer to an item, whatever passes it takes."""
    asking = one.ask(ask)
    while True:
        try:
            next(asking)
        except StopIteration as stop:
            answer: Answer = stop.value
            return answer


def encoder_of(model: CausalModel, tokenizer: Any) -> Encoder:
    """The encoder of a model with its tokenizer."""
    named = getattr(getattr(model.model, "generation_config", None), "eos_token_id", None)
    ends = frozenset(named if isinstance(named, list) else [] if named is None else [named])
    return Encoder(tokenizer, context_of(model) or NO_LIMIT, ends)


def places_of(tasks: Sequence[Task], items: int, seed: int, encoder: Encoder) -> list[ItemPlace]:
    """All items that are asked, in their order. Raises `RequestError` naming `workload.tasks`, file and line."""
    places: list[ItemPlace] = []
    request = 0
    for task in tasks:
        drawn: Sequence[Item] = task.items
        if 0 < items < len(drawn):
            drawn = [drawn[at] for at in sorted(random.Random(f"{seed} {task.name}").sample(range(len(drawn)), items))]
        for item in drawn:
            one = asked(task, item, encoder)
            places.append(ItemPlace(len(places), task.name, item, request, one))
            request += len(one.requests)
    return places
