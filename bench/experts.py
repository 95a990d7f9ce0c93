# SPDX-License-Identifier: Apache-2.0
"""The shipped model's calibration, and how well it foretells what a changed routing costs: `python -m bench.experts`.

On the beginnings of held-out passages, which the table was not measured on. Errors of layers' outputs are measured
against what the layer would have put out on the same input.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from bench.decisions import Compute
from bridge.network import LinkState
from model_side.base_station import LayerForecast
from model_side.calibrating.store import of_model
from model_side.calibration import Calibration
from model_side.element import WireFormat
from model_side.energy import Powers
from model_side.model.loading import load_model, load_tokenizer
from model_side.model.model_folder import SHIPPED_PROMPTS
from model_side.model.moe import GateOutput, SplitModel
from model_side.model.passages import read_prompts
from model_side.placement import LayerPlacement
from model_side.policies import Steps, make_policy
from model_side.prediction import Radiated
from model_side.prediction.line import Line
from model_side.record_routing import gate_arrays
from model_side.routing import Gate, Missing, Remainder
from model_side.selection import Layer, Phase, Selection

PASSAGES, TOKENS = 28, 256
DEVICE_S = np.geomspace(1, 30, 8) * 1e-3
"""A token's time on each device, in an order that differs from layer to layer."""
ORDERS = np.random.default_rng(1).permuted(np.tile(np.arange(8), (64, 1)), axis=1)
RULES: dict[str, tuple[str, dict[str, object], str]] = {
    "top-n, n 1": ("top-n", {"n": 1}, "shared"),
    "top-n, n 1, weights kept": ("top-n", {"n": 1}, "kept"),
    "ratio, beta 0.25": ("ratio", {"beta": 0.25}, "shared"),
    "ratio, beta 0.5": ("ratio", {"beta": 0.5}, "shared"),
    "random, share 0.25": ("random", {"share": 0.25}, "shared"),
    "layer-weighted, skip 0.1": ("layer-weighted", {"skip": 0.1}, "shared"),
    "layer-weighted, skip 0.25": ("layer-weighted", {"skip": 0.25}, "shared"),
    "substitute, eps 0.05": ("substitute", {"eps": 0.05}, "shared"),
    "substitute, eps 0.1": ("substitute", {"eps": 0.1}, "shared"),
    "substitute, eps 0.2": ("substitute", {"eps": 0.2}, "shared"),
    "substitute, eps 0.15, layers alike": ("substitute", {"eps": 0.15, "by_cost": False}, "shared"),
    "substitute, eps 0.3, layers alike": ("substitute", {"eps": 0.3, "by_cost": False}, "shared"),
    "substitute, eps 0.6, layers alike": ("substitute", {"eps": 0.6, "by_cost": False}, "shared"),
}


class Trial:
    """One rule on the model: what it changes, what that costs."""

    def __init__(self, split: SplitModel, table: Calibration, policy: Steps, missing: Missing):
        self._split, self._table, self._policy, self._missing = split, table, policy, missing
        self._own: dict[int, GateOutput] = {}
        self.square = np.zeros(table.layers)
        self.tokens = self.changed = self.slots = 0
        self.own_s = self.chosen_s = 0.0

    def route(self, gate: GateOutput) -> tuple[Tensor, Tensor]:
        """See `SplitModel.routed`."""
        self._own[gate.layer] = gate
        arrays = gate_arrays(gate.logits, gate.weights, gate.indices)
        placement = LayerPlacement(np.eye(8, dtype=bool)[ORDERS[gate.layer]])
        seen = Gate(gate.layer, gate.logits.shape[1], *arrays)
        links = tuple(LinkState(device, True) for device in range(8))
        forecast = LayerForecast(
            placement, Compute(DEVICE_S), Line(8), WireFormat(1), 0, Powers.unknown(8), Radiated(8)
        )
        layer = Layer(
            seen, self._table.layers, Phase.PREFILL, 0, 0, 60.0, placement, links, self._missing, forecast,
            Selection(seen.weights, seen.indices), table=self._table,
        )  # fmt: skip
        selection = self._policy(layer)
        self.own_s += float(layer.prediction.seconds[layer.work.tokens > 0].max())
        after = layer.after(selection)
        self.chosen_s += float(after.prediction.seconds[after.work.tokens > 0].max())
        self.changed += int((selection.indices != seen.indices).sum())
        self.slots += selection.indices.size
        return torch.from_numpy(selection.weights).to(gate.weights), torch.from_numpy(selection.indices)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Inside, the errors of the layers' outputs are summed up; the first token does not count."""

        def hook_of(number: int) -> Callable[..., None]:
            def hook(experts: Any, arguments: tuple[Any, ...], output: Tensor) -> None:
                gate = self._own[number]
                whole = experts.forward(arguments[0], gate.indices, gate.weights)
                self.square[number] += float((output - whole)[1:].double().square().sum())

            return hook

        with ExitStack() as hooks:
            for number, block in enumerate(self._split.blocks):
                hooks.callback(block.experts.register_forward_hook(hook_of(number)).remove)
            hooks.enter_context(self._split.routed(self.route))
            yield


