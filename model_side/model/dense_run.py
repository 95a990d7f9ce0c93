# SPDX-License-Identifier: Apache-2.0
"""The same requests, answered by a dense model that one place holds whole."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import torch

from bridge.network import RequestError
from model_side.model.causal import CausalModel
from model_side.model.inference import Request
from model_side.model.loading import load_dense, load_tokenizer, stored_dtype, without_weights
from model_side.model.model_folder import ModelError, one_line
from model_side.model.model_run import Asked
from model_side.model.prompt_file import FIELD, is_prompt_file, read_prompt_file
from model_side.model.routers import find_blocks
from model_side.model.workload import end_tokens, make_requests, requests_of
from model_side.model_sizes import dense_sizes
from model_side.quality import score
from model_side.record_routing import model_digest
from model_side.selection import Phase
from model_side.serving import TokenRecord
from model_side.shapes import ModelShape

BASELINE = "model.baseline"

PassNs = Callable[[int, int], int]
"""How long a forward pass lasts over so many new tokens, the last of so many; in ns."""


class DenseRun:
    """The dense model at `path`, and what the model at `beside` was asked: `prompts`, as token ids.

    Where the tokens of both are the same, so are the prompts. Else the texts of the same draw are put in its own tokens
    (`own_tokens`), as many of each. The weights are loaded when it serves; what can be told without is told here.
    Raises `RequestError` naming `model.baseline` for what is no dense model, and the `workload` field that asks too
    much of it.
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
        self._path, self._dtype, self._device, self._threads = path, dtype, device, threads
        self._sampling = asked.sampling
        self._is_scored = is_scored
        with _named():
            model = CausalModel(without_weights(path))
            if find_blocks(model.model):
                raise ModelError(f"{path} has experts; a baseline is a dense model, which is served whole")
            tokenizer = load_tokenizer(path)
            self.own_tokens = tokenizer.get_vocab() != load_tokenizer(beside).get_vocab()
            self.requests = self._asked(model, tokenizer, asked, prompts)
            self._ends = end_tokens(model, tokenizer) if asked.stop_at_end else frozenset[int]()
            self.shape = _shape(path, model.model)

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
        """Answer all requests, one after another from virtual time 0; yields each token as soon as it is there."""
        now_ns = 0
        for number, request in enumerate(self.requests):
            for token in self._serve(model, pass_ns, number, request, now_ns):
                now_ns = token.end_ns
                yield token

    def _serve(
        self, model: CausalModel, pass_ns: PassNs, number: int, request: Request, now_ns: int
    ) -> Iterator[TokenRecord]:
        tokens, cache, position = torch.tensor([request.prompt], device=model.model.device), None, 0
        for _ in range(request.new_tokens):
            phase = Phase.DECODE if position else Phase.PREFILL
            with _named():
                logits, cache = model.forward(
                    tokens, cache, f"{phase.value} at position {position} of request {number}"
                )
            quality = score(logits, tokens[0]) if self._is_scored else None
            position += tokens.shape[1]
            begin_ns, now_ns = now_ns, now_ns + pass_ns(tokens.shape[1], position)
            token = self._sampling.next(logits[-1], number, position)
            tokens = tokens.new_tensor([[token]])
            yield TokenRecord(number, position, token, begin_ns, now_ns, quality)
            if token in self._ends:
                return

    def _asked(
        self, model: CausalModel, tokenizer: Any, asked: Asked, prompts: Sequence[Sequence[int]]
    ) -> list[Request]:
        if not self.own_tokens:
            return requests_of(model, prompts, asked.new_tokens)
        if is_prompt_file(asked.text):
            for prompt in read_prompt_file(Path(asked.text).expanduser()):
                if prompt.tokens is not None:
                    reason = f"{prompt.where}: gives token ids, which are others in {BASELINE}; give text or messages"
                    raise RequestError(FIELD, reason)
        sizes = (asked.requests, asked.prompt_tokens, asked.new_tokens, asked.seed)
        return make_requests(model, tokenizer, *sizes, asked.text, asked.begin)


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
