# SPDX-License-Identifier: Apache-2.0
"""Models and tokenizers from a shipped folder, a local folder, or the Hugging Face hub."""

import atexit
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    GenerationConfig,
)
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING
from transformers.utils import cached_file
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from bridge.network import RequestError
from model_side.model.causal import CausalModel
from model_side.model.model_folder import (
    SHIPPED,
    SHIPPED_FOLDER,
    ModelError,
    causal_models,
    check_model,
    check_tokenizer,
    folder_of,
    one_line,
)
from model_side.model.moe import SplitModel
from model_side.model.routers import find_blocks

__all__ = [
    "DTYPES",
    "MEMORY",
    "SHIPPED",
    "SHIPPED_FOLDER",
    "Checkpoint",
    "Place",
    "load",
    "load_model",
    "load_tokenizer",
]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_LAYER = re.compile(r"(?:^|\.)(?:layers|blocks|h)\.(\d+)\.")
_BESIDE = re.compile(r"visual|vision|audio|image|(^|\.)mtp|inv_freq$|masked_bias$")
"""Weights that the language model does not compute with, whatever their layer."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a model came from: its folder, the type of elements that its configuration names ("" if it does not),
    the names of its parameters that were loaded, and those of stored weights that it has no use for."""

    folder: Path
    dtype: str
    loaded: tuple[str, ...]
    unused: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where a model's weights lie: on `device`, "cpu", "cuda", "cuda:N", or "auto" for all GPUs and what is left over
    in the memory of this machine; its experts' "disk" leaves them in a folder, out of which each is read when
    it is asked.

    "auto" and "disk" need the package accelerate; the folder is in TMPDIR and goes with the program.
    """

    device: str = "cpu"
    experts: Literal["memory", "disk"] = "memory"

    def options(self, kind: Any, path: str | Path) -> dict[str, Any]:
        """What `from_pretrained` is given. Raises `RequestError` naming `model.device` or `model.experts`."""
        if not re.fullmatch(r"cpu|auto|cuda(:\d+)?", self.device):
            raise RequestError("model.device", f"{self.device!r} is none of cpu, auto, cuda and cuda:N")
        if self.device.startswith("cuda"):
            there, asked = torch.cuda.device_count(), int(self.device.partition(":")[2] or 0)
            if asked >= there:
                raise RequestError("model.device", f"{self.device}: PyTorch finds {there} CUDA devices here")
        if self == Place():
            return {}
        if find_spec("accelerate") is None:
            field = "model.experts" if self.experts == "disk" else "model.device"
            raise RequestError(field, "needs the package accelerate; pip install 'wdmoe-cosim[checkpoints]'")
        if self.experts == "memory":
            return {"device_map": "auto" if self.device == "auto" else {"": self.device}}
        if self.device == "auto":
            raise RequestError("model.experts", "with experts on disk the rest is on one device; name it")
        config = AutoConfig.from_pretrained(str(folder_of(path) or path), trust_remote_code=False)
        with torch.device("meta"):
            model = kind.from_config(config)
        on_disk = tuple(f"{block.name}.experts" for block in find_blocks(model))
        places: dict[str, str] = dict.fromkeys(on_disk, "disk")
        for name, module in model.named_modules():
            has_own = any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False)))
            if has_own and not f"{name}.".startswith(tuple(f"{experts}." for experts in on_disk)):
                places[name] = self.device
        folder = TemporaryDirectory(prefix="experts-")
        atexit.register(folder.cleanup)
        return {"device_map": places, "offload_folder": folder.name}


MEMORY = Place()


def load_model(path: str | Path = SHIPPED, dtype: str = "float32") -> SplitModel:
    """A model that comes with the package (`shipped`, or by its name), is in a local folder, or under a hub id
    `owner/name`.

    A path that exists, or that cannot be a hub id, never touches the network; code that a folder brings is never run.
    Raises `ModelError` when there is no model, when its weights are not those that its configuration asks for, and when
    it cannot be split; `RequestError` naming `model.dtype` for an unknown element type, and for one that its numbers do
    not fit.
    """
    return load(path, dtype)[0]


def load(path: str | Path, dtype: str, place: Place = MEMORY) -> tuple[SplitModel, Checkpoint]:
    """As `load_model`, with its weights in a place and where it came from; the one that is kept, if that is it."""
    if _kept is None:
        model, checkpoint = loaded(path, dtype, place)
        return SplitModel(model), checkpoint
    key = (str(folder_of(path) or path), dtype, place)
    if key not in _kept:
        _kept.clear()  # there may be memory for one
        model, checkpoint = loaded(path, dtype, place)
        _kept[key] = SplitModel(model), checkpoint
    return _kept[key]


def keep_loaded() -> None:
    """From now on keep the model that was loaded last, for a process that runs the same one again and again."""
    global _kept  # noqa: PLW0603  (of the process, as PyTorch's own number of threads is)
    _kept = {} if _kept is None else _kept


_kept: dict[tuple[str, str, Place], tuple[SplitModel, Checkpoint]] | None = None


def load_dense(path: str | Path, dtype: str, device: str) -> tuple[CausalModel, Checkpoint]:
    """Likewise a model without experts. Raises as `load_model` but for what belongs to experts."""
    model, checkpoint = loaded(path, dtype, Place(device), dense=True)
    return CausalModel(model), checkpoint


def without_weights(path: str | Path) -> Any:
    """The dense model at `path` as its configuration makes it, on the device `meta`. Raises `ModelError`."""
    kind = _kind(path, dense=True)
    config = _from_pretrained(AutoConfig, path)
    try:
        with torch.device("meta"):
            model = kind.from_config(config, trust_remote_code=False)
    except Exception as error:  # of whatever a configuration makes go wrong
        raise ModelError(f"{path} cannot be built from its config.json: {one_line(error)}") from error
    with suppress(OSError):  # there need be none
        folder = folder_of(path)
        model.generation_config = GenerationConfig.from_pretrained(
            str(folder or path), local_files_only=folder is not None
        )
    return model


def stored_dtype(path: str | Path) -> str:
    """The type of elements in which the model was made, by its configuration; empty if it does not say."""
    return _stored_dtype(_folder(path))


def loaded(path: str | Path, dtype: str, place: Place, dense: bool = False) -> tuple[Any, Checkpoint]:
    """The model of transformers as it is, not yet split; `dense`: whether it may have no experts."""
    if dtype not in DTYPES:
        raise RequestError("model.dtype", f"{dtype!r} is none of {', '.join(DTYPES)}")
    kind = _kind(path, dense)
    options = {"dtype": DTYPES[dtype], "output_loading_info": True, "ignore_mismatched_sizes": True}
    model, loading = _from_pretrained(kind, path, **options, **place.options(kind, path))
    _check_loading(path, model.config.get_text_config(), loading)
    folder = _folder(path)
    names = tuple(sorted(model.state_dict()))
    unused = tuple(sorted(loading["unexpected_keys"]))
    return model, Checkpoint(folder, _stored_dtype(folder), names, unused)


def load_tokenizer(path: str | Path = SHIPPED) -> Any:
    """The tokenizer that belongs to the model at `path` (see `load_model`). Raises `ModelError`."""
    return _from_pretrained(AutoTokenizer, path)


def _from_pretrained(kind: Any, path: str | Path, **options: Any) -> Any:
    disable_progress_bar()
    set_verbosity_error()  # what it would print of a loading, is looked at here
    folder = folder_of(path)
    if folder is not None and kind is AutoTokenizer:
        check_tokenizer(folder)
    options["trust_remote_code"] = False  # without it, transformers asks on a terminal
    try:
        return kind.from_pretrained(str(folder or path), local_files_only=folder is not None, **options)
    except Exception as error:  # a broken file, an unknown architecture, no hub: each raises its own kind
        where = f"the folder {folder}" if folder else f"{path} is no folder here, and from the hub it"
        raise ModelError(f"{where} does not load: {one_line(error)}") from error


def _folder(path: str | Path) -> Path:
    """Where a model's files are; one of the hub has been fetched by then."""
    return folder_of(path) or Path(cached_file(str(path), "config.json")).parent


