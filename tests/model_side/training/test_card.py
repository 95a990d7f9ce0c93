# SPDX-License-Identifier: Apache-2.0
"""Model cards: what they say of a training, with experts and without."""

from pathlib import Path

import numpy as np
import pytest

from model_side.training.card import model_card, working_parameters
from model_side.training.corpus import SOURCES
from model_side.training.evaluate import Evaluation
from model_side.training.train import Recipe, Training, train
from tests.model_side.training.test_resume import TEXT, tiny_config

RECIPE = Recipe(steps=3, sequences=500, length=16, warmup=2)


@pytest.fixture(scope="module", params=["mixtral-12m", "qwen2-moe-12m", "llama-12m"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Training, str]:
    name, out = str(request.param), Path(tmp_path_factory.mktemp("run"))
    training = Training(tiny_config(name), RECIPE)
    train(training, TEXT, out, save_every=100)
    load = np.zeros((0,)) if name == "llama-12m" else np.full((2, 4), 0.25)
    evaluation = Evaluation(dict.fromkeys(SOURCES, 20.0), load)
    return name, training, model_card(name, training, evaluation, out)


def test_it_says_what_the_training_was(trained: tuple[str, Training, str]) -> None:
    name, training, card = trained
    words = " ".join(card.split())
    operations = 6 * working_parameters(training.model) * 3 * 500 * 16 / 1e12
    assert f"3 steps of 500 x 16 tokens (0.0 M tokens; {operations:.3g} * 10^12 operations" in words
    assert f"python -m model_side.training.train {name} --steps 3 " in card
    assert "seed 1, fp32." in words
    assert "| all, geometric mean | | | 20.00 |" in card
    assert ("## Expert load" in card) == ("load-balance loss" in card) == ("work on a token: " in words)
    assert ("## Expert load" in card) == (name != "llama-12m")


def test_its_parts_are_those_of_a_page(trained: tuple[str, Training, str]) -> None:
    name, _, card = trained
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert f"\n# {name}: a small model, trained for co-simulation\n\n" in card
    (code,) = card.split("```")[1::2]
    assert code.splitlines()[0] == "python"
    assert len(code.splitlines()) == 5
    assert card.endswith("\n")
    assert not card.endswith("\n\n")
    running = [line for line in card.splitlines() if not line.startswith(("|", "    ", "model =", "tokenizer ="))]
    assert max(map(len, running)) <= 120
