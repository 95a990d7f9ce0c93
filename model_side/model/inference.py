# SPDX-License-Identifier: Apache-2.0
"""Generation over the base station, in lockstep with the unmodified model.

The reference has the same weights and is fed the same tokens, through a KV cache of its own and outside
`SplitModel.routed`. What differs between the two is what the links did.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from model_side.base_station import BaseStation
from model_side.element import Element
from model_side.model.moe import Carry, GateOutput, Route, SplitModel
from model_side.model.sampling import GREEDY, Sampling
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
    sampling: Sampling = GREEDY,
    ends: Collection[int] = (),
) -> Iterator[TokenRecord]:
    """Generate, request after request, and yield each token as soon as it is there.

    What devices are sent and send back is rounded to `element`. A token of `ends` ends its request; without them every
    request has its `new_tokens`, so that every run of a workload has the same number of exchanges. Raises as
    `SplitModel.forward`.
    """
    carry = carried_by(base_station, element, split.model.dtype)
    for number, request in enumerate(requests):
        yield from _serve(split, base_station, carry, number, request, reference, sampling, ends)


def _serve(
    split: SplitModel,
    base_station: BaseStation,
    carry: Carry | None,
    number: int,
    request: Request,
    reference: bool,
    sampling: Sampling,
    ends: Collection[int],
) -> Iterator[TokenRecord]:
    tokens = torch.tensor([request.prompt], device=split.model.device)
    cache = reference_cache = None
    position = 0
    for _ in range(request.new_tokens):
        phase = Phase.DECODE if position else Phase.PREFILL
        what = f"{phase.value} at position {position} of request {number}"
        start_ns = base_station.begin(phase, number, position)
        with split.routed(routed_by(base_station), carry):
            logits, cache = split.forward(tokens, cache, what)
        end_ns = base_station.finish()
        quality = None
        if reference:
            reference_logits, reference_cache = split.forward(
                tokens, reference_cache, f"{what} in the unmodified model"
            )
            quality = compare(logits, reference_logits, tokens[0])
        position += tokens.shape[1]
        token = sampling.next(logits[-1], number, position)
        tokens = tokens.new_tensor([[token]])
        yield TokenRecord(number, position, token, start_ns, end_ns, quality)
        if token in ends:
            return
