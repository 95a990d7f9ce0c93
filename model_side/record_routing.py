# SPDX-License-Identifier: Apache-2.0
"""Record how a Mixture-of-Experts model routes: `python record_routing.py MODEL PROMPTS OUT.parquet`.

This file and `model_sizes.py` beside it need transformers (5 or newer), torch, numpy and pyarrow, and nothing else of
the package that they come from, so that the two can be copied to where the GPUs are. The model runs as it is; hooks on
its routers read the gate. The file that it writes is described in docs/runs/routing.md.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

try:
    from model_side.model_sizes import down_of, sizes
except ModuleNotFoundError:  # beside a copy of it
    sys.path.insert(0, str(Path(__file__).parent))
    from model_sizes import down_of, sizes  # type: ignore[import-not-found, no-redef]

FORMAT = "wdmoe_routing"
"""The key of the file's metadata, whose value is JSON: `version`, `model` and `shape`, `sha256` if it is known."""
VERSION = 1
ROUTERS = ("gate", "router")
_GROUP_ROWS = 1 << 16


class Unrecordable(Exception):
    """A model, prompts or a file that the recorder can do nothing with."""


class Block(NamedTuple):
    """One MoE block of a model: its dotted name, its router and its experts."""

    name: str
    block: Any
    router: Any
    experts: Any


class GateArrays(NamedTuple):
    """What a router gave for N tokens: `probabilities` [N, E], `weights` [N, k] and `indices` [N, k]."""

    probabilities: NDArray[np.float32] | None
    weights: NDArray[np.float32]
    indices: NDArray[np.int64]


def gate_arrays(logits: Any, weights: Any, indices: Any) -> GateArrays:
    """The tensors that a router returns, as arrays; probabilities are the softmax of its logits.

    An expert that the router masks, with a logit of -inf, has probability 0. A router that gives probabilities in place
    of logits, as Gemma 4's, is known by it: logits are never all positive with a sum of 1.
    """
    powers = logits.detach().float().cpu().numpy()
    if (powers >= 0).all() and np.allclose(powers.sum(axis=1), 1, atol=1e-2):
        powers = np.log(np.maximum(powers, np.finfo(np.float32).tiny))
    if not np.isfinite(powers.max(axis=1)).all():
        raise Unrecordable("a router does not give finite numbers; take another --dtype, as bfloat16 or float32")
    powers = np.exp(powers - powers.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return GateArrays(
        powers, weights.detach().float().cpu().numpy(), indices.cpu().numpy().astype(np.int64, copy=False)
    )


def model_digest(folder: Path) -> str:
    """SHA-256 of the model in a folder: of its config.json and its weights, whatever else lies there."""
    digest = hashlib.sha256()
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    for file in (folder / "config.json", *weights):
        digest.update(f"{file.name} {file.stat().st_size}\n".encode())
        with file.open("rb") as opened:
            hashlib.file_digest(opened, lambda: digest)
    return digest.hexdigest()


class RoutingWriter:
    """Writes a routing trace, pass after pass; use it as a context manager.

    `model` names what is recorded, `shape` is as `sizes` gives it. Without `probabilities` they are left out.
    `sha256`: of the model (`model_digest`), where that is known.
    """

    def __init__(self, path: Path, model: str, shape: dict[str, Any], probabilities: bool, sha256: str = ""):
        import pyarrow as pa  # noqa: PLC0415  (so that --help needs nothing)
        from pyarrow import parquet  # noqa: PLC0415

        def lists(kind: Any, length: int) -> Any:
            return pa.list_(kind, length)

        columns = {
            "request": pa.int32(),
            "pass": pa.int32(),
            "phase": pa.dictionary(pa.int8(), pa.string()),
            "layer": pa.int16(),
            "position": pa.int32(),
            "token": pa.int32(),
            "next_token": pa.int32(),
            "gate_experts": lists(pa.int16(), shape["top_k"]),
            "gate_weights": lists(pa.float32(), shape["top_k"]),
        }
        if probabilities:
            columns["probabilities"] = lists(pa.float32(), shape["experts"])
        known = {"sha256": sha256} if sha256 else {}
        metadata = json.dumps({"version": VERSION, "model": model, "shape": shape, **known})
        self._pa = pa
        self._schema = pa.schema(list(columns.items()), metadata={FORMAT: metadata})
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._tables: list[Any] = []
        self._rows = 0
        self._passes = 0

    def __enter__(self) -> "RoutingWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def add(
        self,
        request: int,
        phase: str,
        position: int,
        tokens: Sequence[int | None],
        next_tokens: Sequence[int | None],
        layers: Sequence[GateArrays],
    ) -> None:
        """Add one pass: the ids of its N tokens, the first at `position`, and of those that follow each (or None)."""
        pa, count, depth = self._pa, len(tokens), len(layers)
        rows = count * depth
        scalars = {"request": request, "pass": self._passes}
        columns: dict[str, Any] = {name: np.full(rows, value, np.int32) for name, value in scalars.items()}
        columns["phase"] = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), pa.array([phase]))
        columns["layer"] = np.repeat(np.arange(depth, dtype=np.int16), count)
        columns["position"] = np.tile(np.arange(position, position + count, dtype=np.int32), depth)
        columns["token"] = pa.array([*tokens] * depth, pa.int32())
        columns["next_token"] = pa.array([*next_tokens] * depth, pa.int32())
        arrays = {"gate_experts": "indices", "gate_weights": "weights", "probabilities": "probabilities"}
        for name, part in arrays.items():
            if name in self._schema.names:
                kind = self._schema.field(name).type
                values = np.concatenate([getattr(layer, part) for layer in layers]).ravel()
                values = pa.array(values.astype(kind.value_type.to_pandas_dtype(), copy=False))
                columns[name] = pa.FixedSizeListArray.from_arrays(values, kind.list_size)
        self._tables.append(pa.table(columns, self._schema))
        self._rows += rows
        self._passes += 1
        if self._rows >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._tables:
            table = self._pa.concat_tables(self._tables).unify_dictionaries()
            self._writer.write_table(table)
        self._tables, self._rows = [], 0


