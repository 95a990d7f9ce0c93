# SPDX-License-Identifier: Apache-2.0
"""A model that answers many requests at once, each with the arithmetic of that request alone."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch

from model_side.base_station import BaseStation
from model_side.element import Element
from model_side.model.inference import Request
from model_side.model.lockstep import Lockstep
from model_side.model.moe import SplitModel
from model_side.model.sampling import GREEDY, Sampling
from model_side.quality import PassQuality, compare, summed
from model_side.selection import Part
from model_side.serving import TokenRecord


class ModelAnswers:
    """See `model_side.service.serve.Answers`; `requests` by their numbers, the others as of `generate`.

    A prompt that is read in chunks is so also by the unmodified model that the answer is compared with: the last bits
    of a sum depend on how many rows are computed at once.
    """

    def __init__(
        self,
        split: SplitModel,
        base_station: BaseStation,
        requests: Sequence[Request],
        reference: bool = True,
        element: Element = Element.OWN,
        sampling: Sampling = GREEDY,
        ends: Collection[int] = (),
    ):
        self.ends = ends
        self._split = split
        self._base_station = base_station
        self._lockstep = Lockstep(split, base_station, element)
        self._requests = requests
        self._reference = reference
        self._sampling = sampling
        self._texts: dict[int, list[int]] = {}
        self._caches: dict[int, Any] = {}
        self._reference_caches: dict[int, Any] = {}
        self._qualities: dict[int, list[PassQuality]] = {}  # of chunks that gave no token yet

    def run(self, parts: Sequence[Part], gives: Collection[int]) -> list[TokenRecord]:
        """See `model_side.service.serve.Answers`. Raises as `SplitModel.forward`."""
        start_ns = self._base_station.begin_batch(tuple(parts))
        answers = self._lockstep.run([self._forward(part, self._caches, "") for part in parts])
        end_ns = self._base_station.finish(len(gives))
        tokens = []
        for part, (logits, cache) in zip(parts, answers, strict=True):
            number = part.request
            self._caches[number] = cache
            if self._reference:
                wanted, other = self._forward(part, self._reference_caches, " in the unmodified model")()
                self._reference_caches[number] = other
                self._qualities.setdefault(number, []).append(compare(logits, wanted, self._rows(part)[0]))
            if number in gives:
                token = self._sampling.next(logits[-1], number, part.context)
                self._texts[number].append(token)
                quality = summed(self._qualities.pop(number)) if self._reference else None
                tokens.append(TokenRecord(number, part.context, token, start_ns, end_ns, quality))
        return tokens

    def drop(self, request: int) -> None:
        """See `model_side.service.serve.Answers`."""
        for kept in (self._texts, self._caches, self._reference_caches, self._qualities):
            kept.pop(request, None)

    def _forward(self, part: Part, caches: dict[int, Any], where: str) -> Callable[[], Any]:
        """The forward pass of a request's rows, to be run."""
        tokens, cache = self._rows(part), caches.get(part.request)
        what = f"{part.phase.value} at position {part.position} of request {part.request}{where}"
        return lambda: self._split.forward(tokens, cache, what)

    def _rows(self, part: Part) -> torch.Tensor:
        """The token ids [1, N] of a request's rows."""
        text = self._texts.setdefault(part.request, list(self._requests[part.request].prompt))
        return torch.tensor([text[part.position : part.context]], device=self._split.model.device)
