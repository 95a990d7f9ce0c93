# SPDX-License-Identifier: Apache-2.0
"""The models that come with the package, and the published ones whose sizes can stand in; without loading any."""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cosim.screen.fitting import print_table
from model_side.hardware.memory import expert_bytes, stored_bytes
from model_side.model.model_folder import SHIPPED, SHIPPED_FOLDER, SHIPPED_MODELS
from model_side.wire_profiles import DENSE_PROFILES, PUBLISHED, WIRE_PROFILES

_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
_COUNTED = ("parameters", "weights", "layers", "hidden", "a token", "an expert, 4 bits", "16 bits", "4 bits")


@dataclass(frozen=True)
class Shipped:
    """A model that comes with the package; `path` is what `model.path` or `model.baseline` takes."""

    path: str
    family: str
    parameters: int
    layers: int
    hidden: int
    experts: int
    top_k: int


@dataclass(frozen=True)
class Profile:
    """A published model whose sizes can stand in; `weights` of all its matrices, `bytes_16`, `bytes_4`: what they take.

    Of one with experts `token_bytes` travel for a token to an expert, and an expert takes `expert_bytes_4`.
    """

    name: str
    source: str
    layers: int
    hidden: int
    weights: int
    bytes_16: int
    bytes_4: int
    experts: int = 0
    top_k: int = 0
    token_bytes: int = 0
    expert_bytes_4: int = 0


def shipped() -> list[Shipped]:
    """The models that come with the package."""
    return [_shipped(folder) for folder in SHIPPED_MODELS.values()]


def profiles() -> dict[str, Profile]:
    """All that are published by name, those with experts first."""
    return {name: _profile(name) for name in PUBLISHED}


def listed() -> dict[str, Any]:
    """Everything as plain values."""
    there = profiles()
    return {
        "shipped": [vars(model) for model in shipped()],
        "wire_profiles": [vars(there[name]) for name in WIRE_PROFILES],
        "dense_profiles": [vars(there[name]) for name in DENSE_PROFILES],
    }


def print_list(console: Console) -> None:
    """Print everything, a table each."""
    models = _table("shipped, for model.path or model.baseline", "path", "family", "experts", "parameters")
    for model in shipped():
        experts = f"top {model.top_k} of {model.experts}" if model.experts else "dense"
        sizes = (f"{model.parameters / 1e6:.1f} M", str(model.layers), str(model.hidden))
        models.add_row(model.path, model.family, experts, *sizes)
    wire = _table("published, for model.wire_profile", "profile", "hub id", "experts", "weights")
    dense = _table("published and dense, for model.baseline_profile", "profile", "hub id", "weights")
    for heading in ("a token", "an expert, 4 bits"):
        wire.add_column(heading, justify="right")
    for heading in ("16 bits", "4 bits"):
        dense.add_column(heading, justify="right")
    for each in profiles().values():
        sizes = (f"{each.weights / 1e9:.2f} G", str(each.layers), str(each.hidden))
        if each.experts:
            experts = f"top {each.top_k} of {each.experts}"
            travelling = (f"{each.token_bytes:,} B", f"{each.expert_bytes_4 / 1e6:.1f} MB")
            wire.add_row(each.name, each.source, experts, *sizes, *travelling)
        else:
            taken = (f"{each.bytes_16 / 1e9:.1f} GB", f"{each.bytes_4 / 1e9:.1f} GB")
            dense.add_row(each.name, each.source, *sizes, *taken)
    for table in (models, wire, dense):
        print_table(table, console)
        console.print()
    console.print("cosim models PATH --check loads a model and says whether it can be split exactly", highlight=False)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for heading in (*headings, "layers", "hidden"):
        table.add_column(heading, justify="right" if heading in _COUNTED else "left", overflow="fold")
    return table


def _shipped(folder: Path) -> Shipped:
    from safetensors import safe_open  # noqa: PLC0415  (it comes with transformers)

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    parameters = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="numpy") as opened:
            parameters += sum(prod(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118
    experts = next((int(config[name]) for name in _EXPERTS if name in config), 0)
    return Shipped(
        SHIPPED if folder == SHIPPED_FOLDER else folder.name,
        config["model_type"],
        parameters,
        int(config["num_hidden_layers"]),
        int(config["hidden_size"]),
        experts,
        int(config["num_experts_per_tok"]) if experts else 0,
    )


def _profile(name: str) -> Profile:
    published = PUBLISHED[name]
    shape = published.shape
    bytes_16, bytes_4 = (stored_bytes(shape.weights, bits) for bits in (16, 4))
    has_experts = bool(shape.moe_layers)
    return Profile(
        name,
        published.source,
        shape.decoder_layers,
        shape.hidden,
        shape.weights,
        bytes_16,
        bytes_4,
        shape.experts,
        shape.top_k,
        token_bytes=shape.token_bytes if has_experts else 0,
        expert_bytes_4=expert_bytes(shape, 4) if has_experts else 0,
    )
