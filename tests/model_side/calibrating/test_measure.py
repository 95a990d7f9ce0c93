# SPDX-License-Identifier: Apache-2.0
"""What is measured of a model, against the unmodified model of transformers and the definitions in double precision."""

import itertools

import numpy as np
import pytest
import torch

from model_side.calibrating.measure import measure
from model_side.model.moe import SplitModel
from tests.support.small_models import FAMILIES, expert_by_expert, random_prompt, small_model

SEQUENCES = [random_prompt(14, seed=1), random_prompt(9, seed=2)]
TOKENS = 14 + 9 - 2  # the first of a sequence does not count
EXACT = ["mixtral", "qwen2_moe"]
"""Families whose experts `expert_by_expert` computes; the second has a shared expert in each block besides."""


def passes(model, hook_of) -> list[torch.Tensor]:
    """Logits [N, V] of the unmodified model with a forward hook on each MoE block, without the first tokens."""
    blocks = [layer.mlp for layer in model.model.layers]
    handles = [block.register_forward_hook(hook_of(number)) for number, block in enumerate(blocks)]
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([sequence])).logits[0, 1:].double() for sequence in SEQUENCES]
    for handle in handles:
        handle.remove()
    return logits


@pytest.fixture(scope="module", params=EXACT)
def measured(request):
    return small_model(request.param), measure(SplitModel(small_model(request.param)), SEQUENCES, "m", "t")


@pytest.fixture(scope="module")
def inputs(measured):
    """What each block of the unmodified model gets [L][N, H], and what its router makes of it."""
    model, _ = measured
    seen: dict[int, list[torch.Tensor]] = {number: [] for number in range(3)}

    def hook_of(number):
        return lambda _block, arguments, _output: seen[number].append(arguments[0][0, 1:])

    passes(model, hook_of)
    hidden = [torch.cat(seen[number]) for number in range(3)]
    with torch.no_grad():
        gates = [layer.mlp.gate(states) for layer, states in zip(model.model.layers, hidden, strict=True)]
    return [(states, weights, indices) for states, (_, weights, indices) in zip(hidden, gates, strict=True)]


def test_distances_are_those_of_experts_done_by_their_definition(measured, inputs):
    model, table = measured
    experts = table.experts
    for layer, (hidden, _, indices) in enumerate(inputs):
        block = model.model.layers[layer].mlp
        one = torch.ones(len(hidden), 1)
        outputs = [expert_by_expert(block, hidden, one, one.long() * expert) for expert in range(experts)]
        outputs.append(torch.zeros_like(outputs[0]))
        for expert in range(experts):
            sent = (indices == expert).any(dim=1)
            assert table.popularity[layer, expert] == pytest.approx(float(sent.double().mean()), rel=1e-5)
            for other in range(experts + 1):
                away = (outputs[expert] - outputs[other])[sent].detach().norm(dim=1)
                expected = float(away.square().mean().sqrt()) if sent.any() else 0
                assert table.distance[layer, expert, other] == pytest.approx(expected, rel=1e-4, abs=1e-6)
            for other in range(experts):
                length = outputs[other][sent].detach().norm(dim=1)
                expected = float(length.square().mean().sqrt()) if sent.any() else 0
                assert table.norm[layer, expert, other] == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_the_output_is_that_of_the_routed_experts_alone(measured, inputs):
    model, table = measured
    for layer, routed in enumerate(inputs):
        output = expert_by_expert(model.model.layers[layer].mlp, *routed).detach()
        assert table.output_norm[layer] == pytest.approx(float(output.norm(dim=1).square().mean().sqrt()), rel=1e-4)


def test_sensitivity_is_the_divergence_from_the_model_without_a_layers_experts():
    """Mixtral has nothing else in the block: forward hooks return zeros in its place, or for the curvature half."""
    table = measure(SplitModel(small_model("mixtral")), SEQUENCES, "m", "t")
    model = small_model("mixtral")
    whole = torch.cat(passes(model, lambda _: lambda *_: None)).log_softmax(-1)
    for layer, left in itertools.product(range(3), (0, 0.5)):

        def hook_of(number, layer=layer, left=left):
            return lambda _block, _arguments, output: output * left if number == layer else None

        changed = torch.cat(passes(model, hook_of)).log_softmax(-1)
        kl = float(torch.nn.functional.kl_div(changed, whole, log_target=True, reduction="sum")) / TOKENS
        assert kl > 1e-5
        if left:
            assert table.curvature[layer] == pytest.approx(kl / (table.output_norm[layer] / 2) ** 2, rel=1e-3)
        else:
            assert table.sensitivity[layer] == pytest.approx(kl, rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_measured_and_twice_the_same(family):
    table = measure(SplitModel(small_model(family)), SEQUENCES, "m", "t")
    assert table.encoded() == measure(SplitModel(small_model(family)), SEQUENCES, "m", "t").encoded()
    k = table.share_quantiles.shape[1]
    assert table.tokens == TOKENS
    assert table.popularity.sum(axis=1) == pytest.approx(np.full(table.layers, k), rel=1e-4)
    used = table.popularity > 0
    same = np.einsum("lee->le", table.distance[:, :, :-1])
    assert (same == 0).all()
    assert (table.distance[used][:, -1] > 0).all()
    assert (table.sensitivity > 0).all()


def test_progress_is_told():
    told = []
    measure(SplitModel(small_model("mixtral")), SEQUENCES, "m", "t", lambda done, of: told.append((done, of)))
    assert told == [(13, TOKENS), (TOKENS, TOKENS)]


def test_few_outputs_at_a_time_come_to_the_same(monkeypatch):
    whole = measure(SplitModel(small_model("mixtral")), SEQUENCES, "m", "t")
    monkeypatch.setattr("model_side.calibrating.measure._MOST_FIGURES", 8 * 32 * 3)
    parts = measure(SplitModel(small_model("mixtral")), SEQUENCES, "m", "t")
    assert parts.distance == pytest.approx(whole.distance, rel=1e-4)
