# SPDX-License-Identifier: Apache-2.0
"""Prompts from the shipped text and from a file."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from bridge.network import RequestError
from model_side.model.moe import SplitModel
from model_side.model.workload import end_tokens, make_requests
from tests.support.small_models import small_model


def byte_tokenizer(begin: bool, prefix: str = "<s>") -> Any:
    """One token a byte; token 0 begins a text, or what `prefix` says, if `begin`."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {letter: number for number, letter in enumerate(["<s>", *letters, "[gMASK]", "<sop>"])}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if begin:
        special = [(word, words[word]) for word in prefix.split()]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{prefix} $A", special_tokens=special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="<sop>")


@pytest.fixture(scope="module")
def split() -> SplitModel:
    return SplitModel(small_model("mixtral", vocab_size=300))


@pytest.mark.parametrize("begin", [True, False])
def test_shipped_prompts_begin_with_the_begin_token_if_the_tokenizer_has_it_so(split: SplitModel, begin: bool):
    tokenizer = byte_tokenizer(begin)
    requests = make_requests(split, tokenizer, 5, 40, 7, seed=3)
    assert [len(request.prompt) for request in requests] == [40] * 5
    assert {request.new_tokens for request in requests} == {7}
    assert len({request.prompt for request in requests}) == 5
    assert {request.prompt[0] == 0 for request in requests} == {begin}
    assert not any(0 in request.prompt[1:] for request in requests)


def test_the_seed_decides(split: SplitModel):
    tokenizer = byte_tokenizer(True)
    assert make_requests(split, tokenizer, 4, 40, 7, 1) == make_requests(split, tokenizer, 4, 40, 7, 1)
    assert make_requests(split, tokenizer, 4, 40, 7, 1) != make_requests(split, tokenizer, 4, 40, 7, 2)


