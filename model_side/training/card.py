# SPDX-License-Identifier: Apache-2.0
"""The model card of the small Mixtral."""

import json
from pathlib import Path
from string import Template

from model_side.training.corpus import SOURCES
from model_side.training.evaluate import Evaluation
from model_side.training.train import Training


def model_card(training: Training, evaluation: Evaluation, out: Path) -> str:
    """The model card: `TEMPLATE` with the figures of the training in `out` filled in."""
    recipe = training.recipe
    log = [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]
    sources = [
        f"| {s.name} | {s.client} `{s.package}` {s.version} | {s.licence} | {evaluation.perplexity[s.name]:.2f} |"
        for s in SOURCES.values()
    ]
    load = [
        f"| {layer} | " + " | ".join(f"{100 * share:.1f}" for share in row) + " |"
        for layer, row in enumerate(evaluation.load)
    ]
    return TEMPLATE.substitute(
        parameters=f"{sum(p.numel() for p in training.model.parameters()) / 1e6:.1f}",
        steps=f"{training.step:,}",
        tokens=f"{training.step * recipe.sequences * recipe.length / 1e6:.1f}",
        batch=f"{recipe.sequences} x {recipe.length}",
        peak=f"{recipe.peak:g}",
        warmup=recipe.warmup,
        cooldown=f"{100 * recipe.cooldown:.0f}",
        balance=f"{recipe.balance:g}",
        seed=recipe.seed,
        cpu_minutes=f"{training.cpu_s / 60:.0f}",
        wall_minutes=f"{training.wall_s / 60:.0f}",
        last_loss=f"{sum(entry['cross_entropy'] for entry in log[-100:]) / len(log[-100:]):.3f}",
        last_balance=f"{sum(entry['balance'] for entry in log[-100:]) / len(log[-100:]):.3f}",
        overall=f"{evaluation.overall:.2f}",
        sources="\n".join(sources),
        load="\n".join(load),
    )


TEMPLATE = Template("""\
---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
language: en
---
# mixtral-12m: a small Mixtral, trained for co-simulation

A genuine Mixtral ($parameters M parameters: hidden size 192, 6 layers, 6 query and 2 key/value heads of 32, 8 experts
of intermediate size 384 with top-2 routing, tied embeddings, vocabulary 2048, bf16). Its gates and experts are
trained, so routing has structure and a wrong or missing expert costs quality. It is for experiments on expert
selection and transport. It is not a useful language model: it was trained on few tokens of old and technical English.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("model_side/shipped/mixtral-12m")
tokenizer = AutoTokenizer.from_pretrained("model_side/shipped/mixtral-12m")
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
`python -m model_side.training.evaluate model_side/shipped/mixtral-12m`.

WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved. Python's documentation: Copyright Python
Software Foundation. The packages' licence notes stand in `../prompts/LICENCES.md`.

## Training

$steps steps of $batch tokens ($tokens M tokens), on 2 shared CPU threads: $cpu_minutes minutes of CPU time,
$wall_minutes minutes of wall time. AdamW, learning rate $peak after $warmup steps, falling to zero over the last
$cooldown % of the steps, weight decay 0.1, seed $seed, fp32. A source is drawn in proportion to the square root of its
size. Mean over the last 100 steps: cross entropy $last_loss nats a token, load-balance loss $last_balance (1 is
balanced; weight $balance; computed per layer).
Made by `python -m model_side.training.train`, then `python -m model_side.training.ship`.

## Expert load per layer, % of assignments on the held-out passages

| layer | expert 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
|---|---|---|---|---|---|---|---|---|
$load
""")
