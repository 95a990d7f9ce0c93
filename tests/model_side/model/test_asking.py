# SPDX-License-Identifier: Apache-2.0
"""Scores of items: those of plain transformers, and of another implementation where experts are lost."""

import math
from collections.abc import Iterator
from functools import partial

import pytest
import torch
from transformers import AutoModelForCausalLM

from bridge.network import RequestError
from model_side.base_station import BaseStation
from model_side.element import WireFormat
from model_side.exchange import LayerExchange
from model_side.hardware.profiles import PROFILES
from model_side.hardware.roofline import RooflineTimes
from model_side.model.asking import Answer, Ask, Encoder, asked, number_in
from model_side.model.inference import passes
from model_side.model.loaded_model import shape_of
from model_side.model.loading import load_model, load_tokenizer
from model_side.model.model_folder import SHIPPED_MODELS
from model_side.model.moe import SplitModel
from model_side.model.task_run import answered, encoder_of
from model_side.placement import place
from model_side.policies import make_policy
from model_side.prediction.line import Line
from model_side.tasks.item import Choice, Generation, Item, Task, Text
from model_side.tasks.reading import read_task
from model_side.wire_profiles import wire_shape
from tests.support.fixed_network import FixedNetwork
from tests.support.shipped import MIXTURES
from tests.support.small_models import FAMILIES, expert_by_expert, small_model

