# SPDX-License-Identifier: Apache-2.0
"""What can be said of a model's folder before it is loaded: without PyTorch, and without reading its weights."""

import ast
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

from bridge.names import meant
from bridge.network import RequestError

SHIPPED = "shipped"
_HERE = Path(__file__).parent.parent / "shipped"
SHIPPED_MODELS = {file.parent.name: file.parent for file in sorted(_HERE.glob("*/config.json"))}
"""Folders of the models that come with the package, by name."""
SHIPPED_FOLDER = SHIPPED_MODELS["mixtral-12m"]
"""Of `shipped`, the one that runs where none is named."""
SHIPPED_PROMPTS = _HERE / "prompts" / "held-out.jsonl"

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.*", "*.tiktoken", "spiece.model")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_TOP_K = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k", "moe_k", "top_k_experts")
_WEIGHTS = ("BF16", "F16", "F32", "F64")
"""Types of elements, in the words of safetensors, that are weights as they stand."""
_TABLES = ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES")
"""Of transformers' source: which models it loads for text, and which for images and text."""
_MOST_LETTERS = 400


class ModelError(RequestError):
    """A model that cannot be loaded or split."""

    def __init__(self, reason: str):
        super().__init__("model.path", reason)


def one_line(error: BaseException) -> str:
    """What an error says, on one line, with its kind where the words alone say nothing."""
    words = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split()
    text = " ".join(words)
    if len(text) > _MOST_LETTERS:
        text = text[:_MOST_LETTERS].rsplit(" ", 1)[0] + " …"
    return text if len(words) > 3 else f"{type(error).__name__} {text}".strip()


@dataclass(frozen=True)
class Described:
    """What a folder's `config.json` says, None where it does not: experts of a MoE layer, the context in tokens, layers
    of the decoder, with experts and without."""

    experts: int | None = None
    context_tokens: int | None = None
    layers: int | None = None


def is_local(path: str | Path) -> bool:
    """Whether `path` is to be read from disk: it exists, or it does not look like `owner/name`."""
    return Path(path).exists() or re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", str(path)) is None


def folder_of(path: str | Path) -> Path | None:
    """The folder of the model `path`: a shipped one by its name, or a local one; None for a hub id."""
    if path == SHIPPED:
        return SHIPPED_FOLDER
    if str(path) in SHIPPED_MODELS:
        return SHIPPED_MODELS[str(path)]
    return Path(path).expanduser() if is_local(path) else None


def check_model(folder: Path, dense: bool = False) -> Described:
    """Raise `ModelError` for a folder without a model that loads, as far as that can be told from its files.

    `dense`: whether it may have no experts.
    """
    if not folder.is_dir():
        near = meant(str(folder), SHIPPED_MODELS)
        raise ModelError(f"there is no folder {folder}; give a folder with config.json or a hub id as owner/name{near}")
    config = _config(folder)
    _check_kind(folder, config, dense)
    text = config.get("text_config")
    sizes = {**config, **text} if isinstance(text, Mapping) else config
    experts, top_k = _count(sizes, *_EXPERTS), _count(sizes, *_TOP_K)
    if experts is not None and top_k is not None and not 1 <= top_k <= experts:
        raise ModelError(f"{folder}/config.json: a token goes to {top_k} of {experts} experts; it is 1 to {experts}")
    _check_weights(folder, "quantization_config" in sizes)
    context_tokens = _count(sizes, "max_position_embeddings", "max_seq_len", "n_positions")
    return Described(experts, context_tokens, _count(sizes, "num_hidden_layers", "n_layers", "num_layers"))


def check_tokenizer(folder: Path) -> None:
    """Raise `ModelError` for a folder without a tokenizer."""
    if not any(file for pattern in _TOKENIZERS for file in folder.glob(pattern)):
        raise ModelError(f"the folder {folder} holds no tokenizer: neither tokenizer.json nor another; save it there")


