# SPDX-License-Identifier: Apache-2.0
"""The shipped checkpoints: each loads as any Hugging Face model, and is as good as its model card says."""

import json
import math
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from bridge.network import RequestError
from model_side.calibrating.store import FILE_NAME
from model_side.model.model_folder import SHIPPED_FOLDER, SHIPPED_MODELS
from model_side.model.passages import Document, read_prompts
from model_side.training.card import working_parameters
from model_side.training.corpus import SOURCES
from model_side.training.evaluate import PROMPTS, evaluate
from model_side.training.shapes import SHAPES
from tests.support.shipped import MIXTURES


def evaluation(name: str) -> Mapping[str, Any]:
    stated: dict[str, Any] = json.loads((SHIPPED_MODELS[name] / "evaluation.json").read_text("utf-8"))
    return stated


@pytest.fixture(scope="module", params=SHIPPED_MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(SHIPPED_MODELS[name], dtype=torch.float32)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(SHIPPED_FOLDER)


def test_the_one_that_runs_by_default_is_the_mixtral() -> None:
    assert SHIPPED_FOLDER.name == "mixtral-12m"
    assert SHIPPED_FOLDER.name in MIXTURES


def test_it_is_of_its_shape_in_bf16_and_but_for_calibration_at_most_25_mb(name: str, model: PreTrainedModel) -> None:
    folder, config = SHIPPED_MODELS[name], SHAPES[name].config()
    with torch.device("meta"):
        made = AutoModelForCausalLM.from_config(config)
    assert {key: value.shape for key, value in model.named_parameters()} == {
        key: value.shape for key, value in made.named_parameters()
    }
    assert AutoConfig.from_pretrained(folder).model_type == config.model_type
    assert AutoConfig.from_pretrained(folder).dtype == torch.bfloat16
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != FILE_NAME]
    assert sum(path.stat().st_size for path in files) <= 25e6
    assert 11e6 < sum(parameter.numel() for parameter in model.parameters()) < 13e6


def test_each_has_the_same_tokenizer(name: str) -> None:
    file = "tokenizer.json"
    assert (SHIPPED_MODELS[name] / file).read_bytes() == (SHIPPED_FOLDER / file).read_bytes()


def test_perplexity_and_load_of_a_source_are_those_of_the_model_card(
    name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    is_default = SHIPPED_MODELS[name] == SHIPPED_FOLDER
    passages = [passage for passage in read_prompts(PROMPTS) if passage.source == "kjv"]
    measured = evaluate(model, tokenizer, passages if is_default else passages[::4])
    stated = evaluation(name)["perplexity"]["kjv"]
    assert measured.perplexity["kjv"] == pytest.approx(stated, rel=0.02 if is_default else 0.2)
    if name in MIXTURES:
        assert measured.load.sum(axis=1) == pytest.approx([1.0] * model.config.num_hidden_layers)
    else:
        assert measured.load.size == 0


def test_the_model_card_shows_what_was_measured_and_no_source_is_left_unlearnt(name: str) -> None:
    perplexities = evaluation(name)["perplexity"]
    card = (SHIPPED_MODELS[name] / "README.md").read_text("utf-8")
    assert f"# {name}: " in card
    assert perplexities.keys() == SOURCES.keys()
    for perplexity in perplexities.values():
        assert perplexity < 100  # a guess among all 2,048 entries has 2,048
        assert f"| {perplexity:.2f} |" in card
    overall = math.prod(perplexities.values()) ** (1 / len(SOURCES))
    assert f"| all, geometric mean | | | {overall:.2f} |" in card
    assert ("## Expert load" in card) == (name in MIXTURES)


@pytest.mark.parametrize("name", MIXTURES)
def test_no_expert_of_any_layer_starves(name: str) -> None:
    load, config = torch.tensor(evaluation(name)["load"]), SHAPES[name].config()
    experts = getattr(config, "num_local_experts", None) or config.num_experts
    assert load.shape == (6, experts)
    assert load.min() > 1 / experts / {8: 4, 32: 20}[experts]  # of many, some wait for few tokens
    assert load.max() < 1 / experts * 3


def test_text_that_it_read_is_likelier_than_the_same_words_in_another_order(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    text = next(passage.text for passage in read_prompts(PROMPTS) if passage.source == "austen")
    words = text.split()
    shuffled = " ".join(random.Random(1).sample(words, len(words)))
    perplexity = [
        evaluate(model, tokenizer, [Document("s", "n", candidate)]).perplexity["s"]
        for candidate in (" ".join(words), shuffled)
    ]
    assert 3 * perplexity[0] < perplexity[1]


@pytest.mark.parametrize(
    ("shape", "millions"), [("mixtral-12m", 3.65), ("qwen2-moe-12m", 3.01), ("llama-12m", 11.6), ("llama-4m", 3.64)]
)
def test_what_works_on_a_token_is_all_but_the_experts_that_it_does_not_go_to(shape: str, millions: float) -> None:
    """By hand: attention 98,304 a layer, head 393,216, three matrices of 192 by the width of what works."""
    config = SHAPES[shape].config()
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    widths = {"mixtral-12m": 2 * 384, "qwen2-moe-12m": 4 * 96 + 192, "llama-12m": 3072, "llama-4m": 768}
    routers = {"mixtral-12m": 192 * 8, "qwen2-moe-12m": 192 * (32 + 1)}
    hand = 393_216 + 6 * (98_304 + 3 * 192 * widths[shape] + routers.get(shape, 0))
    vectors = sum(parameter.numel() for parameter in model.parameters() if parameter.dim() == 1)
    assert working_parameters(model) == hand + vectors
    assert hand / 1e6 == pytest.approx(millions, abs=0.01)


def test_there_are_64_prompts_a_source_with_512_tokens_and_a_continuation(tokenizer: PreTrainedTokenizerBase) -> None:
    passages = read_prompts(PROMPTS)
    assert Counter(passage.source for passage in passages) == dict.fromkeys(SOURCES, 64)
    assert len({passage.text for passage in passages}) == len(passages)
    assert min(len(ids) for ids in tokenizer([passage.text for passage in passages])["input_ids"]) >= 512 + 32
    assert PROMPTS.stat().st_size < 1e6


def test_a_passage_too_short_to_measure_on_is_refused(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    with pytest.raises(RequestError, match="passages"):
        evaluate(model, tokenizer, [Document("s", "n", "too short")])
