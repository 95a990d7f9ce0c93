# SPDX-License-Identifier: Apache-2.0
"""The per-layer load-balance loss against hand-computed values and Hugging Face's own for a single layer."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from model_side.training.balance import expert_load, load_balance_loss

LEFT, RIGHT = [0.75, 0.25], [0.25, 0.75]


def logits(*probabilities: list[float]) -> torch.Tensor:
    return torch.tensor(probabilities, dtype=torch.float64).log()


def test_loss_by_hand() -> None:
    starving = logits(LEFT, LEFT)  # loads 1, 0: 2 * (1 * .75 + 0 * .25) = 1.5
    balanced = logits(LEFT, RIGHT)  # loads .5, .5: 2 * (.5 * .5 + .5 * .5) = 1
    assert load_balance_loss([starving], 1).item() == pytest.approx(1.5)
    assert load_balance_loss([balanced], 1).item() == pytest.approx(1.0)
    assert load_balance_loss([starving, balanced], 1).item() == pytest.approx(1.25)


def test_layers_that_starve_opposite_experts_are_seen_where_the_pooled_loss_is_blind() -> None:
    layers = [logits(LEFT, LEFT), logits(RIGHT, RIGHT)]
    assert load_balancing_loss_func(tuple(layers), 2, 1).item() == pytest.approx(1.0)
    assert load_balance_loss(layers, 1).item() == pytest.approx(1.5)


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(2, 8), st.integers(1, 50), st.data())
def test_one_layer_agrees_with_hugging_face(seed: int, experts: int, tokens: int, data: st.DataObject) -> None:
    top_k = data.draw(st.integers(1, experts))
    layer = torch.randn(tokens, experts, generator=torch.Generator().manual_seed(seed))
    theirs = load_balancing_loss_func((layer,), experts, top_k) / top_k
    assert load_balance_loss([layer], top_k).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_the_gradient_moves_load_away_from_the_crowded_expert() -> None:
    layer = torch.tensor([[1.0, 0.0, 0.0]] * 4, requires_grad=True)
    load_balance_loss([layer], 1).backward()
    assert layer.grad is not None
    assert (layer.grad[:, 0] > 0).all()
    assert (layer.grad[:, 1:] < 0).all()


def test_load_counts_all_choices() -> None:
    layer = torch.tensor([[3.0, 2.0, 1.0, 0.0], [3.0, 0.0, 2.0, 1.0]])
    assert expert_load(layer, 2).tolist() == [0.5, 0.25, 0.25, 0.0]
