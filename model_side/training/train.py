# SPDX-License-Identifier: Apache-2.0
"""Train a small model: `python -m model_side.training.train SHAPE --cache DIR --out DIR --steps N`.

The learning rate is warmed up, stays, and falls to zero over the last part of the steps. So until that
part begins a training does not depend on `steps`, and a resumed one may be given another number. A
killed training goes on from its last checkpoint and ends with the weights it would have had. All
shapes read the same batches in the same order.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerFast

from model_side.training import corpus, tokens
from model_side.training.balance import load_balance_loss
from model_side.training.prompts import held_out_prompts, write_prompts
from model_side.training.shapes import CONTEXT, SHAPES
from model_side.training.tokenizer import train_tokenizer

TOKENIZER_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class Recipe:
    """What decides the weights. Learning rate `peak` after `warmup` steps, falling over the last `cooldown` share."""

    steps: int = 2400
    sequences: int = 8
    length: int = 512
    peak: float = 3e-3
    warmup: int = 100
    cooldown: float = 0.3
    weight_decay: float = 0.1
    balance: float = 0.01
    seed: int = 1

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        falling = (self.steps - step) / max(1.0, self.cooldown * self.steps)
        return self.peak * min(1.0, (step + 1) / self.warmup, falling)


def prepare(cache: Path, out: Path) -> None:
    """Fetch the text; write tokenizer, training tokens and held-out prompts under `out`."""
    training, held_out = {}, {}
    for source in corpus.SOURCES.values():
        documents = corpus.read(source, corpus.fetch(source, cache))
        training[source.name], held_out[source.name] = corpus.split(documents)
    sample = []
    for documents in training.values():
        size = 0
        for document in documents[::3]:
            if size < TOKENIZER_CHARACTERS:
                sample.append(document.text[: TOKENIZER_CHARACTERS - size])
                size += len(sample[-1])
    tokenizer = train_tokenizer(sample, CONTEXT)
    write_prompts(out / "prompts.jsonl", held_out_prompts(held_out, tokenizer))
    tokens.save({name: tokens.encode(documents, tokenizer) for name, documents in training.items()}, out / "tokens")
    tokenizer.save_pretrained(out / "tokenizer")


class Training:
    """A model, its optimizer, and how far they are."""

    def __init__(self, config: PretrainedConfig, recipe: Recipe):
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.model = AutoModelForCausalLM.from_config(config)
        matrices = [p for p in self.model.parameters() if p.dim() > 1]
        vectors = [p for p in self.model.parameters() if p.dim() == 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
            lr=recipe.peak,
            betas=(0.9, 0.95),
            fused=True,
        )
        self.step = 0
        self.cpu_s = 0.0
        self.wall_s = 0.0

    def run_step(self, text: Mapping[str, tokens.Tokens]) -> tuple[float, float]:
        """One optimizer step. Returns cross entropy in nats a token, and load-balance loss (dense: 0)."""
        recipe, config = self.recipe, self.model.config
        cpu, wall = time.process_time(), time.perf_counter()
        ids = tokens.batch(text, config.bos_token_id, recipe.sequences, recipe.length, recipe.seed, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate(self.step)
        experts = getattr(config, "num_experts_per_tok", None)
        wanted = {} if experts is None else {"output_router_logits": True}
        output = self.model.model(ids[:, :-1], use_cache=False, **wanted)
        logits = self.model.lm_head(output.last_hidden_state)
        cross_entropy = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        balance = torch.zeros(()) if experts is None else load_balance_loss(output.router_logits, experts)
        torch.autograd.backward(cross_entropy + recipe.balance * balance)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        self.cpu_s += time.process_time() - cpu
        self.wall_s += time.perf_counter() - wall
        return cross_entropy.item(), balance.item()

    def save(self, path: Path) -> None:
        """Write the checkpoint; a kill while writing leaves the old one whole."""
        state = {"step": self.step, "cpu_s": self.cpu_s, "wall_s": self.wall_s}
        partial = path.with_suffix(".partial")
        torch.save({**state, "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}, partial)
        os.replace(partial, path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        self.step, self.cpu_s, self.wall_s = state["step"], state["cpu_s"], state["wall_s"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


def train(training: Training, text: Mapping[str, tokens.Tokens], out: Path, save_every: int) -> None:
    """Run to the recipe's last step, from `out/state.pt` if it is there; log to `out/log.jsonl`."""
    checkpoint = out / "state.pt"
    if checkpoint.exists():
        training.load(checkpoint)
    with (out / "log.jsonl").open("a") as log:
        while training.step < training.recipe.steps:
            cross_entropy, balance = training.run_step(text)
            entry = {"step": training.step, "cross_entropy": cross_entropy, "balance": balance}
            times = {"cpu_s": round(training.cpu_s, 2), "wall_s": round(training.wall_s, 2)}
            print(json.dumps({**entry, **times}), file=log, flush=True)
            if training.step % save_every == 0 or training.step == training.recipe.steps:
                training.save(checkpoint)


def load_tokenizer(out: Path) -> PreTrainedTokenizerFast:
    """The tokenizer that `prepare` wrote."""
    return AutoTokenizer.from_pretrained(out / "tokenizer")


def main(
    name: Annotated[str, typer.Argument(metavar="SHAPE", help=f"One of {', '.join(SHAPES)}.")],
    cache: Annotated[Path, typer.Option(help="Folder for the fetched text.")],
    out: Annotated[Path, typer.Option(help="Folder for tokenizer, tokens, log and checkpoint.")],
    steps: Annotated[int, typer.Option(help="Optimizer steps of 4,096 tokens each.")] = Recipe.steps,
    threads: Annotated[int, typer.Option(help="CPU threads; another number may give other last bits.")] = 2,
) -> None:
    """Train a model, or go on where a training stopped."""
    if name not in SHAPES:
        raise typer.BadParameter(f"SHAPE is {name!r}; it must be one of {', '.join(SHAPES)}")
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "tokenizer").exists():
        prepare(cache, out)
    training = Training(SHAPES[name].config(), Recipe(steps=steps))
    train(training, tokens.load(out / "tokens"), out, save_every=100)


if __name__ == "__main__":
    typer.run(main)
