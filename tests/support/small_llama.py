# SPDX-License-Identifier: Apache-2.0
"""A random dense model in a folder, as a user might have one."""

import shutil
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.support.small_models import SIZES


def small_llama(folder: Path, tokenizer_of: Path, **changes: Any) -> Path:
    """A Llama of three layers in `folder`, with the tokenizer of the model in another."""
    torch.manual_seed(3)
    config = transformers.LlamaConfig(**{**SIZES, "vocab_size": 260, "tie_word_embeddings": False, **changes})
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    for file in tokenizer_of.glob("*token*"):
        shutil.copy(file, folder)
    return folder