DEVICES = 4
CHOICE = Choice(
    line=1, context="It is a truth universally", choices=(" acknowledged", " known", " kno", " n\u00f6"), answer=1
)
TEXT = Text(line=2, context="", text="Call me Ishmael. Some years ago, never mind how long precisely, \u00e9 bien.")
LONG = Text(line=3, context="", text="Whales. " * 20)
SHORT = Generation(line=4, context="One, two,", answers=("three",), until=("z",), new_tokens=5)
ITEMS = (CHOICE, TEXT, LONG, SHORT)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """More threads than processors that are free wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Bytes:
    """A tokenizer whose tokens are bytes, with special ones behind them if they are asked for."""

    def __init__(self, begin: int | None = None, end: int | None = None, puts: bool = False):
        self.bos_token_id, self.eos_token_id, self._puts = begin, end, puts

    def __call__(self, text, add_special_tokens=True, verbose=True):
        before = [self.bos_token_id] if self._puts and add_special_tokens else []
        return {"input_ids": before + list(text.encode())}

    def decode(self, ids, skip_special_tokens=False):
        return bytes(each for each in ids if each < 256).decode(errors="replace")


def base_station_over(
    split: SplitModel, network: FixedNetwork, deadline_ns: int = 10**12, records: list[LayerExchange] | None = None
) -> BaseStation:
    """Top-k over `network`, with the sizes of Mixtral-8x7B on the air."""
    devices = len(network.info.devices)
    shape = wire_shape("mixtral-8x7b", shape_of(split))
    compute = RooflineTimes(shape, PROFILES["nvidia-l4"], [PROFILES["jetson-agx-orin"]] * devices, 16, 4)
    placement = place(len(split.blocks), split.num_experts, devices)
    on_exchange = None if records is None else records.append
    wire, policy = WireFormat(shape.token_bytes), make_policy("top-k")
    return BaseStation(network, placement, compute, policy, Line(devices), wire, deadline_ns, on_exchange=on_exchange)


def ask_over(split: SplitModel, network: FixedNetwork, deadline_ns: int = 10**12) -> Ask:
    return partial(passes, split, base_station=base_station_over(split, network, deadline_ns))


def score(item: Item, split: SplitModel, encoder: Encoder, ask: Ask | None = None) -> Answer:
    return answered(asked(Task("t", "t.jsonl", "", (item,)), item, encoder), ask or partial(passes, split))


@torch.no_grad()
def by_hand(model, context: list[int], following: list[int]) -> float:
    """The log-likelihood that a plain forward pass of transformers gives, added up token by token."""
    logits = model(torch.tensor([context + following[:-1]])).logits[0].double()
    rows = logits[len(context) - 1 :].log_softmax(dim=-1)
    return float(sum(row[token] for row, token in zip(rows, following, strict=True)))


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_plain_transformers_to_the_last_digit(family):
    model = small_model(family, vocab_size=300, max_position_embeddings=100)
    split = SplitModel(model)
    encoder = Encoder(Bytes(begin=256, puts=True), 100)
    ask = ask_over(split, FixedNetwork(devices=DEVICES))
    for item in ITEMS:
        assert score(item, split, encoder, ask) == score(item, split, encoder)
    request = asked(Task("t", "t.jsonl", "", ()), TEXT, encoder).requests[0]
    with torch.no_grad():
        plain = model(torch.tensor([request.prompt])).logits[0]
    assert torch.equal(next(ask(request)).logits, plain)
    answer = score(CHOICE, split, encoder, ask)
    context = [256, *CHOICE.context.encode()]
    hand = [by_hand(model, context, list(choice.encode())) for choice in CHOICE.choices]
    assert [answer.scores[f"choice {number}"] for number in range(4)] == pytest.approx(hand, rel=1e-12, abs=0)
    assert answer.given == str(max(range(4), key=hand.__getitem__))
    lengths = [hand[number] / len(choice.strip()) for number, choice in enumerate(CHOICE.choices)]
    assert answer.scores["acc_norm"] == (max(range(4), key=lengths.__getitem__) == CHOICE.answer)
    text = score(TEXT, split, encoder, ask).scores
    ids = list(TEXT.text.encode())
    assert text["nll_nats"] == pytest.approx(-by_hand(model, [256], ids), rel=1e-12, abs=0)
    assert (text["tokens"], text["bytes"], text["words"]) == (len(ids), len(ids), 13)
    prompt = torch.tensor([[256, *SHORT.context.encode()]])
    new = model.generate(prompt, max_new_tokens=5, do_sample=False, eos_token_id=None)[0, prompt.shape[1] :].tolist()
    assert score(SHORT, split, encoder, ask).given == Bytes().decode(new).partition("z")[0].strip()


@pytest.mark.parametrize("name", MIXTURES)
def test_a_shipped_model_scores_a_cloze_test_as_transformers_do(name):
    split, tokenizer = load_model(name), load_tokenizer(name)
    encoder = encoder_of(split, tokenizer)
    ask = ask_over(split, FixedNetwork(devices=8))
    stock = AutoModelForCausalLM.from_pretrained(SHIPPED_MODELS[name], dtype=torch.float32).eval()
    for item in read_task("cloze").items[::700]:
        assert isinstance(item, Choice)
        answer = score(item, split, encoder, ask)
        context = tokenizer(item.context)["input_ids"]
        for number, choice in enumerate(item.choices):
            whole = tokenizer(item.context + choice)["input_ids"]
            hand = by_hand(stock, context, whole[len(context) :])
            assert answer.scores[f"choice {number}"] == pytest.approx(hand, rel=1e-12, abs=0)


def without(block, lost, hidden, indices, weights):
    """A block's experts by their definition, less those that are lost, whose weight goes to the token's others."""
    left = weights.double().masked_fill(torch.isin(indices, lost), 0)
    whole = weights.double().sum(dim=1, keepdim=True)
    scale = torch.where(left.sum(dim=1, keepdim=True) > 0, whole / left.sum(dim=1, keepdim=True).clamp(min=1e-30), 0.0)
    return expert_by_expert(block, hidden, left * scale, indices).to(hidden)


@pytest.mark.parametrize("family", ["mixtral", "olmoe", "qwen3_moe"])
@torch.no_grad()
def test_with_experts_lost_another_implementation_gives_the_same_scores(family, monkeypatch):
    """One device is out of reach, so that its experts never answer; with and without is told apart by their scores."""
    sizes = {"vocab_size": 300, "max_position_embeddings": 100}
    split = SplitModel(small_model(family, **sizes))
    encoder = Encoder(Bytes(begin=256, puts=True), 100)
    ask = ask_over(split, FixedNetwork(devices=DEVICES, dead=1), deadline_ns=10**9)
    answers = [score(item, split, encoder, ask).scores for item in (CHOICE, TEXT)]
    unmodified = [score(item, split, encoder).scores for item in (CHOICE, TEXT)]
    other = SplitModel(small_model(family, **sizes))
    lost = torch.arange(1, other.num_experts, DEVICES)
    for block in other.blocks:
        monkeypatch.setattr(block.experts, "forward", partial(without, block.block, lost))
    hand = [score(item, other, encoder).scores for item in (CHOICE, TEXT)]
    for mine, theirs, plain in zip(answers, hand, unmodified, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4)
        assert mine != pytest.approx(plain, rel=1e-3)


def prompts(item: Item, encoder: Encoder) -> list[bytes]:
    return [bytes(request.prompt) for request in asked(Task("t", "t.jsonl", "", ()), item, encoder).requests]


def test_choices_that_differ_in_their_last_token_are_one_request():
    item = Choice(line=1, context="Answer:", choices=(" A", " B", " C", " DD"), answer=0)
    assert prompts(item, Encoder(Bytes(), 100)) == [b"Answer: ", b"Answer: D"]


def test_the_blanks_at_a_context_s_end_belong_to_what_follows():
    encoder = Encoder(Bytes(), 100)
    assert encoder.pair("a  ", "b") == ([97], [32, 32, 98])
    assert encoder.pair("a", " b") == ([97], [32, 98])


def test_what_stands_before_a_text_with_nothing_before_it():
    """The begin token if there is one, else the end token; without either the item is refused by file and line."""
    bare = Choice(line=7, context="", choices=("a", "b"), answer=0)
    for tokenizer, first in ((Bytes(1, 2), 1), (Bytes(None, 2), 2), (Bytes(1, 2, puts=True), 1)):
        encoder = Encoder(tokenizer, 100)
        assert prompts(bare, encoder) == [bytes([first])]
        assert prompts(Text(line=7, text="ab"), encoder) == [bytes([first]) + b"a"]
        assert prompts(Generation(line=7, answers=("a",)), encoder) == [bytes([first])]
    for item, field in (
        (bare, "context"),
        (Text(line=7, text="ab"), "text"),
        (Generation(line=7, answers=("a",)), "context"),
    ):
        with pytest.raises(RequestError, match=rf"^workload.tasks: t.jsonl:7: {field}: .*no begin or end token"):
            prompts(item, Encoder(Bytes(), 100))


def test_a_context_that_is_too_long_is_cut_at_its_beginning_and_counted():
    item = Choice(line=1, context="0123456789", choices=("ab", "ac"), answer=0)
    split = SplitModel(small_model("mixtral", vocab_size=300))
    assert prompts(item, Encoder(Bytes(), 11)) == [b"0123456789a"]
    assert "cut_tokens" not in score(item, split, Encoder(Bytes(), 11)).scores
    assert prompts(item, Encoder(Bytes(), 6)) == [b"56789a"]
    assert score(item, split, Encoder(Bytes(), 6)).scores["cut_tokens"] == 5
    generated = Generation(line=1, context="0123456789", answers=("a",), new_tokens=4)
    assert prompts(generated, Encoder(Bytes(), 6)) == [b"89"]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Choice(line=3, context="a", choices=("b" * 9, "c"), answer=0), r"choices\[0\]: 9 tokens are more than"),
        (Generation(line=3, context="a", answers=("b",), new_tokens=8), "new_tokens: 8 leave no room"),
    ],
)
def test_what_leaves_no_room_for_a_context_is_refused(item, words):
    with pytest.raises(RequestError, match=f"^workload.tasks: t.jsonl:3: {words}"):
        prompts(item, Encoder(Bytes(), 8))


@pytest.mark.parametrize("context", ["", "context", "a context that is longer than the model reads"])
@pytest.mark.parametrize("length", [1, 7, 8, 9, 40])
def test_windows_score_each_token_of_a_long_text_once(context, length):
    text = "".join(chr(48 + number) for number in range(length))
    encoder = Encoder(Bytes(begin=1), 8)
    one = asked(Task("t", "t.jsonl", "", ()), Text(line=1, context=context, text=text), encoder)
    before = context.encode() or b"\x01"
    seen = b""
    for request, ids in one._asked:
        assert 0 < len(request.prompt) <= 8
        window = bytes(request.prompt) + bytes(ids[-1:])
        assert window in before + text.encode()
        assert window.endswith(bytes(ids)) or len(ids) == len(window)
        seen += bytes(ids)
    assert seen == text.encode()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so 5 + 7 = 12.", 12),
        ("It is $1,004.50", 1004.5),
        ("#### 7 of 8", 7),
        ("-3", -3),
        ("none", None),
        ("####", None),
    ],
)
def test_the_number_that_a_text_gives(text, number):
    found = number_in(text)
    assert (found is None) if number is None else math.isclose(found, number)


def test_an_answer_ends_at_an_end_token_or_text():
    class Script:
        """Stands in for forward passes that say these tokens."""

        def __init__(self, tokens):
            self.token_ids = tokens

        def __call__(self, request):
            for token in self.token_ids:
                yield type("Pass", (), {"token_id": token})()

    item = Generation(line=1, context="a", answers=("4",), until=("\n", "Q:"), new_tokens=20)
    for said, ends, given in (
        (b" 4\n5", set(), "4"),
        (b" 4 Q: 5", set(), "4"),
        (b" 4\x025", {2}, "4"),
        (b" 45", set(), "45"),
        (b"\n4", set(), ""),
    ):
        encoder = Encoder(Bytes(), 100, frozenset(ends))
        answer = score(item, None, encoder, Script(list(said)))
        assert answer == Answer(given, {"exact_match": float(given == "4")})
    number = Generation(line=1, context="a", answers=("4",), number=True)
    assert score(number, None, Encoder(Bytes(), 100), Script(list(b"2 + 2 = 4.0"))).scores == {"exact_match": 1.0}


def test_the_tokenizer_of_the_shipped_model_begins_a_text():
    encoder = Encoder(load_tokenizer(), 100)
    assert encoder.begin == encoder.start == [0]
    assert encoder.ends == {1}