@torch.inference_mode()
def trial(
    split: SplitModel, table: Calibration, passages: list[Tensor], references: list[Tensor], rule: str
) -> tuple[Trial, float]:
    """The rule on all passages, and its KL in nats a token."""
    name, options, remainder = RULES[rule]
    policy = make_policy(name, {name: options})
    tried = Trial(split, table, policy, Missing(Remainder(remainder)))
    total = 0.0
    for tokens, log_p in zip(passages, references, strict=True):
        with tried.listening():
            log_q = split.model(input_ids=tokens, use_cache=False).logits[0, 1:].log_softmax(dim=-1)
        total += float((log_p.exp() * (log_p - log_q)).sum(dtype=torch.float64))
        tried.tokens += len(log_p)
    return tried, total / tried.tokens


def _measuring(lengths: list[Tensor]) -> Callable[..., None]:
    """A hook that notes how long each token's output is."""

    def hook(_experts: Any, _arguments: tuple[Any, ...], output: Tensor) -> None:
        lengths.append(output.norm(dim=-1).flatten())

    return hook


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    split, tokenizer, table = load_model(), load_tokenizer(), of_model("shipped")
    console = Console(width=120)
    every = list(read_prompts(SHIPPED_PROMPTS))
    passages = [
        torch.tensor([tokenizer(passage.text)["input_ids"][:TOKENS]]) for passage in every[:: len(every) // PASSAGES]
    ]
    lengths: list[list[Tensor]] = [[] for _ in range(table.layers)]
    with ExitStack() as hooks, torch.inference_mode():
        for block, of_layer in zip(split.blocks, lengths, strict=True):
            hooks.callback(block.experts.register_forward_hook(_measuring(of_layer)).remove)
        references = [split.model(input_ids=ids, use_cache=False).logits[0, 1:].log_softmax(dim=-1) for ids in passages]
    shown = Table(
        "layer", "|y|", "sensitivity", "curvature", "to nothing", "to the nearest", "w_2/w_1", "first |y|", "median"
    )
    for layer, distance in enumerate(table.distance):
        others = distance[:, :-1] + np.diag(np.full(table.experts, np.inf))
        figures = (table.output_norm[layer], table.sensitivity[layer], table.curvature[layer], distance[:, -1].mean())
        last = (others.min(axis=1).mean(), table.ratio_quantiles[layer, 16])
        norms = (lengths[layer][0][0].item(), torch.cat(lengths[layer]).median().item())
        shown.add_row(str(layer), *(f"{figure:.3g}" for figure in (*figures, *last, *norms)))
    console.print(shown)
    shown = Table("rule", "slots changed", "layers' time", "KL", "foretold of it")
    for rule in RULES:
        tried, kl = trial(split, table, passages, references, rule)
        foretold = float(table.curvature @ tried.square) / tried.tokens
        share, time = tried.changed / tried.slots, tried.chosen_s / tried.own_s
        shown.add_row(rule, f"{share:.1%}", f"{time:.1%}", f"{kl:.4f}", f"{foretold / kl:.2f}" if kl else "")
    console.print(shown)


if __name__ == "__main__":
    main()
