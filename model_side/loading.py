# SPDX-License-Identifier: Apache-2.0
"""Models and tokenizers from the shipped folder, a local folder, or the Hugging Face hub."""

import re
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from bridge.network import RequestError
from model_side.moe import ModelError, SplitModel

SHIPPED = "shipped"
SHIPPED_FOLDER = Path(__file__).parent / "shipped" / "mixtral-12m"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_model(path: str | Path = SHIPPED, dtype: str = "float32") -> SplitModel:
    """The model that comes with the package (`shipped`), or in a local folder, or under a hub id `owner/name`.

    A path that exists, or that cannot be a hub id, never touches the network. Raises `ModelError` when
    there is no model, when weights are missing from it, and when it cannot be split; `RequestError`
    naming `model.dtype` for an unknown element type.
    """
    if dtype not in DTYPES:
        raise RequestError("model.dtype", f"{dtype!r} is none of {', '.join(DTYPES)}")
    model, loading = _from_pretrained(AutoModelForCausalLM, path, dtype=DTYPES[dtype], output_loading_info=True)
    if loading["missing_keys"]:
        raise ModelError(f"{path} lacks weights, the first of them {sorted(loading['missing_keys'])[0]}")
    return SplitModel(model)


def load_tokenizer(path: str | Path = SHIPPED) -> Any:
    """The tokenizer that belongs to the model at `path` (see `load_model`). Raises `ModelError`."""
    return _from_pretrained(AutoTokenizer, path)


def is_local(path: str | Path) -> bool:
    """Whether `path` is to be read from disk: it exists, or it does not look like `owner/name`."""
    return Path(path).exists() or re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", str(path)) is None


def _from_pretrained(kind: Any, path: str | Path, **options: Any) -> Any:
    disable_progress_bar()
    path = SHIPPED_FOLDER if path == SHIPPED else path
    local = is_local(path)
    if local:
        _check_folder(Path(path).expanduser())
        path = Path(path).expanduser()
    try:
        return kind.from_pretrained(str(path), local_files_only=local, **options)
    except Exception as error:  # a broken file, an unknown architecture, no hub: each raises its own kind
        where = f"the folder {path}" if local else f"{path} is no folder here, and from the hub it"
        raise ModelError(f"{where} does not load: {str(error).strip().splitlines()[0]}") from error


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelError(f"there is no folder {folder}; give a folder with config.json or a hub id as owner/name")
    if not (folder / "config.json").is_file():
        raise ModelError(f"the folder {folder} holds no model: it has no config.json")
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        raise ModelError(f"the folder {folder} holds no weights: neither *.safetensors nor *.bin")
