# SPDX-License-Identifier: Apache-2.0
"""What tests of whole runs of scripts need."""

from pathlib import Path

import pytest


@pytest.fixture
def small_run(tiny_model: Path, tmp_path: Path) -> list[object]:
    """Arguments of a run of one request, into the folder `run`."""
    text = tmp_path / "text.txt"
    text.write_text("Happy families are all alike; every unhappy family is unhappy in its own way. " * 20)
    sizes = {"requests": 1, "prompt_tokens": 4, "new_tokens": 3, "text": text}
    settings = [f"workload.{key}={value}" for key, value in sizes.items()] + [f"model.path={tiny_model}"]
    return ["run", "--out", tmp_path / "run", *(word for setting in settings for word in ("--set", setting))]
