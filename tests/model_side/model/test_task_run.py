# SPDX-License-Identifier: Apache-2.0
"""Tasks that a model answers here: which items are drawn, how they are numbered, and what is recorded of them."""

import pytest

from bridge.network import RequestError
from model_side.model.asking import Encoder
from model_side.model.loaded_model import load_here
from model_side.model.loading import load_model
from model_side.model.task_run import TaskRun, places_of
from model_side.tasks.item import Choice, Task
from tests.model_side.model.test_asking import Bytes, base_station_over
from tests.support.fixed_network import FixedNetwork

ENCODER = Encoder(Bytes(begin=1), 64)


def task(name: str, items: int) -> Task:
    choices = (" ab", " cd")
    made = (Choice(line=line, context="Say", choices=choices, answer=0) for line in range(1, items + 1))
    return Task(name, f"{name}.jsonl", "", tuple(made))


def test_items_are_drawn_by_the_seed_for_each_task_and_stay_in_order():
    tasks = [task("first", 40), task("second", 5)]
    places = places_of(tasks, 8, 1, ENCODER)
    lines = [place.item.line for place in places if place.task == "first"]
    assert len(lines) == 8
    assert lines == sorted(set(lines))
    assert [place.item.line for place in places if place.task == "second"] == [1, 2, 3, 4, 5]
    assert lines == [place.item.line for place in places_of(tasks[:1], 8, 1, ENCODER)]
    assert lines != [place.item.line for place in places_of(tasks[:1], 8, 2, ENCODER)]
    assert len(places_of(tasks, 0, 1, ENCODER)) == 45


def test_items_and_their_requests_are_numbered_through():
    places = places_of([task("first", 3), task("second", 2)], 0, 1, ENCODER)
    assert [place.number for place in places] == [0, 1, 2, 3, 4]
    assert [place.request for place in places] == [0, 2, 4, 6, 8]


@pytest.fixture(scope="module")
def run() -> TaskRun:
    return TaskRun(load_here("shipped", "float32", 1), ["cloze", "held-out"], 1, 1, True)


def test_an_item_s_last_token_has_its_scores_and_the_unmodified_model_s(run):
    network = FixedNetwork(devices=8)
    tokens = list(run.serve(base_station_over(load_model(), network)))
    assert network.exchanges == run.exchanges == 6 * len(tokens)
    assert [len(token.items) for token in tokens] == [0, 0, 0, 1, 1]
    choice, text = tokens[3].items[0], tokens[4].items[0]
    assert (choice.task, choice.request, choice.requests, choice.answer) == ("cloze", 0, 4, choice.answer)
    assert (text.task, text.request, text.requests, text.answer, text.given) == ("held-out", 4, 1, "", "")
    for item in (choice, text):
        assert all(value == reference for value, reference in item.scores.values())
        assert item.given == item.reference
    assert run.record["tasks"].keys() == {"cloze", "held-out"}


def test_another_variant_has_the_same_reference_and_scores_of_its_own(run):
    lost = FixedNetwork(devices=8, dead=0)
    items = [token.items[0] for token in run.serve(base_station_over(load_model(), lost, 10**8)) if token.items]
    whole = [token.items[0] for token in run.serve(base_station_over(load_model(), FixedNetwork(8))) if token.items]
    for one, other in zip(items, whole, strict=True):
        assert [there for _, there in one.scores.values()] == [there for _, there in other.scores.values()]
    assert items[1].scores["nll_nats"][0] != items[1].scores["nll_nats"][1]


def test_an_item_that_cannot_be_asked_is_refused_by_file_and_line():
    long = Choice(line=9, context="a", choices=("b" * 80, "c"), answer=0)
    with pytest.raises(RequestError, match=r"workload.tasks: t.jsonl:9: choices\[0\]: 80 tokens"):
        places_of([Task("t", "t.jsonl", "", (long,))], 0, 1, ENCODER)
