# SPDX-License-Identifier: Apache-2.0
"""Prompts from the shipped text and from a file."""

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from bridge.network import RequestError
from model_side.model.moe import SplitModel
from model_side.model.workload import make_requests
from tests.support.small_models import small_model


def byte_tokenizer(begin: bool) -> Any:
    """One token a byte; token 0 begins a text if `begin`."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {letter: number for number, letter in enumerate(["<s>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if begin:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>")


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
