# SPDX-License-Identifier: Apache-2.0
"""The shipped checkpoint: it loads as any Hugging Face model, and is as good as its model card says."""

import json
import math
import random
from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, MixtralForCausalLM, PreTrainedTokenizerBase

from bridge.network import RequestError
from model_side.model.passages import Document, read_prompts
from model_side.training.corpus import SOURCES
from model_side.training.evaluate import PROMPTS, evaluate

SHIPPED = PROMPTS.parent.parent / "mixtral-12m"


@pytest.fixture(scope="module")
def model() -> MixtralForCausalLM:
    return AutoModelForCausalLM.from_pretrained(SHIPPED, dtype=torch.float32)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(SHIPPED)


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_it_is_a_mixtral_in_bf16_of_at_most_25_mb(model: MixtralForCausalLM) -> None:
    assert isinstance(model, MixtralForCausalLM)
    assert AutoModelForCausalLM.from_pretrained(SHIPPED).dtype == torch.bfloat16
    assert folder_bytes(SHIPPED) <= 25e6
    assert 11e6 < sum(parameter.numel() for parameter in model.parameters()) < 13e6


def test_perplexity_and_load_of_a_source_are_those_of_the_model_card(
    model: MixtralForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    stated = json.loads((SHIPPED / "evaluation.json").read_text("utf-8"))
    passages = [passage for passage in read_prompts(PROMPTS) if passage.source == "kjv"]
    evaluation = evaluate(model, tokenizer, passages)
    assert evaluation.perplexity["kjv"] == pytest.approx(stated["perplexity"]["kjv"], rel=0.02)
    assert evaluation.load.sum(axis=1) == pytest.approx([1.0] * model.config.num_hidden_layers)


def test_the_model_card_shows_what_was_measured_and_no_source_is_left_unlearnt() -> None:
    stated = json.loads((SHIPPED / "evaluation.json").read_text("utf-8"))
    card = (SHIPPED / "README.md").read_text("utf-8")
    assert stated["perplexity"].keys() == SOURCES.keys()
    for perplexity in stated["perplexity"].values():
        assert perplexity < 60  # a guess among all 2,048 entries has 2,048
        assert f"| {perplexity:.2f} |" in card
    overall = math.prod(stated["perplexity"].values()) ** (1 / len(SOURCES))
    assert f"| all, geometric mean | | | {overall:.2f} |" in card


def test_no_expert_of_any_layer_starves() -> None:
    load = torch.tensor(json.loads((SHIPPED / "evaluation.json").read_text("utf-8"))["load"])
    assert load.shape == (6, 8)
    assert load.min() > 0.125 / 4
    assert load.max() < 0.125 * 3


def test_text_that_it_read_is_likelier_than_the_same_words_in_another_order(
    model: MixtralForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    text = next(passage.text for passage in read_prompts(PROMPTS) if passage.source == "austen")
    words = text.split()
    shuffled = " ".join(random.Random(1).sample(words, len(words)))
    perplexity = [
        evaluate(model, tokenizer, [Document("s", "n", candidate)]).perplexity["s"]
        for candidate in (" ".join(words), shuffled)
    ]
    assert 3 * perplexity[0] < perplexity[1]


def test_there_are_64_prompts_a_source_with_512_tokens_and_a_continuation(tokenizer: PreTrainedTokenizerBase) -> None:
    passages = read_prompts(PROMPTS)
    assert Counter(passage.source for passage in passages) == dict.fromkeys(SOURCES, 64)
    assert len({passage.text for passage in passages}) == len(passages)
    assert min(len(ids) for ids in tokenizer([passage.text for passage in passages])["input_ids"]) >= 512 + 32
    assert PROMPTS.stat().st_size < 1e6


def test_a_passage_too_short_to_measure_on_is_refused(
    model: MixtralForCausalLM, tokenizer: PreTrainedTokenizerBase
) -> None:
    with pytest.raises(RequestError, match="passages"):
        evaluate(model, tokenizer, [Document("s", "n", "too short")])
