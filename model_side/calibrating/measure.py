# SPDX-License-Identifier: Apache-2.0
"""Measure a model: all experts of a layer on what the layer gets, and the model without one layer after another."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_side.calibrating.routing import of_routing
from model_side.calibration import Calibration, Outputs
from model_side.model.moe import GateOutput, ModelError, SplitModel
from model_side.quality import divergence
from model_side.routing import Floats

_MOST_FIGURES = 1 << 25
"""Of experts' outputs at a time."""

LEFT = (0.0, 0.5)
"""Of the weights of one layer's experts, to tell its sensitivity and its curvature."""

Tell = Callable[[int, int], None]


@torch.inference_mode()
def measure(
    split: SplitModel, sequences: Sequence[Sequence[int]], model: str, text: str, tell: Tell = lambda done, of: None
) -> Calibration:
    """The whole table, sequence after sequence; `model` and `text` name what it is of.

    The first token of a sequence is not counted: attention goes there when it has nowhere to go, and its states are
    many times as long as any other's. A sequence takes 1 + 2 L passes of the model, in the first of which each layer
    computes all E experts as well. `tell` hears how many tokens are done, of how many.
    """
    if any(block.runs_all for block in split.blocks):
        raise ModelError(f"{split.name} runs all its experts at once; to be measured they have to answer one by one")
    layers = [_Layer(block.experts, split.num_experts) for block in split.blocks]
    costs = np.zeros((len(LEFT), len(layers)))
    total = sum(map(len, sequences)) - len(sequences)
    done = 0
    for sequence in sequences:
        tokens = torch.tensor([sequence], device=split.model.device)
        with _listening(split, layers):
            log_p = _log_probabilities(split, tokens)
        for number, (place, left) in itertools.product(range(len(layers)), enumerate(LEFT)):
            with split.routed(_leaving(number, left)):
                log_q = _log_probabilities(split, tokens)
            costs[place, number] += float(divergence(log_p, log_q).sum(dtype=torch.float64))
        done += len(sequence) - 1
        tell(done, total)
    weights, indices = ([np.concatenate(getattr(layer, part)) for layer in layers] for part in ("weights", "indices"))
    table = of_routing(model, text, weights, indices, split.num_experts)
    squares = np.array([layer.square / total for layer in layers])
    lost, halved = costs / total
    curvature = np.divide(halved, squares / 4, out=np.zeros_like(squares), where=squares > 0)
    outputs = Outputs(
        np.stack([layer.distance() for layer in layers]),
        np.stack([layer.norm() for layer in layers]),
        np.sqrt(squares),
        lost,
        curvature,
    )
    return replace(table, outputs=outputs).rounded()


class _Layer:
    """The sums of one layer."""

    def __init__(self, experts: Any, count: int):
        self._experts = experts
        self._squares = np.zeros((count, count + 1))
        self._norms = np.zeros((count, count))
        self._tokens = np.zeros(count)
        self.weights: list[Any] = []
        self.indices: list[Any] = []
        self.square = 0.0

    def add(self, hidden: Tensor, indices: Tensor, weights: Tensor, output: Tensor) -> None:
        """What the experts of this layer were given, and what they gave."""
        hidden, output = (states.reshape(-1, states.shape[-1])[1:] for states in (hidden, output))
        indices, weights = indices[1:], weights[1:]
        self.square += float(output.double().square().sum())
        self.weights.append(weights.float().cpu().numpy())
        self.indices.append(indices.cpu().numpy().astype(np.int64))
        count = len(self._tokens)
        step = max(1, _MOST_FIGURES // (count * hidden.shape[1]))
        for first in range(0, len(hidden), step):
            part = slice(first, first + step)
            self._compare(hidden[part], indices[part], weights.dtype)

    def _compare(self, hidden: Tensor, indices: Tensor, dtype: torch.dtype) -> None:
        count = len(self._tokens)
        one = torch.ones(len(hidden), 1, dtype=dtype, device=hidden.device)
        whose = torch.zeros(len(hidden), 1, dtype=indices.dtype, device=hidden.device)
        given = [self._experts.forward(hidden, whose + expert, one).float() for expert in range(count)]
        outputs = torch.stack([*given, torch.zeros_like(given[0])])
        for expert in range(count):
            sent = (indices == expert).any(dim=1)
            there = outputs[:, sent]
            away = (there - there[expert]).square().sum(dim=(1, 2), dtype=torch.float64)
            self._squares[expert] += away.cpu().numpy()
            self._norms[expert] += there[:-1].square().sum(dim=(1, 2), dtype=torch.float64).cpu().numpy()
            self._tokens[expert] += int(sent.sum())

    def distance(self) -> Floats:
        """See `Outputs.distance`, of this layer [E, E + 1]."""
        return np.asarray(np.sqrt(self._squares / np.maximum(self._tokens, 1)[:, None]))

    def norm(self) -> Floats:
        """See `Outputs.norm`, of this layer [E, E]."""
        return np.asarray(np.sqrt(self._norms / np.maximum(self._tokens, 1)[:, None]))


@contextmanager
def _listening(split: SplitModel, layers: Sequence[_Layer]) -> Iterator[None]:
    """Inside, each layer is told what passes through its experts."""

    def hear(layer: _Layer) -> Callable[..., None]:
        def hook(_module: Any, arguments: tuple[Any, ...], named: dict[str, Any], output: Tensor) -> None:
            hidden, indices, weights = (*arguments, *named.values())
            layer.add(hidden, indices, weights, output)

        return hook

    with ExitStack() as hooks:
        for block, layer in zip(split.blocks, layers, strict=True):
            hooks.callback(block.experts.register_forward_hook(hear(layer), with_kwargs=True).remove)
        yield


def _leaving(number: int, part: float) -> Callable[[GateOutput], tuple[Tensor, Tensor]]:
    """A route that leaves so much of the weights in one layer."""

    def route(gate: GateOutput) -> tuple[Tensor, Tensor]:
        return gate.weights * (part if gate.layer == number else 1), gate.indices

    return route


def _log_probabilities(split: SplitModel, tokens: Tensor) -> Tensor:
    """Of the next token [N - 1, V], after each token but the first."""
    logits, _ = split.forward(tokens, None, "a sequence to measure", use_cache=False)
    return logits[1:].float().log_softmax(dim=-1)