def find_blocks(model: Any) -> list[Block]:
    """The MoE blocks of a model of transformers, in the order of its layers."""
    blocks = []
    for name, module in model.named_modules():
        experts = getattr(module, "experts", None)
        router = next((getattr(module, key) for key in ROUTERS if hasattr(module, key)), None)
        if router is not None and hasattr(experts, "num_experts") and down_of(experts) is not None:
            blocks.append(Block(name, module, router, experts))
    if not blocks:
        raise Unrecordable(f"{type(model).__name__} has no MoE block of transformers 5 (experts, and a gate or router)")
    return blocks


def record(
    model: Any,
    name: str,
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    path: Path,
    probabilities: bool = True,
    sha256: str = "",
    stored_dtype: str = "",
) -> None:
    """Generate greedily `new_tokens` after each prompt, with a KV cache, and write the routing of every pass.

    No token ends a request early. The last token is never fed back, so a request has `new_tokens` passes.
    """
    blocks = find_blocks(model)
    gates: list[GateArrays] = []

    def read(router: Any, _: Any, output: Any) -> None:
        if not isinstance(output, tuple) or len(output) != 3 or output[1].shape != output[2].shape:
            kind = type(router).__name__
            raise Unrecordable(
                f"the router {kind} does not return logits, weights and indices; is transformers 5 here?"
            )
        gates.append(gate_arrays(*output))

    hooks = [block.router.register_forward_hook(read) for block in blocks]
    writer = None
    try:
        for request, prompt in enumerate(prompts):
            tokens, position, cache = list(prompt), 0, None
            for _ in range(new_tokens):
                gates.clear()
                following, cache = _forward(model, tokens, cache)
                if writer is None:
                    shape = sizes(model, blocks, gates[0].indices.shape[1], stored_dtype)
                    writer = RoutingWriter(path, name, shape, probabilities, sha256)
                phase = "decode" if position else "prefill"
                writer.add(request, phase, position, tokens, [*tokens[1:], following], gates)
                position += len(tokens)
                tokens = [following]
    finally:
        for hook in hooks:
            hook.remove()
        if writer is not None:
            writer.__exit__()


def _forward(model: Any, tokens: list[int], cache: Any) -> tuple[int, Any]:
    """The likeliest token after `tokens`, and the cache grown by them."""
    import torch  # noqa: PLC0415

    with torch.inference_mode():
        given = torch.tensor([tokens], device=model.device)
        output = model(input_ids=given, past_key_values=cache, use_cache=True)
        return int(output.logits[0, -1].argmax()), output.past_key_values


