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
from model_side.model.causal import CausalModel
from model_side.model.moe import Carry, GateOutput, Route, SplitModel
from model_side.model.sampling import GREEDY, Sampling
from model_side.model.wire import carried_by
from model_side.quality import PassQuality, TextQuality, compare
from model_side.record_routing import gate_arrays
from model_side.routing import Gate
from model_side.selection import Phase
from model_side.serving import TokenRecord
from model_side.tasks.score import ItemScore


@dataclass(frozen=True)
class Request:
    """A prompt of token ids (at least one) and how many tokens to generate after it (at least one)."""

    prompt: tuple[int, ...]
    new_tokens: int


@dataclass(frozen=True)
class Pass:
    """One forward pass over `tokens` [1, N], whose `logits` [N, V] name `token_id` to stand at `position`."""

    tokens: Tensor
    logits: Tensor
    request: int
    position: int
    token_id: int
    start_ns: int
    end_ns: int

    @property
    def begin(self) -> int:
        """The position of the first of its tokens."""
        return self.position - self.tokens.shape[1]

    @property
    def phase(self) -> Phase:
        """Whether it read a prompt, or a token that was generated."""
        return Phase.DECODE if self.begin else Phase.PREFILL

    def record(
        self, quality: PassQuality | TextQuality | None = None, items: tuple[ItemScore, ...] = ()
    ) -> TokenRecord:
        """What there is to record of it."""
        return TokenRecord(self.request, self.position, self.token_id, self.start_ns, self.end_ns, quality, items)


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


def passes(
    model: CausalModel,
    request: Request,
    number: int = 0,
    base_station: BaseStation | None = None,
    carry: Carry | None = None,
    sampling: Sampling = GREEDY,
) -> Iterator[Pass]:
    """The forward passes that answer a request, number `number`: the prefill, then one for each token more.

    Without a base station those of the unmodified model, which take no virtual time. Raises as `SplitModel.forward`.
    """
    tokens = torch.tensor([request.prompt], device=model.model.device)
    cache = None
    position = start_ns = end_ns = 0
    for _ in range(request.new_tokens):
        phase = Phase.DECODE if position else Phase.PREFILL
        what = f"{phase.value} at position {position} of request {number}"
        if base_station is None:
            logits, cache = model.forward(tokens, cache, f"{what} in the unmodified model")
        else:
            assert isinstance(model, SplitModel)
            start_ns = base_station.begin(phase, number, position)
            with model.routed(routed_by(base_station), carry):
                logits, cache = model.forward(tokens, cache, what)
            end_ns = base_station.finish()
        position += tokens.shape[1]
        token = sampling.next(logits[-1], number, position)
        yield Pass(tokens, logits, number, position, token, start_ns, end_ns)
        tokens = tokens.new_tensor([[token]])


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
    cache = None
    for each in passes(split, request, number, base_station, carry, sampling):
        quality = None
        if reference:
            what = f"{each.phase.value} at position {each.begin} of request {number}"
            logits, cache = split.forward(each.tokens, cache, f"{what} in the unmodified model")
            quality = compare(each.logits, logits, each.tokens[0])
        yield each.record(quality)
        if each.token_id in ends:
            return