def test_a_file_is_cut_into_prompts_end_to_end(split: SplitModel, tmp_path: Path):
    text = "".join(chr(97 + number % 26) * 9 for number in range(6)) + "rest"
    (tmp_path / "text").write_text(text, encoding="utf-8")
    tokenizer = byte_tokenizer(True)
    requests = make_requests(split, tokenizer, 6, 10, 1, seed=5, text=tmp_path / "text")
    assert sorted(tokenizer.decode(request.prompt[1:]) for request in requests) == [letter * 9 for letter in "abcdef"]
    assert make_requests(split, tokenizer, 6, 10, 1, seed=6, text=str(tmp_path / "text")) != requests


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"requests": 10_000}, "workload.requests", "more than the .* shipped passages"),
        ({"prompt_tokens": 120}, "workload.prompt_tokens", "more than the model's context of 128"),
        ({"prompt_tokens": 1}, "workload.prompt_tokens", "no room"),
        ({"text": "nowhere.txt"}, "workload.text", "nowhere.txt is not readable"),
        ({"text": "short"}, "workload.text", "has 12 tokens: enough for 0 prompts, not for 2"),
        ({"text": "latin"}, "workload.text", "not readable as UTF-8"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(
    split: SplitModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    field: str,
    reason: str,
):
    monkeypatch.chdir(tmp_path)
    Path("short").write_text("twelve bytes", encoding="utf-8")
    Path("latin").write_bytes(b"\xe4\xf6\xfc" * 100)
    wanted = {"requests": 2, "prompt_tokens": 40, "new_tokens": 10, "seed": 1, "text": "shipped", **changes}
    with pytest.raises(RequestError, match=reason) as caught:
        make_requests(split, byte_tokenizer(True), **wanted)
    assert caught.value.field == field


def test_a_prefix_of_several_tokens_stands_before_each_prompt(split: SplitModel):
    """As GLM's tokenizer puts one there."""
    requests = make_requests(split, byte_tokenizer(True, "[gMASK] <sop>"), 3, 40, 7, seed=3)
    assert {request.prompt[:2] for request in requests} == {(257, 258)}
    assert {len(request.prompt) for request in requests} == {40}


@pytest.mark.parametrize(("begin", "first"), [("bos", {0}), ("none", set()), ("tokenizer", set())])
def test_a_begin_token_that_the_tokenizer_does_not_add_can_be_asked_for(split: SplitModel, begin: Any, first: set[int]):
    requests = make_requests(split, byte_tokenizer(False), 3, 40, 7, seed=3, begin=begin)
    assert {request.prompt[0] for request in requests} & {0} == first


def test_what_is_spelled_as_a_control_token_is_text(split: SplitModel, tmp_path: Path):
    (tmp_path / "text").write_text("a</s><s>b" * 2, encoding="utf-8")
    tokenizer = byte_tokenizer(False)
    (request,) = make_requests(split, tokenizer, 1, 18, 1, seed=1, text=tmp_path / "text")
    assert 0 not in request.prompt
    assert tokenizer.decode(request.prompt) == "a</s><s>b" * 2


def test_prompts_one_a_line_have_their_own_lengths(split: SplitModel, tmp_path: Path):
    tokenizer = byte_tokenizer(True)
    tokenizer.chat_template = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}{% endfor %}<sop>"
    lines = [{"text": "abc", "id": 7}, {"tokens": [5, 6]}, {"messages": [{"role": "user", "content": "hi"}]}]
    written = "\ufeff" + "\r\n\r\n".join(map(json.dumps, lines)) + "\r\n"
    (tmp_path / "prompts.jsonl").write_text(written, encoding="utf-8")
    requests = make_requests(split, tokenizer, 3, 64, 5, seed=3, text=tmp_path / "prompts.jsonl")
    letters = tokenizer("abc", add_special_tokens=False)["input_ids"]
    said = tokenizer("user: hi", add_special_tokens=False)["input_ids"]
    assert {request.prompt for request in requests} == {(0, *letters), (5, 6), (0, *said, 258)}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "a"', "line 2: is no JSON"),
        ('["a"]', "line 2: is no object with one of text, tokens, messages"),
        ('{"text": "a", "tokens": [1]}', "line 2: is no object with one of text, tokens, messages"),
        ('{"text": ""}', "line 2: text is no text, or empty"),
        ('{"tokens": [1, true]}', "line 2: tokens is no list of token ids, or empty"),
        ('{"messages": ["hi"]}', "line 2: messages is no list of objects with role and content"),
        ('{"messages": [{"role": "user", "content": "hi"}]}', "line 2: the model's chat template refuses it"),
    ],
)
def test_a_line_that_is_no_prompt_is_refused_by_file_line_and_key(
    split: SplitModel, tmp_path: Path, line: str, reason: str
):
    (tmp_path / "p.jsonl").write_text(f'{{"text": "fine"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(RequestError, match=rf"p\.jsonl, {reason}") as caught:
        make_requests(split, byte_tokenizer(False), 2, 64, 5, seed=1, text=tmp_path / "p.jsonl")
    assert caught.value.field == "workload.text"


def test_a_prompt_of_another_tokenizer_is_refused_by_its_token(split: SplitModel, tmp_path: Path):
    (tmp_path / "p.jsonl").write_text('{"tokens": [5, 300]}', encoding="utf-8")
    with pytest.raises(RequestError, match="gives token 300, and its embedding has 300") as caught:
        make_requests(split, byte_tokenizer(False), 1, 64, 5, seed=1, text=tmp_path / "p.jsonl")
    assert caught.value.field == "model.path"


def test_what_ends_a_text_is_the_models_end_token_or_its_tokenizers(split: SplitModel):
    tokenizer = byte_tokenizer(False)
    assert end_tokens(split, tokenizer) == {258}
    split.model.generation_config.eos_token_id = [7, 9]
    assert end_tokens(split, tokenizer) == {7, 9}
    split.model.generation_config.eos_token_id = None
    tokenizer.eos_token = None
    with pytest.raises(RequestError, match="neither the model nor its tokenizer") as caught:
        end_tokens(split, tokenizer)
    assert caught.value.field == "workload.stop_at_end"


def test_the_requests_of_a_trace_have_its_lengths_and_are_pieces_of_the_text(split: SplitModel, tmp_path: Path):
    text = "".join(map(chr, range(97, 123)))
    (tmp_path / "text").write_text(text, encoding="utf-8")
    tokenizer = byte_tokenizer(True)
    sizes = ((6, 3, "t.csv:2"), (1, 1, "t.csv:3"), (60, 2, "t.csv:4"))
    requests = make_requests(split, tokenizer, 3, 64, 16, 5, tmp_path / "text", sizes=sizes)
    assert [(len(request.prompt), request.new_tokens) for request in requests] == [each[:2] for each in sizes]
    assert [request.prompt[0] for request in requests] == [0, 0, 0]
    assert tokenizer.decode(requests[0].prompt[1:]) in text + text
    assert tokenizer.decode(requests[2].prompt[1:]) in text * 4  # which begins again at its end
    shipped = make_requests(split, tokenizer, 3, 64, 16, 5, sizes=sizes)
    assert [len(request.prompt) for request in shipped] == [6, 1, 60]
    with pytest.raises(
        RequestError, match=r"t\.csv:9: 100 tokens and 29 new ones are more than the model's context"
    ) as caught:
        make_requests(split, tokenizer, 1, 64, 16, 5, sizes=((100, 29, "t.csv:9"),))
    assert caught.value.field == "arrivals.trace"
    with pytest.raises(RequestError, match="leave one out"):
        make_requests(split, tokenizer, 1, 64, 16, 5, "p.jsonl", sizes=sizes)
