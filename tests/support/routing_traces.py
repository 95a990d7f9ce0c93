# SPDX-License-Identifier: Apache-2.0
"""Routing traces as a pandas user would write them: one row at a time, columns of plain lists."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SHAPE = {
    "hidden": 32,
    "intermediate": 64,
    "heads": 4,
    "kv_heads": 2,
    "head_dim": 8,
    "vocab": 160,
    "element_bytes": 4,
    "decoder_layers": 4,
    "moe_layers": [1, 2, 3],
    "experts": 8,
    "top_k": 2,
}


def make_rows(requests: int = 2, prompt_tokens: int = 5, new_tokens: int = 3, seed: int = 1) -> pd.DataFrame:
    """Rows of a random router, in order."""
    chance = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    number = 0
    for request in range(requests):
        ids = chance.integers(0, SHAPE["vocab"], prompt_tokens + new_tokens).tolist()
        for step in range(new_tokens):
            positions = range(prompt_tokens) if step == 0 else [prompt_tokens + step - 1]
            for layer in range(len(SHAPE["moe_layers"])):
                for position in positions:
                    probabilities = chance.dirichlet(np.ones(SHAPE["experts"])).astype(np.float32)
                    experts = np.argsort(-probabilities)[: SHAPE["top_k"]]
                    rows.append(
                        {
                            "request": request,
                            "pass": number,
                            "phase": "decode" if step else "prefill",
                            "layer": layer,
                            "position": position,
                            "token": ids[position],
                            "next_token": ids[position + 1],
                            "gate_experts": experts.tolist(),
                            "gate_weights": (probabilities[experts] / probabilities[experts].sum()).tolist(),
                            "probabilities": probabilities.tolist(),
                        }
                    )
            number += 1
    return pd.DataFrame(rows)


def write_rows(rows: pd.DataFrame, path: Path, metadata: Any = None, **shape: Any) -> Path:
    """A Parquet file of `rows`; `shape` changes sizes, `metadata` stands in for all of them."""
    table = pa.table({name: pa.array(list(rows[name])) for name in rows})
    described = metadata or {"version": 1, "model": "made-up", "shape": {**SHAPE, **shape}}
    pq.write_table(table.replace_schema_metadata({"wdmoe_routing": json.dumps(described)}), path)
    return path
