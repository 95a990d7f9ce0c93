# SPDX-License-Identifier: Apache-2.0
"""The same prompts or tasks, answered by a dense model that one place holds whole."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import torch

from bridge.network import RequestError
from model_side.model.causal import CausalModel
from model_side.model.inference import Pass, Request, passes
from model_side.model.loading import load_dense, load_tokenizer, stored_dtype, without_weights
from model_side.model.model_folder import ModelError, one_line
from model_side.model.model_run import Asked
from model_side.model.prompt_file import FIELD, is_prompt_file, read_prompt_file
from model_side.model.routers import find_blocks
from model_side.model.sampling import GREEDY, Sampling
from model_side.model.task_run import encoder_of, item_records, item_score, places_of
from model_side.model.workload import end_tokens, make_requests, requests_of
from model_side.model_sizes import dense_sizes
from model_side.quality import score
from model_side.record_routing import model_digest
from model_side.serving import TokenRecord
from model_side.shapes import ModelShape
from model_side.tasks.reading import read_tasks

BASELINE = "model.baseline"

PassNs = Callable[[int, int], int]
"""How long a forward pass lasts over so many new tokens, the last of so many; in ns."""


class DenseRun:
    """The dense model at `path` beside the one at `beside`; `own_tokens`: whether its vocabulary is another.

    It answers `requests`, at most these. The weights are loaded by `load`; what can be told without is told here.
    Raises `RequestError` naming `model.baseline` for what is no dense model.
    """

    requests: list[Request]

    def __init__(self, path: str, beside: str, dtype: str, threads: int, device: str):
        self._path, self._dtype, self._device, self._threads = path, dtype, device, threads
        with _named():
            self._built = CausalModel(without_weights(path))
            if find_blocks(self._built.model):
                raise ModelError(f"{path} has experts; a baseline is a dense model, which is served whole")
            self._tokenizer = load_tokenizer(path)
            self.own_tokens = self._tokenizer.get_vocab() != load_tokenizer(beside).get_vocab()
            self.shape = _shape(path, self._built.model)

    @property
    def longest(self) -> int:
        """Tokens of the longest request, with those that are generated."""
        return max(len(request.prompt) + request.new_tokens for request in self.requests)

    def load(self) -> tuple[CausalModel, dict[str, Any]]:
        """The model with its weights, and what there is to say of them. Raises `RequestError`."""
        torch.set_num_threads(self._threads)
        with _named():
            model, checkpoint = load_dense(self._path, self._dtype, self._device)
            return model, {"sha256": model_digest(checkpoint.folder), "unused": list(checkpoint.unused)}

    def serve(self, model: CausalModel, pass_ns: PassNs) -> Iterator[TokenRecord]:
        """Answer everything, one request after another from virtual time 0; yields each token as it comes."""
        raise NotImplementedError


class DensePrompts(DenseRun):
    """What the other model was asked: `prompts`, as token ids.

    Where the tokens of both are the same, so are the prompts. Else the texts of the same draw are put in its own
    tokens, as many of each. Raises as `DenseRun`, and naming the `workload` field that asks too much of it.
    """

    def __init__(
        self,
        path: str,
        beside: str,
        dtype: str,
        threads: int,
        device: str,
        asked: Asked,
        prompts: Sequence[Sequence[int]],
        is_scored: bool,
    ):
        super().__init__(path, beside, dtype, threads, device)
        self._sampling = asked.sampling
        self._is_scored = is_scored
        with _named():
            self.requests = self._asked(asked, prompts)
            self._ends = end_tokens(self._built, self._tokenizer) if asked.stop_at_end else frozenset[int]()

    def serve(self, model: CausalModel, pass_ns: PassNs) -> Iterator[TokenRecord]:
        """See `DenseRun.serve`; quality is that of the prompts."""
        clock = _Clock(model, pass_ns, self._sampling)
        for number, request in enumerate(self.requests):
            for each in clock.passes(request, number):
                yield each.record(score(each.logits, each.tokens[0]) if self._is_scored else None)
                if each.token_id in self._ends:
                    break

    def _asked(self, asked: Asked, prompts: Sequence[Sequence[int]]) -> list[Request]:
        if not self.own_tokens:
            return requests_of(self._built, prompts, asked.new_tokens)
        if is_prompt_file(asked.text):
            for prompt in read_prompt_file(Path(asked.text).expanduser()):
                if prompt.tokens is not None:
                    reason = f"{prompt.where}: gives token ids, which are others in {BASELINE}; give text or messages"
                    raise RequestError(FIELD, reason)
        sizes = (asked.requests, asked.prompt_tokens, asked.new_tokens, asked.seed)
        return make_requests(self._built, self._tokenizer, *sizes, asked.text, asked.begin)


class DenseTasks(DenseRun):
    """The items that the other model was asked, in its own tokens; `items` of each task, drawn by `seed`.

    Raises as `DenseRun`, and naming `workload.tasks` with file and line of what it cannot be asked.
    """

    def __init__(
        self, path: str, beside: str, dtype: str, threads: int, device: str, tasks: Sequence[str], items: int, seed: int
    ):
        super().__init__(path, beside, dtype, threads, device)
        with _named():
            self._places = places_of(read_tasks(tasks), items, seed, encoder_of(self._built, self._tokenizer))
        self.requests = [request for place in self._places for request in place.asked.requests]

    def serve(self, model: CausalModel, pass_ns: PassNs) -> Iterator[TokenRecord]:
        """See `DenseRun.serve`; an item's last token has its scores."""
        clock = _Clock(model, pass_ns, GREEDY)
        for place in self._places:
            yield from item_records(place, clock.passes, lambda place, answer: item_score(place, answer, None))


class _Clock:
    """Forward passes of a model one after another, each as long as `pass_ns` says."""

    def __init__(self, model: CausalModel, pass_ns: PassNs, sampling: Sampling):
        self._model, self._pass_ns, self._sampling = model, pass_ns, sampling
        self._now_ns = 0

    def passes(self, request: Request, number: int) -> Iterator[Pass]:
        """Those that answer a request."""
        answering = passes(self._model, request, number, sampling=self._sampling)
        while True:
            with _named():
                each = next(answering, None)
            if each is None:
                return
            start_ns, self._now_ns = self._now_ns, self._now_ns + self._pass_ns(each.tokens.shape[1], each.position)
            yield replace(each, start_ns=start_ns, end_ns=self._now_ns)


def _shape(path: str, model: Any) -> ModelShape:
    try:
        return msgspec.convert(dense_sizes(model, stored_dtype(path)), ModelShape)
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"the sizes of {path} are not to be read: {one_line(error)}") from None


@contextmanager
def _named() -> Iterator[None]:
    """What is wrong with the model is wrong with the baseline."""
    try:
        yield
    except RequestError as error:
        if error.field != "model.path":
            raise
        raise RequestError(BASELINE, error.reason) from error