def _kind(path: str | Path, dense: bool = False) -> Any:
    """The class of transformers that loads it: for text, or where there is none, for images and text."""
    folder = folder_of(path)
    if folder is None:
        return AutoModelForCausalLM
    check_model(folder, dense)
    _check_quantization(folder)
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    return AutoModelForCausalLM if kind in causal_models() else AutoModelForImageTextToText


def _check_quantization(folder: Path) -> None:
    """Refuse a way of quantising that transformers does not know, which it would leave out without a word."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found = config.get("quantization_config")
    method = found.get("quant_method") if isinstance(found, dict) else None
    if found is not None and method not in AUTO_QUANTIZATION_CONFIG_MAPPING:
        known = ", ".join(sorted(AUTO_QUANTIZATION_CONFIG_MAPPING))
        raise ModelError(f"{folder}/config.json: its weights are quantised by {method!r}, which is none of {known}")


def _check_loading(path: str | Path, config: Any, loading: Mapping[str, Any]) -> None:
    """Refuse weights that are not those which the configuration asks for."""
    if loading["missing_keys"]:
        raise ModelError(f"{path} lacks weights, the first of them {sorted(loading['missing_keys'])[0]}")
    for name, *shapes in sorted(loading["mismatched_keys"]):
        stored, asked = (list(shape) for shape in shapes)
        raise ModelError(f"{path}: {name} is stored as {stored}, and config.json asks for {asked}")
    layers = int(config.num_hidden_layers)
    more = int(getattr(config, "num_nextn_predict_layers", 0) or 0)
    for name in sorted(loading["unexpected_keys"]):
        found = _LAYER.search(name)
        if found is None or _BESIDE.search(name) or layers <= int(found[1]) < layers + more:
            continue
        there = f"{layers} layers" if int(found[1]) >= layers else "no such weight"
        raise ModelError(f"{path} holds {name}, and the model of config.json has {there}: they do not belong together")


def _stored_dtype(folder: Path) -> str:
    """The type of elements in which the model was made, by its configuration; empty if it does not say."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for part in (config.get("text_config") or {}, config):
        name = part.get("dtype") or part.get("torch_dtype")
        if isinstance(name, str):
            return name
    return ""
