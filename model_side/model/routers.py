# SPDX-License-Identifier: Apache-2.0
"""The ways in which the routers of transformers' MoE models say what they chose, and can be told otherwise.

- Most return logits [N, E], weights [N, k] and indices [N, k] to their block, which hands them to its experts.
- Gemma 4's returns probabilities in place of logits; their logarithms rank and weigh the experts as logits would.
- DBRX's returns logits alone, and a method of the block makes weights and indices of them.
- Llama 4's returns a weight for each expert [N, E], 0 for those that are not chosen; its block multiplies what goes
  into the experts by it, and runs all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from model_side.model.model_folder import ModelError
from model_side.model_sizes import down_of

ROUTER_NAMES = ("gate", "router")
_BLOCK_ROUTES = "route_tokens_to_experts"

Decide = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Logits [N, E], weights and indices [N, k] of a router to the weights and indices that its block gets."""
Experts = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The experts of a block: hidden states [N, m], indices and weights [N, k] to the weighted sums [N, m]."""
Carry = Callable[[Experts, Tensor, Tensor, Tensor], Tensor]
"""What stands between a block and its experts: these, and what they are asked, to what the block gets."""


@dataclass(frozen=True)
class MoeBlock:
    """One MoE block of a model: its dotted name, its router and its experts."""

    name: str
    block: nn.Module
    router: nn.Module
    experts: Any

    @property
    def num_experts(self) -> int:
        """E."""
        return int(self.experts.num_experts)

    @property
    def runs_all(self) -> bool:
        """Whether all experts are run on every token, weighted before, as Llama 4's are."""
        return type(self.router).__name__ == "Llama4Router"


def find_blocks(model: nn.Module) -> list[MoeBlock]:
    """All MoE blocks of a model. Raises `ModelError` for experts of another layout, or that no device could have."""
    blocks = []
    for name, module in model.named_modules():
        experts: Any = getattr(module, "experts", None)
        router = next((getattr(module, key) for key in ROUTER_NAMES if hasattr(module, key)), None)
        if isinstance(experts, nn.Module) and isinstance(router, nn.Module):
            if getattr(experts, "zero_expert_num", 0):
                raise ModelError(
                    f"{type(model).__name__}: {name} has experts that compute nothing, and so no device has them"
                )
            if not hasattr(experts, "num_experts"):
                vars(experts)["num_experts"] = getattr(experts, "num_routed_experts", None)
            if experts.num_experts is None or down_of(experts) is None:
                raise ModelError(f"{type(model).__name__}: the experts of {name} are not fused into one tensor")
            blocks.append(MoeBlock(name, module, router, experts))
    return blocks


def steer(block: MoeBlock, decide: Decide, carry: Carry | None = None) -> list[Callable[[], None]]:
    """Let `decide` choose what the block's experts are asked, and `carry` compute that; gives what undoes it."""
    if hasattr(block.block, _BLOCK_ROUTES):
        return [*_of_block(block, decide), *_carried(block, carry)]
    dense = _Dense(block, decide, carry)

    def replace(_router: nn.Module, arguments: tuple[Any, ...], output: Any) -> Any:
        match output:
            case (Tensor() as first, Tensor() as weights, Tensor() as indices) if _chosen(weights, indices):
                logits = first.log() if _is_distribution(first) else first
                return first, *decide(logits, weights, indices)
            case (Tensor() as scores, Tensor() as logits) if dense.fits(scores, logits):
                return dense.decided(arguments[0], scores, logits), logits
        raise ModelError(
            f"the router {type(block.router).__name__} does not return logits [N, E], weights [N, k] and indices "
            "[N, k]; take a model of the common contract, as Mixtral, Qwen3-MoE or OLMoE"
        )

    undo = [block.router.register_forward_hook(replace).remove]
    return undo + (dense.carried() if dense.is_there else _carried(block, carry))


def _carried(block: MoeBlock, carry: Carry | None) -> list[Callable[[], None]]:
    if carry is None:
        return []
    return [_instead(block.experts, "forward", partial(carry, block.experts.forward))]


def _instead(module: nn.Module, name: str, function: Callable[..., Any]) -> Callable[[], None]:
    """Put a function in a method's place, and give what puts back what was there: some stand there of others already,
    as accelerate's, which bring the weights."""
    before = vars(module).get(name)
    setattr(module, name, function)
    return partial(delattr, module, name) if before is None else partial(setattr, module, name, before)


def _of_block(block: MoeBlock, decide: Decide) -> list[Callable[[], None]]:
    route = getattr(block.block, _BLOCK_ROUTES)

    def decided(logits: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
        weights, indices = route(logits, *others)
        return decide(logits, weights, indices)

    return [_instead(block.block, _BLOCK_ROUTES, decided)]


class _Dense:
    """A block whose router weighs every expert, and whose experts are all run on what is multiplied by that."""

    def __init__(self, block: MoeBlock, decide: Decide, carry: Carry | None):
        self._experts = block.experts
        self._forward = block.experts.forward
        self._top_k = int(getattr(block.router, "top_k", 0) or 0)
        self._decide = decide
        self._carry = carry
        self._asked: tuple[Tensor, Tensor, Tensor] | None = None
        self.is_there = block.runs_all

    def fits(self, scores: Tensor, logits: Tensor) -> bool:
        return self.is_there and scores.dim() == 2 and scores.shape == logits.shape and self._top_k > 0

    def decided(self, hidden: Tensor, scores: Tensor, logits: Tensor) -> Tensor:
        """The scores [N, E] of what was decided."""
        weights, indices = scores.topk(self._top_k, dim=1)
        chosen, asked = self._decide(logits, weights, indices)
        self._asked = (hidden, asked, chosen)
        if chosen is weights and asked is indices:
            return scores
        return torch.zeros_like(scores).scatter_add(1, asked, chosen.to(scores.dtype))

    def carried(self) -> list[Callable[[], None]]:
        """Let what stands between compute the experts; what they give goes where the first one's would stand."""
        if self._carry is None:
            return []
        carry = self._carry

        def forward(routed: Tensor) -> Tensor:
            assert self._asked is not None
            total = carry(self._of_chosen, *self._asked)
            return torch.cat([total, routed.new_zeros(len(routed) - len(total), total.shape[1])])

        return [_instead(self._experts, "forward", forward)]

    def _of_chosen(self, hidden: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
        """As the block computes it."""
        scores = hidden.new_zeros(len(hidden), int(self._experts.num_experts)).scatter_add(1, indices, weights)
        routed = hidden.repeat(scores.shape[1], 1) * scores.transpose(0, 1).reshape(-1, 1)
        answers: Tensor = self._forward(routed)
        return answers.reshape(scores.shape[1], -1, hidden.shape[1]).sum(dim=0)


def _chosen(weights: Tensor, indices: Tensor) -> bool:
    return weights.dim() == 2 and weights.shape == indices.shape and not indices.is_floating_point()


def _is_distribution(values: Tensor) -> bool:
    """Whether each row is one of probabilities: logits never happen to be."""
    sums = values.sum(dim=-1)
    return bool((values >= 0).all() and torch.isclose(sums, torch.ones_like(sums), atol=1e-2).all())
