# SPDX-License-Identifier: Apache-2.0
"""The model card of a small model."""

import json
import re
import textwrap
from pathlib import Path
from string import Template

from transformers import PreTrainedModel

from model_side.training.corpus import SOURCES
from model_side.training.evaluate import Evaluation
from model_side.training.shapes import SHAPES
from model_side.training.train import Training

PURPOSE = """\
Its gates and experts are trained, so routing has structure and a wrong or missing expert costs quality. It is for \
experiments on expert selection and transport."""
DENSE_PURPOSE = """\
It read the batches that the Mixture-of-Experts models beside it read first, in the same order, and is what they are \
compared with."""


def model_card(name: str, training: Training, evaluation: Evaluation, out: Path) -> str:
    """The model card of `SHAPES[name]`: `TEMPLATE` with the figures of the training in `out` filled in."""
    recipe, model, is_dense = training.recipe, training.model, not evaluation.load.size
    tokens, working = training.step * recipe.sequences * recipe.length, working_parameters(model)
    log = [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()][-100:]
    last = {key: sum(entry[key] for entry in log) / len(log) for key in ("cross_entropy", "balance")}
    sources = [
        f"| {s.name} | {s.client} `{s.package}` {s.version} | {s.licence} | {evaluation.perplexity[s.name]:.2f} |"
        for s in SOURCES.values()
    ]
    weighed = f"weight {recipe.balance:g}; computed per layer"
    balance = f", load-balance loss {last['balance']:.3f} (1 is balanced; {weighed})"
    card = TEMPLATE.substitute(
        name=name,
        family=model.config.model_type,
        mlp=SHAPES[name].mlp,
        purpose=DENSE_PURPOSE if is_dense else PURPOSE,
        parameters=f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}",
        working="" if is_dense else f", of which {working / 1e6:.1f} M work on a token",
        steps=f"{training.step:,}",
        count=training.step,
        tokens=f"{tokens / 1e6:.1f}",
        operations=f"{6 * working * tokens / 1e12:.3g}",
        batch=f"{recipe.sequences} x {recipe.length}",
        peak=f"{recipe.peak:g}",
        warmup=recipe.warmup,
        cooldown=f"{100 * recipe.cooldown:.0f}",
        seed=recipe.seed,
        cpu_minutes=f"{training.cpu_s / 60:.0f}",
        wall_minutes=f"{training.wall_s / 60:.0f}",
        last_loss=f"{last['cross_entropy']:.3f}",
        last_balance="" if is_dense else balance,
        overall=f"{evaluation.overall:.2f}",
        sources="\n".join(sources),
        load="" if is_dense else load_table(evaluation),
    )
    return "\n\n".join(map(wrapped, card.split("\n\n"))).rstrip() + "\n"


def working_parameters(model: PreTrainedModel) -> float:
    """Parameters that work on a token: all but the experts that it does not go to; tied embeddings as the head."""
    config = model.config
    experts = next((getattr(config, name) for name in ("num_local_experts", "num_experts") if hasattr(config, name)), 0)
    share = config.num_experts_per_tok / experts if experts else 1.0
    return float(sum(p.numel() * (share if ".experts." in name else 1) for name, p in model.named_parameters()))


def wrapped(part: str) -> str:
    """A part of a page with its lines as long as they may be, if it is running text."""
    is_text = not re.match(r"---|#|\||```|    |\w+ = |$", part)
    return textwrap.fill(part, 120, break_long_words=False, break_on_hyphens=False) if is_text else part


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
    return "\n".join(rows)


TEMPLATE = Template("""\
---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
language: en
---
# $name: a small model, trained for co-simulation

A genuine `$family` ($parameters M parameters$working: hidden size 192, 6 layers, 6 query and 2 key/value heads of 32,
in each layer $mlp, tied embeddings, vocabulary 2048, bf16). $purpose It is not a useful language model: it was trained
on few tokens of old and technical English.

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

    python -m model_side.training.evaluate model_side/shipped/$name

WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved. Python's documentation: Copyright Python
Software Foundation. The packages' licence notes stand in `../prompts/LICENCES.md`.

## Training

$steps steps of $batch tokens ($tokens M tokens; $operations * 10^12 operations, 6 for each parameter that works on a
token), on a shared CPU: $cpu_minutes minutes of CPU time, $wall_minutes minutes of wall time. AdamW, learning rate
$peak after $warmup steps, falling to zero over the last $cooldown % of the steps, weight decay 0.1, seed $seed, fp32.
A source is drawn in proportion to the square root of its size. Mean over the last 100 steps: cross entropy $last_loss
nats a token$last_balance. Made by

    python -m model_side.training.train $name --steps $count --cache TEXT --out RUN
    python -m model_side.training.ship $name RUN model_side/shipped/$name

$load""")
