# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face MoE model whose routing can be decided from outside, with its arithmetic left alone.

The routers of transformers' MoE models share a contract: they return router logits [N, E], weights [N, k] and expert
indices [N, k] of N tokens, and the block hands weights and indices to its experts. A forward hook on the router may
therefore replace both (`model_side.model.routers` has the families that do it otherwise). A slot that is left out gets
weight 0 and, in place of its expert, another of the token's own that stays: so what was left out is not computed, it
adds nothing, the other slots are summed in the model's own order, and all by the implementation that the model was
loaded with. So a routing that changes nothing gives bit for bit what the unmodified model gives, whichever
implementation that is.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bridge.network import RequestError
from model_side.model.model_folder import ModelError, one_line
from model_side.model.routers import Carry, Experts, MoeBlock, find_blocks, steer
from model_side.model_sizes import down_of

__all__ = ["Carry", "Experts", "GateOutput", "ModelError", "MoeBlock", "Route", "SplitModel"]

_TOWERS = ("visual", "vision", "audio", "image", "mtp")
"""What stands beside the language model, by a part of its modules' names."""


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


class NotFinite(RequestError):
    """A model that gives numbers that are none: NaN, or such as its type of elements cannot hold."""

    def __init__(self, model: str, where: str, dtype: torch.dtype):
        self.where = where
        name = str(dtype).removeprefix("torch.")
        reason = f"{model}, computing in {name}, does not give finite numbers: {where}"
        if dtype is torch.float16:
            reason += "; float16 ends at 65504, so take bfloat16 or float32"
        super().__init__("model.dtype" if dtype is torch.float16 else "model.path", reason)


class SplitModel:
    """A causal language model with its MoE blocks found and proven to be steerable.

    `blocks` are in the order in which the model runs them, `num_experts` is E, `top_k` is k. Raises
    `ModelError` for a dense model and for one whose blocks do not follow the contract: two tokens are run
    with every expert left out, and each block's experts must then return zeros; and `NotFinite`.
    """

    def __init__(self, model: Any):
        self.model = model.eval()
        self.name = type(model).__name__
        self.blocks = [block for block in find_blocks(model) if not any(part in block.name for part in _TOWERS)]
        self._outside: BaseException | None = None
        if not self.blocks:
            raise ModelError(f"{self.name} has no MoE block (experts with a router at 'gate' or 'router')")
        self.num_experts = int(_same(self.name, "numbers of experts", [block.num_experts for block in self.blocks]))
        _same(self.name, "sizes of experts", [tuple(down_of(block.experts).shape) for block in self.blocks])
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
                for undo in steer(block, self._decide(layer, route), carry):
                    hooks.callback(undo)
            yield

    @torch.inference_mode()
    def forward(self, tokens: Tensor, cache: Any, what: str, use_cache: bool = True) -> tuple[Tensor, Any]:
        """Logits [N, V] of `tokens` [1, N] after what `cache` holds, and the cache grown by them.

        `what` names the pass. Raises `ModelError` for what goes wrong in the model, `NotFinite`, and as it is what
        `route` raises.
        """
        self._outside = None
        try:
            output = self.model(input_ids=tokens, past_key_values=cache, use_cache=use_cache)
        except NotFinite as error:
            raise NotFinite(self.name, f"{error.where}, in {what}", self.model.dtype) from None
        except Exception as error:
            if error is self._outside or isinstance(error, RequestError):
                raise
            raise ModelError(f"{self.name} cannot compute {what}: {one_line(error)}") from error
        self.check_finite(output.logits, f"the logits after {what}")
        return output.logits[0], output.past_key_values if use_cache else None

    def check_finite(self, logits: Tensor, where: str) -> None:
        """Raise `NotFinite` for rows of logits whose largest is none; -inf is an entry that is masked."""
        if not bool(logits.amax(dim=-1).isfinite().all()):
            raise NotFinite(self.name, where, self.model.dtype)

    def _decide(self, layer: int, route: Route) -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
        def decide(logits: Tensor, own_weights: Tensor, own_indices: Tensor) -> tuple[Tensor, Tensor]:
            self.check_finite(logits, f"the router of MoE layer {layer}")
            try:
                weights, indices = route(GateOutput(layer, logits, own_weights, own_indices))
            except BaseException as error:
                self._outside = error
                raise
            left_out = indices >= self.num_experts
            if left_out.any():
                weights = weights.masked_fill(left_out, 0)
                stand_in = indices.masked_fill(left_out, 0).amax(dim=1, keepdim=True)
                indices = torch.where(left_out, stand_in, indices)
            return weights, indices

        return decide

    def _check_contract(self) -> int:
        """Run two tokens with every expert left out, then one more; return k."""
        seen: list[GateOutput] = []
        moved: list[str] = []

        def leave_all_out(gate: GateOutput) -> tuple[Tensor, Tensor]:
            seen.append(gate)
            experts, k = gate.logits.shape[1], gate.indices.shape[1]
            if not 1 <= k <= experts or experts != self.num_experts:
                raise ModelError(f"{self.name}: its routers choose {k} of {experts} experts of {self.num_experts}")
            return gate.weights, torch.full_like(gate.indices, self.num_experts)

        def expect_zeros(name: str) -> Callable[..., None]:
            def check(_module: nn.Module, _arguments: Any, output: Any) -> None:
                if not isinstance(output, Tensor) or bool(output.any()):
                    moved.append(name)
                    if isinstance(output, Tensor) and not bool(output.isfinite().all()):
                        raise NotFinite(self.name, f"the experts of {name}", self.model.dtype)

            return check

        tokens = torch.zeros(1, 2, dtype=torch.long, device=self.model.device)
        with ExitStack() as hooks:
            for block in self.blocks:
                hooks.callback(block.experts.register_forward_hook(expect_zeros(block.name)).remove)
            hooks.enter_context(self.routed(leave_all_out))
            _, cache = self.forward(tokens, None, "two tokens, to see whether it can be split")
            self.forward(tokens[:, :1], cache, "a token after two, to see whether it can be split")
        if moved:
            raise ModelError(f"{self.name}: the experts of {moved[0]} do not obey the router's weights")
        if [gate.layer for gate in seen] != 2 * list(range(len(self.blocks))):
            raise ModelError(f"{self.name}: its MoE blocks do not each run once, in order")
        return int(_same(self.name, "numbers of experts a token", [gate.indices.shape[1] for gate in seen]))


def _same(model: str, what: str, found: list[Any]) -> Any:
    """The one value that all layers have. Raises `ModelError` if they differ."""
    if len(set(found)) > 1:
        raise ModelError(f"{model} has layers with different {what}: {', '.join(map(str, dict.fromkeys(found)))}")
    return found[0]
