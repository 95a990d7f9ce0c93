# SPDX-License-Identifier: Apache-2.0
"""Greedy generation over the base station, in lockstep with the unmodified model.

The reference has the same weights and is fed the same tokens, through a KV cache of its own and outside
`SplitModel.routed`. What differs between the two is what the links did.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from model_side.base_station import BaseStation
from model_side.element import Element
from model_side.model.moe import Carry, GateOutput, Route, SplitModel
from model_side.model.wire import carried_by
from model_side.quality import compare
from model_side.record_routing import gate_arrays
from model_side.routing import Gate
from model_side.selection import Phase
from model_side.serving import TokenRecord


@dataclass(frozen=True)
class Request:
    """A prompt of token ids (at least one) and how many tokens to generate after it (at least one)."""

    prompt: tuple[int, ...]
    new_tokens: int


def routed_by(base_station: BaseStation) -> Route:
    """A base station's decisions for `SplitModel.routed`: tensors to its arrays, and back.

    Where policy and network leave the model's own choice alone, its tensors are returned as they came.
    """

    def route(output: GateOutput) -> tuple[Tensor, Tensor]:
        gate = Gate(output.layer, output.logits.shape[1], *gate_arrays(output.logits, output.weights, output.indices))
        weights, indices = base_station.route(gate)
        if weights is gate.weights and indices is gate.indices:
            return output.weights, output.indices
        return torch.from_numpy(weights).to(output.weights), torch.from_numpy(indices).to(output.indices)

    return route


def generate(
    split: SplitModel,
    base_station: BaseStation,
    requests: Iterable[Request],
    reference: bool = True,
    element: Element = Element.OWN,
) -> Iterator[TokenRecord]:
    """Generate greedily, request after request, and yield each token as soon as it is there.

    What devices are sent and send back is rounded to `element`. Always generates `new_tokens`: no token ends a request
    early, so that every run of a workload has the same number of exchanges.
    """
    carry = carried_by(base_station, element, split.model.dtype)
    for number, request in enumerate(requests):
        yield from _serve(split, base_station, carry, number, request, reference)


def _serve(
    split: SplitModel, base_station: BaseStation, carry: Carry | None, number: int, request: Request, reference: bool
) -> Iterator[TokenRecord]:
    tokens = torch.tensor([request.prompt], device=split.model.device)
    cache = reference_cache = None
    position = 0
    for _ in range(request.new_tokens):
        phase = Phase.DECODE if position else Phase.PREFILL
        start_ns = base_station.begin(phase, number, position)
        with split.routed(routed_by(base_station), carry):
            logits, cache = _forward(split.model, tokens, cache)
        end_ns = base_station.finish()
        quality = None
        if reference:
            reference_logits, reference_cache = _forward(split.model, tokens, reference_cache)
            quality = compare(logits, reference_logits, tokens[0])
        position += tokens.shape[1]
        tokens = logits[-1:].argmax(dim=-1, keepdim=True)
        yield TokenRecord(number, position, int(tokens), start_ns, end_ns, quality)


@torch.inference_mode()
def _forward(model: Any, tokens: Tensor, cache: Any) -> tuple[Tensor, Any]:
    """Logits [N, V] of `tokens` [1, N] after what `cache` holds, and the cache grown by them."""
    output = model(input_ids=tokens, past_key_values=cache, use_cache=True)
    return output.logits[0], output.past_key_values
