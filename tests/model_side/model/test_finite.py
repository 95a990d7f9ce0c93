# SPDX-License-Identifier: Apache-2.0
"""Numbers that are none are refused where they arise; a masked token is none of them."""

import math
from dataclasses import asdict

import pytest
import torch

from bridge.network import RequestError
from model_side.model.inference import Request, generate
from model_side.model.moe import NotFinite, SplitModel
from model_side.quality import PassQuality, compare, pool
from tests.support.base_stations import serving
from tests.support.small_models import random_prompt, small_model

PROMPT = torch.tensor([random_prompt(24)])
REQUEST = Request(random_prompt(12), 3)


def _spoil(split: SplitModel, what: str) -> None:
    with torch.no_grad():
        match what:
            case "a router":
                split.blocks[1].router.weight[0, 0] = torch.nan
            case "an expert":
                split.blocks[1].experts.down_proj[:] = torch.nan
            case "the last expert":
                split.blocks[2].experts.down_proj[:] = torch.inf
            case "the head":
                split.model.lm_head.weight[5] = torch.nan


@pytest.mark.parametrize("reference", [True, False])
@pytest.mark.parametrize(
    ("what", "where"),
    [
        ("a router", "the router of MoE layer 1"),
        ("an expert", "the router of MoE layer 2"),
        ("the last expert", "the logits after prefill at position 0 of request 0"),
        ("the head", "the logits after prefill at position 0 of request 0"),
    ],
)
def test_numbers_that_are_not_finite_are_refused_with_layer_pass_and_type(what: str, where: str, reference: bool):
    split = SplitModel(small_model("mixtral"))
    _spoil(split, what)
    with pytest.raises(NotFinite) as caught:
        list(generate(split, serving(split), [REQUEST], reference))
    assert caught.value.field == "model.path"
    assert caught.value.reason == (
        "MixtralForCausalLM, computing in float32, does not give finite numbers: "
        + (where if "request" in where else f"{where}, in prefill at position 0 of request 0")
    )


def test_what_is_broken_from_the_beginning_is_refused_before_a_run():
    model = small_model("mixtral")
    with torch.no_grad():
        model.model.layers[0].mlp.experts.down_proj[:] = torch.nan
    with pytest.raises(NotFinite, match=r"the experts of model\.layers\.0\.mlp"):
        SplitModel(model)


def test_an_overflow_of_float16_is_called_one():
    model = small_model("mixtral")
    with torch.no_grad():
        model.model.layers[0].mlp.experts.gate_up_proj *= 1e4
    split = SplitModel(model.to(torch.float16))
    with pytest.raises(RequestError, match="float16 ends at 65504, so take bfloat16 or float32") as caught:
        list(generate(split, serving(split), [REQUEST]))
    assert caught.value.field == "model.dtype"


def test_masked_tokens_have_no_part_in_the_divergence():
    generator = torch.Generator().manual_seed(1)
    logits, reference = torch.randn(2, 5, 40, generator=generator)
    masked = torch.cat([logits, torch.full((5, 3), -math.inf)], dim=1)
    masked_reference = torch.cat([reference, torch.full((5, 3), -math.inf)], dim=1)
    tokens = torch.arange(5)
    found, expected = asdict(compare(masked, masked_reference, tokens)), asdict(compare(logits, reference, tokens))
    assert found == pytest.approx(expected, rel=1e-12)  # sums over another number of columns are added otherwise


def test_a_head_that_masks_tokens_is_served():
    model = small_model("mixtral")
    split = SplitModel(model)

    def mask(_module: object, _given: object, output: torch.Tensor) -> torch.Tensor:
        return output.index_fill(-1, torch.tensor([3, 9]), -math.inf)

    hook = model.lm_head.register_forward_hook(mask)
    tokens = list(generate(split, serving(split), [Request(REQUEST.prompt, 4)]))
    hook.remove()
    kept = [token.quality for token in tokens]
    assert all(part is not None and part.kl_nats == 0 for part in kept)


def test_a_perplexity_beyond_a_float_is_infinite():
    found = pool([PassQuality(2, 0, 0.0, 1, 1e5, math.inf)])
    assert found is not None
    assert (found.perplexity, found.reference_perplexity) == (math.inf, math.inf)


def test_what_goes_wrong_within_a_model_is_told_in_its_name():
    split = SplitModel(small_model("mixtral"))
    with pytest.raises(
        RequestError, match="MixtralForCausalLM cannot compute decode at position 3: index out of range"
    ):
        split.forward(torch.tensor([[500]]), None, "decode at position 3")


def test_what_a_route_raises_is_raised_as_it_is():
    split = SplitModel(small_model("mixtral"))

    def broken(gate: object) -> None:
        raise KeyError("of a policy")

    with pytest.raises(KeyError, match="of a policy"), split.routed(broken):  # type: ignore[arg-type]
        split.forward(PROMPT, None, "a pass")
