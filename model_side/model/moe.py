# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face MoE model whose routing can be decided from outside, with its arithmetic left alone.

The routers of transformers' MoE models share a contract: they return router logits [N, E], weights [N, k]
and expert indices [N, k] of N tokens, and the block hands weights and indices to its experts. A forward
hook on the router may therefore replace both. A slot that is left out gets weight 0 and, in place of its
expert, another of the token's own that stays: so what was left out is not computed, it adds nothing, the
other slots are summed in the model's own order, and all by the implementation that the model was loaded
with. So a routing that changes nothing gives bit for bit what the unmodified model gives, whichever
implementation that is.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from model_side.model.model_folder import ModelError

ROUTER_NAMES = ("gate", "router")


@dataclass(frozen=True)
class GateOutput:
    """What the router of one MoE layer gives for N tokens.

    `layer` counts the MoE layers from 0. `logits` [N, E], `weights` [N, k], `indices` [N, k].
    """

    layer: int
    logits: Tensor
    weights: Tensor
    indices: Tensor


Route = Callable[[GateOutput], tuple[Tensor, Tensor]]
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


class SplitModel:
    """A causal language model with its MoE blocks found and proven to be steerable.

    `blocks` are in the order in which the model runs them, `num_experts` is E, `top_k` is k. Raises
    `ModelError` for a dense model and for one whose blocks do not follow the contract: one token is run
    with every expert left out, and each block's experts must then return zeros.
    """

    def __init__(self, model: Any):
        self.model = model.eval()
        self.name = type(model).__name__
        self.blocks = _find_blocks(model)
        if not self.blocks:
            raise ModelError(f"{self.name} has no MoE block (experts with a router at 'gate' or 'router')")
        sizes = {int(block.experts.num_experts) for block in self.blocks}
        if len(sizes) > 1:
            raise ModelError(f"{self.name} has layers with different numbers of experts: {sorted(sizes)}")
        self.num_experts = sizes.pop()
        self.top_k = self._check_contract()

    @contextmanager
    def routed(self, route: Route, carry: Carry | None = None) -> Iterator[None]:
        """Let `route` decide the routing of every MoE layer run inside the context.

        `route` gets a `GateOutput` and returns weights [N, k] and indices [N, k]; index E means that the
        slot is left out. `carry` then computes what the experts would: what is left out reaches it with weight 0.
        Outside the context the model carries no hook: it is the unmodified model.
        """
        with ExitStack() as hooks:
            for layer, block in enumerate(self.blocks):
                handle = block.router.register_forward_hook(self._hook(layer, route))
                hooks.callback(handle.remove)
                if carry is not None:
                    hooks.callback(delattr, block.experts, "forward")
                    block.experts.forward = partial(carry, block.experts.forward)
            yield

    def _hook(self, layer: int, route: Route) -> Callable[[nn.Module, Any, Any], tuple[Tensor, Tensor, Tensor]]:
        def replace_routing(_module: nn.Module, _arguments: Any, output: Any) -> tuple[Tensor, Tensor, Tensor]:
            gate = self._read(layer, output)
            weights, indices = route(gate)
            left_out = indices >= self.num_experts
            if left_out.any():
                weights = weights.masked_fill(left_out, 0)
                stand_in = indices.masked_fill(left_out, 0).amax(dim=1, keepdim=True)
                indices = torch.where(left_out, stand_in, indices)
            return gate.logits, weights, indices

        return replace_routing

    def _read(self, layer: int, output: Any) -> GateOutput:
        tensors = isinstance(output, tuple) and len(output) == 3 and all(isinstance(part, Tensor) for part in output)
        if not tensors or output[1].dim() != 2 or output[1].shape != output[2].shape:
            router = self.blocks[layer].router
            raise ModelError(
                f"{self.name}: the router {type(router).__name__} does not return logits [N, E], weights [N, k] "
                "and indices [N, k]; take a model of the common contract, as Mixtral, Qwen3-MoE or OLMoE"
            )
        return GateOutput(layer, *output)

    def _check_contract(self) -> int:
        """Run one token with every expert left out; return k."""
        seen: list[GateOutput] = []
        moved: list[str] = []

        def leave_all_out(gate: GateOutput) -> tuple[Tensor, Tensor]:
            seen.append(gate)
            return gate.weights, torch.full_like(gate.indices, self.num_experts)

        def expect_zeros(name: str) -> Callable[..., None]:
            def check(_module: nn.Module, _arguments: Any, output: Any) -> None:
                if not isinstance(output, Tensor) or bool(output.any()):
                    moved.append(name)

            return check

        token = torch.zeros(1, 1, dtype=torch.long, device=self.model.device)
        with ExitStack() as hooks, torch.no_grad():
            for block in self.blocks:
                hooks.callback(block.experts.register_forward_hook(expect_zeros(block.name)).remove)
            hooks.enter_context(self.routed(leave_all_out))
            self.model(input_ids=token, use_cache=False)
        if moved:
            raise ModelError(f"{self.name}: the experts of {moved[0]} do not obey the router's weights")
        if [gate.layer for gate in seen] != list(range(len(self.blocks))):
            raise ModelError(f"{self.name}: its MoE blocks do not each run once, in order")
        return int(seen[0].indices.shape[1])


def _find_blocks(model: nn.Module) -> list[MoeBlock]:
    blocks = []
    for name, module in model.named_modules():
        experts = getattr(module, "experts", None)
        router = next((getattr(module, key) for key in ROUTER_NAMES if hasattr(module, key)), None)
        if isinstance(experts, nn.Module) and isinstance(router, nn.Module):
            if not hasattr(experts, "num_experts") or not hasattr(experts, "down_proj"):
                raise ModelError(f"{type(model).__name__}: the experts of {name} are not fused into one tensor")
            blocks.append(MoeBlock(name, module, router, experts))
    return blocks
