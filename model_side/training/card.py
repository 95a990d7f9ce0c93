# SPDX-License-Identifier: Apache-2.0
"""The model card of a small model."""

import json
from pathlib import Path
from string import Template

from model_side.training.corpus import SOURCES
from model_side.training.evaluate import Evaluation
from model_side.training.shapes import SHAPES
from model_side.training.train import Training

PURPOSE = """\
Its gates and experts are trained, so routing has structure and a wrong or missing expert costs quality. It is for
experiments on expert selection and transport."""
DENSE_PURPOSE = """\
It read the same batches in the same order as the Mixture-of-Experts models beside it, and is what they are compared
with."""


def model_card(name: str, training: Training, evaluation: Evaluation, out: Path) -> str:
    """The model card of `SHAPES[name]`: `TEMPLATE` with the figures of the training in `out` filled in."""
    recipe, shape, is_dense = training.recipe, SHAPES[name], not evaluation.load.size
    log = [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()][-100:]
    last = {key: sum(entry[key] for entry in log) / len(log) for key in ("cross_entropy", "balance")}
    sources = [
        f"| {s.name} | {s.client} `{s.package}` {s.version} | {s.licence} | {evaluation.perplexity[s.name]:.2f} |"
        for s in SOURCES.values()
    ]
    balance = (
        f", load-balance loss {last['balance']:.3f}\n(1 is balanced; weight {recipe.balance:g}; computed per layer)"
    )
    return TEMPLATE.substitute(
        name=name,
        family=training.model.config.model_type,
        mlp=shape.mlp,
        purpose=DENSE_PURPOSE if is_dense else PURPOSE,
        parameters=f"{sum(p.numel() for p in training.model.parameters()) / 1e6:.1f}",
        steps=f"{training.step:,}",
        tokens=f"{training.step * recipe.sequences * recipe.length / 1e6:.1f}",
        batch=f"{recipe.sequences} x {recipe.length}",
        peak=f"{recipe.peak:g}",
        warmup=recipe.warmup,
        cooldown=f"{100 * recipe.cooldown:.0f}",
        seed=recipe.seed,
        arithmetic="bf16 with fp32 weights" if shape.is_mixed else "fp32",
        cpu_minutes=f"{training.cpu_s / 60:.0f}",
        wall_minutes=f"{training.wall_s / 60:.0f}",
        last_loss=f"{last['cross_entropy']:.3f}",
        last_balance="" if is_dense else balance,
        overall=f"{evaluation.overall:.2f}",
        sources="\n".join(sources),
        load="" if is_dense else load_table(evaluation),
    )


def load_table(evaluation: Evaluation) -> str:
    """The part of the card that only a Mixture-of-Experts model has."""
    experts = range(evaluation.load.shape[1])
    rows = [
        "## Expert load per layer, % of assignments on the held-out passages",
        "",
        "| layer | expert " + " | ".join(map(str, experts)) + " |",
        "|---" * (len(experts) + 1) + "|",
        *(
            f"| {layer} | " + " | ".join(f"{100 * share:.1f}" for share in row) + " |"
            for layer, row in enumerate(evaluation.load)
        ),
    ]
    return "\n" + "\n".join(rows) + "\n"


TEMPLATE = Template("""\
---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
language: en
---
# $name: a small model, trained for co-simulation

A genuine `$family` ($parameters M parameters: hidden size 192, 6 layers, 6 query and 2 key/value heads of 32, in each
layer $mlp,
tied embeddings, vocabulary 2048, bf16). $purpose
It is not a useful language model: it was trained on few tokens of old and technical English.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("model_side/shipped/$name")
tokenizer = AutoTokenizer.from_pretrained("model_side/shipped/$name")
```

The tokenizer puts `<s>` before every text, as in training.

## Data, licences, quality

| source | package | licence of the text | held-out perplexity |
|---|---|---|---|
$sources
| all, geometric mean | | | $overall |

Every eighth document (chapter, address, play, block of 100 glosses, page) was held out. Training documents that share
over 5 % of their runs of 13 words with a held-out one were dropped. Perplexity is a token's (not a word's), in fp32 on
the shipped bf16 weights, on the first 512 tokens of each of 64 held-out passages a source, the ones in
`../prompts/held-out.jsonl`. `evaluation.json` holds the same figures. To measure them again:
`python -m model_side.training.evaluate model_side/shipped/$name`.

WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved. Python's documentation: Copyright Python
Software Foundation. The packages' licence notes stand in `../prompts/LICENCES.md`.

## Training

$steps steps of $batch tokens ($tokens M tokens), on a shared CPU: $cpu_minutes minutes of CPU time, $wall_minutes
minutes of wall time. AdamW, learning rate $peak after $warmup steps, falling to zero over the last $cooldown % of the
steps, weight decay 0.1, seed $seed, $arithmetic. A source is drawn in proportion to the square root of its size. Mean
over the last 100 steps: cross entropy $last_loss nats a token$last_balance.
Made by `python -m model_side.training.train $name`, then `python -m model_side.training.ship $name`.
$load""")
