# SPDX-License-Identifier: Apache-2.0
"""Requests that a model answers here."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from model_side.base_station import BaseStation
from model_side.element import Element
from model_side.model.inference import generate
from model_side.model.loading import load_model, load_tokenizer
from model_side.model.moe import SplitModel
from model_side.model.workload import make_requests
from model_side.record_routing import sizes
from model_side.serving import TokenRecord
from model_side.shapes import ModelShape


class ModelRun:
    """The model at `path`, computing in `dtype` on `threads` CPU threads, and the prompts drawn for it by `seed`.

    `reference`: whether the unmodified model runs in lockstep. `element`: to what the wire rounds. Raises `ModelError`,
    and `RequestError` naming the `workload` field that asks for too much.
    """

    def __init__(
        self,
        path: str,
        dtype: str,
        threads: int,
        requests: int,
        prompt_tokens: int,
        new_tokens: int,
        seed: int,
        text: str,
        reference: bool,
        element: Element = Element.OWN,
    ):
        torch.set_num_threads(threads)
        self._threads = threads
        self._split = load_model(path, dtype)
        tokenizer = load_tokenizer(path)
        self._requests = make_requests(self._split, tokenizer, requests, prompt_tokens, new_tokens, seed, text)
        self._reference = reference
        self._element = element
        self.model = path
        self.shape = shape_of(self._split)
        self.probabilities = True
        self.record: Mapping[str, Any] = {}
        self.exchanges = len(self._split.blocks) * sum(request.new_tokens for request in self._requests)

    def serve(self, base_station: BaseStation) -> Iterator[TokenRecord]:
        """See `model_side.serving.Serving`."""
        torch.set_num_threads(self._threads)  # for this thread, which need not be the one that loaded
        return generate(self._split, base_station, self._requests, self._reference, self._element)


def shape_of(split: SplitModel) -> ModelShape:
    """The shape of a running model; attention counts as grouped-query attention with the configuration's heads."""
    return ModelShape(**sizes(split.model, split.blocks, split.top_k))
