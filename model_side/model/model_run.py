# SPDX-License-Identifier: Apache-2.0
"""Requests that a model answers here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_side.base_station import BaseStation
from model_side.element import Element
from model_side.model.inference import generate
from model_side.model.loaded_model import LoadedModel
from model_side.model.model_folder import SHIPPED
from model_side.model.sampling import GREEDY, Sampling
from model_side.model.workload import Begin, end_tokens, make_requests
from model_side.service.serve import Answers
from model_side.serving import TokenRecord


@dataclass(frozen=True)
class Asked:
    """What a model is asked, as the section `workload` of a configuration says it; `seed`: of the prompts.

    `sizes`: of each request, where a trace says it, the tokens of its prompt, its new ones, and where that stands.
    """

    requests: int
    prompt_tokens: int
    new_tokens: int
    seed: int
    text: str | Path = SHIPPED
    begin: Begin = "tokenizer"
    stop_at_end: bool = False
    sampling: Sampling = GREEDY
    sizes: tuple[tuple[int, int, str], ...] = ()


class ModelRun:
    """A model, and the prompts drawn for it.

    `reference`: whether the unmodified model runs in lockstep. `element`: to what the wire rounds. Raises
    `RequestError` naming the `workload` field that asks for too much.
    """

    probabilities = True

    def __init__(self, loaded: LoadedModel, asked: Asked, reference: bool, element: Element = Element.OWN):
        split, tokenizer = loaded.split, loaded.tokenizer
        self._loaded = loaded
        self._requests = make_requests(
            split,
            tokenizer,
            asked.requests,
            asked.prompt_tokens,
            asked.new_tokens,
            asked.seed,
            asked.text,
            asked.begin,
            asked.sizes,
        )
        ends = end_tokens(split, tokenizer) if asked.stop_at_end else frozenset[int]()
        self._asked = (self._requests, reference, element, asked.sampling, ends)
        self.model = loaded.path
        self.shape = loaded.shape
        self.exchanges = len(split.blocks) * sum(request.new_tokens for request in self._requests)
        self.sizes = [(len(request.prompt), request.new_tokens) for request in self._requests]
        prompts = [list(request.prompt) for request in self._requests]
        self.record: Mapping[str, Any] = {"prompts": prompts, "weights": loaded.weights}

    def serve(self, base_station: BaseStation) -> Iterator[TokenRecord]:
        """See `model_side.serving.Serving`."""
        self._loaded.take_threads()
        return generate(self._loaded.split, base_station, *self._asked)

    def answers(self, base_station: BaseStation) -> Answers:
        """See `model_side.service.serve.Batched`."""
        from model_side.model.batch_answers import ModelAnswers  # noqa: PLC0415  (greenlet is only for many at once)

        self._loaded.take_threads()
        return ModelAnswers(self._loaded.split, base_station, *self._asked)