def token_counter(folder: Path) -> Callable[[str], int] | None:
    """How many tokens a text has for the folder's tokenizer; None if it cannot be had without loading more.

    The Python class that transformers puts around it may add a token.
    """
    file = folder / "tokenizer.json"
    if not file.is_file() or find_spec("tokenizers") is None:
        return None
    from tokenizers import Tokenizer  # noqa: PLC0415  (it comes with transformers)

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises no other
        raise ModelError(f"{file} is no tokenizer: {error}") from None
    tokenizer.encode_special_tokens = True  # a text is text, however it is spelled
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        raise ModelError(f"the folder {folder} holds no model: it has no config.json")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from None
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ModelError(f"{file} does not say what model it is: it has no model_type")
    return config


def _check_kind(folder: Path, config: Mapping[str, Any], dense: bool) -> None:
    kind, known = config["model_type"], [*chain(*_models())]
    if known and kind not in known:
        own = "; it needs code of its own, which is not run" if "auto_map" in config else meant(kind, known)
        raise ModelError(f"{folder}/config.json: the installed transformers has no language model {kind!r}{own}")
    code = _transformers("models", kind.replace("-", "_"), f"configuration_{kind.replace('-', '_')}.py")
    if not dense and code is not None and "expert" not in code + json.dumps(config):
        raise ModelError(
            f"{folder} holds a dense model ({kind}), without experts; take a Mixture of Experts, or this as "
            "model.baseline beside one"
        )


def causal_models() -> Sequence[str]:
    """The model types that transformers can load for text, out of its source: importing it loads PyTorch."""
    return _models()[0]


@cache
def _models() -> tuple[Sequence[str], ...]:
    """The model types in each of `_TABLES`; read once, for it takes a while."""
    found: dict[str, Sequence[str]] = {}
    for node in ast.parse(_transformers("models", "auto", "modeling_auto.py") or "").body:
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(args=[pairs])) if name in _TABLES:
                found[name] = tuple(kind for kind, _ in ast.literal_eval(pairs))
    return tuple(found.get(name, ()) for name in _TABLES)


def _transformers(*parts: str) -> str | None:
    """A source file of transformers; None if it is not installed, or has no such file."""
    found = find_spec("transformers")
    if found is None or found.origin is None:
        return None
    file = Path(found.origin).parent.joinpath(*parts)
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _check_weights(folder: Path, quantized: bool) -> None:
    files = sorted(folder.glob("*.safetensors"))
    if not files and not any(folder.glob("*.bin")):
        raise ModelError(f"the folder {folder} holds no weights: neither *.safetensors nor *.bin")
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            found = json.loads(index.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{index} cannot be read: {error}") from None
        named_in = found.get("weight_map") if isinstance(found, dict) else None
        if not isinstance(named_in, dict) or not all(isinstance(name, str) for name in named_in.values()):
            raise ModelError(f"{index} has no weight_map, which says what file a weight is in; download it again")
        named = set(named_in.values())
        for name in sorted(named - {file.name for file in files}):
            raise ModelError(f"the folder {folder} lacks {name}, a part of its weights; download it again")
    for file in files:
        _check_whole(file, quantized)


def _check_whole(file: Path, quantized: bool) -> None:
    try:
        from safetensors import SafetensorError, safe_open  # noqa: PLC0415  (it comes with transformers)
    except ModuleNotFoundError:
        return
    try:
        with safe_open(file, framework="numpy") as opened:
            narrow = "" if quantized else _quantized(opened)
    except (SafetensorError, OSError) as error:
        with file.open("rb") as opened:
            pointer = opened.read(7) == b"version"
        what = "is a pointer of Git LFS, not the weights" if pointer else f"is damaged or cut off ({error})"
        raise ModelError(f"{file} {what}; download it again") from None
    if narrow:
        raise ModelError(
            f"{file} has {narrow}, and config.json no quantization_config that says how to read it: the numbers would "
            "be taken as they stand; give the configuration that belongs to these weights, or other weights"
        )


def _quantized(opened: Any) -> str:
    """A weight of a file that is not one as it stands; empty if there is none."""
    for name in list(opened.keys()):
        kind = opened.get_slice(name).get_dtype()
        if name.endswith(("_scale_inv", "weight_scale", "qweight", "_scales")):
            return f"{name}, the scale of a quantised weight"
        if name.endswith(("weight", "_proj")) and kind not in _WEIGHTS:
            return f"{name} as {kind}"
    return ""


def _count(config: Mapping[str, Any], *names: str) -> int | None:
    found = (config[name] for name in names if isinstance(config.get(name), int))
    return next(found, None)
