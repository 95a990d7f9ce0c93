# SPDX-License-Identifier: Apache-2.0
"""Models and tokenizers from the shipped folder, a local folder, or the Hugging Face hub."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from bridge.network import RequestError
from model_side.model.model_folder import SHIPPED, SHIPPED_FOLDER, ModelError, check_model, check_tokenizer, folder_of
from model_side.model.moe import SplitModel

__all__ = ["DTYPES", "SHIPPED", "SHIPPED_FOLDER", "load_model", "load_tokenizer"]

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


def _from_pretrained(kind: Any, path: str | Path, **options: Any) -> Any:
    disable_progress_bar()
    folder = folder_of(path)
    if folder is not None:
        (check_tokenizer if kind is AutoTokenizer else check_model)(folder)
    try:
        return kind.from_pretrained(str(folder or path), local_files_only=folder is not None, **options)
    except Exception as error:  # a broken file, an unknown architecture, no hub: each raises its own kind
        where = f"the folder {folder}" if folder else f"{path} is no folder here, and from the hub it"
        raise ModelError(f"{where} does not load: {str(error).strip().splitlines()[0]}") from error
