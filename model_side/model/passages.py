# SPDX-License-Identifier: Apache-2.0
"""Passages of text, as files of one JSON object a line."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Document:
    """One document or passage of one: its source's name, its own name, and its text."""

    source: str
    name: str
    text: str


def read_prompts(path: Path) -> list[Document]:
    """The passages that `model_side.training.prompts.write_prompts` wrote."""
    return [Document(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
