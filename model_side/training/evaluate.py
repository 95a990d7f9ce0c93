# SPDX-License-Identifier: Apache-2.0
"""Held-out perplexity and expert load: `python -m model_side.training.evaluate PATH`."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from bridge.network import RequestError
from model_side.model.passages import Document, read_prompts
from model_side.training.balance import expert_load

PROMPTS = Path(__file__).parent.parent / "shipped" / "prompts" / "held-out.jsonl"
LENGTH = 512
BATCH = 8


@dataclass(frozen=True)
class Evaluation:
    """Perplexity a source, and each layer's expert load as [layers, experts] with rows summing to 1.

    A dense model has no experts, and a `load` of size 0.
    """

    perplexity: dict[str, float]
    load: NDArray[np.float64]

    @property
    def overall(self) -> float:
        """Geometric mean of the sources' perplexities: the perplexity when all sources weigh the same."""
        return float(np.exp(np.mean(np.log(list(self.perplexity.values())))))


def evaluate(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, passages: Iterable[Document]) -> Evaluation:
    """Perplexity on the first `LENGTH` tokens of each passage, the begin token first and not predicted."""
    by_source: dict[str, list[str]] = {}
    for passage in passages:
        by_source.setdefault(passage.source, []).append(passage.text)
    perplexity, loads = {}, []
    for source, texts in by_source.items():
        nats = []
        for first in range(0, len(texts), BATCH):
            losses, load = evaluate_batch(model, tokenizer, texts[first : first + BATCH])
            nats.append(losses)
            loads.append(load)
        perplexity[source] = float(np.exp(np.concatenate(nats).mean()))
    return Evaluation(perplexity, np.mean(loads, axis=0))


@torch.no_grad()
def evaluate_batch(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean cross entropy of each text in nats a token, and the load [layers, experts] of them all."""
    ids = tokenizer(texts, truncation=True, max_length=LENGTH)["input_ids"]
    if any(len(row) < LENGTH for row in ids):
        raise RequestError("passages", f"each needs at least {LENGTH} tokens; the shortest has {min(map(len, ids))}")
    tokens = torch.tensor(ids)
    experts = getattr(model.config, "num_experts_per_tok", None)
    wanted = {} if experts is None else {"output_router_logits": True}
    output = model.model(tokens[:, :-1], use_cache=False, **wanted)
    logits = model.lm_head(output.last_hidden_state).float()
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")
    loads = [] if experts is None else [expert_load(layer, experts).numpy() for layer in output.router_logits]
    return losses.double().mean(dim=1).numpy(), np.array(loads, dtype=np.float64)


def tables(evaluation: Evaluation) -> list[Table]:
    """The evaluation as two tables."""
    perplexity = Table("source", "held-out perplexity", title="Perplexity")
    for source, value in evaluation.perplexity.items():
        perplexity.add_row(source, f"{value:.2f}")
    perplexity.add_row("all, geometric mean", f"{evaluation.overall:.2f}")
    if not evaluation.load.size:
        return [perplexity]
    load = Table("layer", *[f"expert {e}" for e in range(evaluation.load.shape[1])], title="Expert load, %")
    for layer, row in enumerate(evaluation.load):
        load.add_row(str(layer), *[f"{100 * share:.1f}" for share in row])
    return [perplexity, load]


def main(
    path: Annotated[Path, typer.Argument(help="Folder of a checkpoint.")],
    prompts: Annotated[Path, typer.Option(help="Held-out passages.")] = PROMPTS,
) -> None:
    """Print held-out perplexity per source and expert load per layer."""
    if not (path / "config.json").exists():
        raise typer.BadParameter(f"{path} holds no config.json; name the folder of a checkpoint")
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    for table in tables(evaluate(model, AutoTokenizer.from_pretrained(path), read_prompts(prompts))):
        Console().print(table)


if __name__ == "__main__":
    typer.run(main)
