# SPDX-License-Identifier: Apache-2.0
"""Requests that a model answers here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from model_side.base_station import BaseStation
from model_side.element import Element
from model_side.model.inference import generate
from model_side.model.loading import MEMORY, Checkpoint, Place, load, load_tokenizer
from model_side.model.model_folder import SHIPPED
from model_side.model.moe import SplitModel
from model_side.model.sampling import GREEDY, Sampling
from model_side.model.workload import Begin, end_tokens, make_requests
from model_side.model_sizes import sizes
from model_side.record_routing import model_digest
from model_side.service.serve import Answers
from model_side.serving import TokenRecord
from model_side.shapes import ModelShape


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
    """The model at `path`, computing in `dtype` on `threads` CPU threads, and the prompts drawn for it.

    `reference`: whether the unmodified model runs in lockstep. `element`: to what the wire rounds. `place`: where its
    weights lie. Raises `ModelError`, and `RequestError` naming the `workload` field that asks for too much.
    """

    def __init__(
        self,
        path: str,
        dtype: str,
        threads: int,
        asked: Asked,
        reference: bool,
        element: Element = Element.OWN,
        place: Place = MEMORY,
    ):
        torch.set_num_threads(threads)
        self._threads = threads
        self._split, checkpoint = load(path, dtype, place)
        tokenizer = load_tokenizer(path)
        self._requests = make_requests(
            self._split,
            tokenizer,
            asked.requests,
            asked.prompt_tokens,
            asked.new_tokens,
            asked.seed,
            asked.text,
            asked.begin,
            asked.sizes,
        )
        self._ends = end_tokens(self._split, tokenizer) if asked.stop_at_end else frozenset[int]()
        self._sampling = asked.sampling
        self._reference = reference
        self._element = element
        self.model = path
        self.shape = shape_of(self._split, checkpoint.dtype)
        self.probabilities = True
        self.exchanges = len(self._split.blocks) * sum(request.new_tokens for request in self._requests)
        self.sizes = [(len(request.prompt), request.new_tokens) for request in self._requests]
        prompts = [list(request.prompt) for request in self._requests]
        self.record: Mapping[str, Any] = {"prompts": prompts, "weights": weights_of(checkpoint)}

    def serve(self, base_station: BaseStation) -> Iterator[TokenRecord]:
        """See `model_side.serving.Serving`."""
        torch.set_num_threads(self._threads)  # for this thread, which need not be the one that loaded
        return generate(
            self._split, base_station, self._requests, self._reference, self._element, self._sampling, self._ends
        )

    def answers(self, base_station: BaseStation) -> Answers:
        """See `model_side.service.serve.Batched`."""
        from model_side.model.batch_answers import ModelAnswers  # noqa: PLC0415  (greenlet is only for many at once)

        torch.set_num_threads(self._threads)
        return ModelAnswers(
            self._split, base_station, self._requests, self._reference, self._element, self._sampling, self._ends
        )


def weights_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a journal's `meta` says of the weights that were loaded."""
    return {
        "sha256": model_digest(checkpoint.folder),
        "loaded": list(checkpoint.loaded),
        "unused": list(checkpoint.unused),
    }


def shape_of(split: SplitModel, stored_dtype: str = "") -> ModelShape:
    """The shape of a running model; `stored_dtype`: of its elements, "" for the one that it computes in."""
    return msgspec.convert(sizes(split.model, split.blocks, split.top_k, stored_dtype), ModelShape)