def read_prompts(path: Path) -> str | list[str | list[int]]:
    """What a file has before any tokenizer: prompts, each a text or ids of tokens, or one text to cut into prompts.

    A line of a file `.jsonl` is an object with a `text`, or with `tokens`, their ids; any other file is a text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unrecordable(f"{path} is not readable as UTF-8: {error}") from None
    if path.suffix != ".jsonl":
        return text
    return [_prompt(line, f"{path}, line {number}") for number, line in enumerate(text.splitlines(), 1)]


def _prompt(line: str, where: str) -> str | list[int]:
    try:
        prompt = json.loads(line)
    except ValueError:
        prompt = None
    match prompt:
        case {"tokens": [*tokens]} if all(type(token) is int and token >= 0 for token in tokens):
            return tokens
        case {"text": str(text)} if "tokens" not in prompt:
            return text
    raise Unrecordable(f"{where}: is no JSON object with text or tokens")


def tokenized(prompts: str | list[str | list[int]], tokenizer: Any, prompt_tokens: int) -> list[list[int]]:
    """The ids of at most `prompt_tokens` tokens of each prompt; a text is cut from end to end into so many."""
    if isinstance(prompts, str):
        ids = tokenizer(prompts, verbose=False)["input_ids"]
        return [ids[first : first + prompt_tokens] for first in range(0, len(ids) - prompt_tokens + 1, prompt_tokens)]
    every = (tokenizer(each, verbose=False)["input_ids"] if isinstance(each, str) else each for each in prompts)
    return [ids[:prompt_tokens] for ids in every]


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Record how a Mixture-of-Experts model routes.")
    parser.add_argument("model", metavar="MODEL", help="a folder, or a hub id owner/name")
    parser.add_argument("prompts", metavar="PROMPTS", type=Path, help="FILE.jsonl of text or tokens, or a text file")
    parser.add_argument("out", metavar="OUT.parquet", type=Path)
    parser.add_argument("--prompt-tokens", type=int, default=512, help="tokens of a prompt, at most (default: 512)")
    parser.add_argument("--new-tokens", type=int, default=64, help="tokens generated after each (default: 64)")
    parser.add_argument("--requests", type=int, help="prompts, at most (default: all)")
    parser.add_argument("--dtype", default="auto", help="float32, bfloat16, float16 (default: as stored)")
    parser.add_argument("--no-probabilities", action="store_true", help="leave out the probabilities of all experts")
    given = parser.parse_args(arguments)
    for name in ("prompt_tokens", "new_tokens", "requests"):
        if getattr(given, name) is not None and getattr(given, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is below 1")
    try:
        _record(given)
    except Unrecordable as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


def _record(given: argparse.Namespace) -> None:
    if given.out.is_dir() or not os.access(given.out.parent, os.W_OK):
        raise Unrecordable(f"{given.out} cannot be written; choose another place")
    asked = read_prompts(given.prompts)
    import torch  # noqa: PLC0415
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415
    from transformers.utils import cached_file  # noqa: PLC0415

    spread: dict[str, Any] = {"device_map": "auto"} if find_spec("accelerate") else {}
    alone = not spread
    try:
        spread["trust_remote_code"] = False  # without it, transformers asks on a terminal
        tokenizer = AutoTokenizer.from_pretrained(given.model, trust_remote_code=False)
        stored = AutoConfig.from_pretrained(given.model, trust_remote_code=False).get_text_config()
        prompts = tokenized(asked, tokenizer, given.prompt_tokens)[: given.requests]
        _check_prompts(prompts, given.prompts, stored.vocab_size)
        model = AutoModelForCausalLM.from_pretrained(given.model, dtype=given.dtype, **spread).eval()
    except Unrecordable:
        raise
    except Exception as error:  # a missing folder, an unknown architecture, no hub: each raises its own kind
        words = " ".join(str(error).split()) or type(error).__name__
        raise Unrecordable(f"{given.model} does not load: {words}") from error
    if alone and torch.cuda.is_available():
        model.to("cuda")
    config = cached_file(given.model, "config.json")
    sha256 = model_digest(Path(config).parent)
    dtype = str(stored.dtype or "").removeprefix("torch.")
    record(model, given.model, prompts, given.new_tokens, given.out, not given.no_probabilities, sha256, dtype)
    print(f"{given.out}: {len(prompts)} requests", file=sys.stderr)


def _check_prompts(prompts: Sequence[Sequence[int]], path: Path, vocabulary: int) -> None:
    if not prompts or not all(prompts):
        raise Unrecordable(f"{path} has no prompt, or an empty one; a text has to fill --prompt-tokens")
    if (most := max(map(max, prompts))) >= vocabulary:
        raise Unrecordable(f"{path} has the token {most}; those of the model are below {vocabulary}")


if __name__ == "__main__":
    main()
