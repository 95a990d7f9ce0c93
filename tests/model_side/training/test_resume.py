# SPDX-License-Identifier: Apache-2.0
"""Training: drawing batches, the schedule, tokenizer and passages, and going on after a kill."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PretrainedConfig, PreTrainedTokenizerFast

from model_side.model.passages import Document, read_prompts
from model_side.training import tokens
from model_side.training.prompts import cut, held_out_prompts, write_prompts
from model_side.training.shapes import SHAPES
from model_side.training.tokenizer import train_tokenizer
from model_side.training.train import Recipe, Training, train

TEXT = {name: np.arange(2, 2 + size, dtype=np.uint16) for name, size in (("small", 90), ("large", 250))}


def tiny_config(name: str = "mixtral-12m") -> PretrainedConfig:
    config = SHAPES[name].config()
    small = {"vocab_size": 256, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "head_dim": 16}
    small |= {"num_attention_heads": 2, "num_key_value_heads": 1, "num_local_experts": 4, "num_experts": 4}
    small |= {"moe_intermediate_size": 16, "shared_expert_intermediate_size": 16}
    config.update({key: value for key, value in small.items() if hasattr(config, key)})
    return config


@pytest.mark.parametrize("name", SHAPES)
def test_a_killed_training_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path, name: str) -> None:
    recipe = Recipe(steps=6, sequences=2, length=16, warmup=2)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    uninterrupted = Training(tiny_config(name), recipe)
    train(uninterrupted, TEXT, whole, save_every=100)

    first = Training(tiny_config(name), recipe)
    for _ in range(3):
        first.run_step(TEXT)
    first.save(killed / "state.pt")
    first.run_step(TEXT)  # lost with the kill
    torch.manual_seed(99)
    resumed = Training(tiny_config(name), recipe)
    train(resumed, TEXT, killed, save_every=100)

    assert resumed.step == uninterrupted.step == 6
    for key, weight in uninterrupted.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[key]), key
    assert [json.loads(line)["step"] for line in (killed / "log.jsonl").read_text().splitlines()] == [4, 5, 6]
    assert not list(killed.glob("*.partial"))


def test_training_learns_and_the_seed_decides(tmp_path: Path) -> None:
    recipe = Recipe(steps=30, sequences=4, length=16, warmup=2, peak=1e-2)
    training = Training(tiny_config(), recipe)
    losses = [training.run_step(TEXT)[0] for _ in range(30)]
    assert losses[0] == pytest.approx(np.log(256), abs=0.3)
    assert losses[-1] < losses[0] - 0.5
    other = Training(tiny_config(), Recipe(steps=30, seed=2))
    same = Training(tiny_config(), recipe)
    weight = "model.embed_tokens.weight"
    assert not torch.equal(other.model.state_dict()[weight], same.model.state_dict()[weight])


def test_batches_are_running_text_after_the_begin_token_and_depend_on_step_and_seed_alone() -> None:
    ids = tokens.batch(TEXT, 0, 64, 20, seed=1, step=3)
    assert ids.shape == (64, 21)
    assert (ids[:, 0] == 0).all()
    assert (ids[:, 2:] == ids[:, 1:-1] + 1).all()
    assert torch.equal(ids, tokens.batch(TEXT, 0, 64, 20, seed=1, step=3))
    assert not torch.equal(ids, tokens.batch(TEXT, 0, 64, 20, seed=1, step=4))
    assert not torch.equal(ids, tokens.batch(TEXT, 0, 64, 20, seed=2, step=3))


def test_sources_are_drawn_by_the_square_root_of_their_size() -> None:
    rows = {"small": np.zeros(100, np.uint16), "large": np.ones(900, np.uint16)}
    ids = tokens.batch(rows, 5, 4000, 1, seed=1, step=0)
    assert ids[:, 1].float().mean().item() == pytest.approx(0.75, abs=0.03)  # 30 / (10 + 30)


@settings(deadline=None)
@given(st.integers(100, 10_000))
def test_the_schedule_warms_up_stays_and_falls_to_near_zero(steps: int) -> None:
    recipe = Recipe(steps=steps, warmup=10)
    rates = [recipe.learning_rate(step) for step in range(steps)]
    falling = int(0.7 * steps)
    assert rates[0] == pytest.approx(recipe.peak / 10)
    assert all(rate == recipe.peak for rate in rates[10:falling])
    assert rates[-1] == pytest.approx(recipe.peak / (0.3 * steps))
    longer = Recipe(steps=2 * steps, warmup=10)
    assert rates[:falling] == [longer.learning_rate(step) for step in range(falling)]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(["the cat sat on the mat, the dog sat on the log. " * 20], 64)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_every_text_survives_the_tokenizer(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    text = text.replace("<s>", "").replace("</s>", "")
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id == 0
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_the_tokenizer_is_the_same_after_saving(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    text = "the cat  sat\n\non thé log"
    assert AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_encoded_documents_end_with_the_end_token(tokenizer: PreTrainedTokenizerFast) -> None:
    row = tokens.encode([Document("s", "1", "the cat"), Document("s", "2", "the dog")], tokenizer)
    assert row.dtype == np.uint16
    assert tokenizer.decode(row.tolist()) == "the cat</s>the dog</s>"


def test_passages_follow_each_other_and_are_long_enough(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    document = Document("s", "long", " ".join(f"word{i}" for i in range(2000)))
    passages = list(cut(document, tokenizer))
    assert len(passages) > 3
    assert document.text.startswith(" ".join(passage.text for passage in passages))
    for passage in passages:
        assert len(tokenizer(passage.text)["input_ids"]) >= 576
    chosen = list(held_out_prompts({"s": [document] * 60}, tokenizer))
    assert len(chosen) == 64
    write_prompts(tmp_path / "p.jsonl", chosen)
    assert read_prompts(tmp_path / "p.jsonl") == chosen
