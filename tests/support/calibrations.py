# SPDX-License-Identifier: Apache-2.0
"""Tables of small models, measured and kept in a folder of the test's own."""

from pathlib import Path

import pytest


def keep_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Calibrations are kept in `folder` and nowhere else; ns-3's side keeps its cache."""
    patch.setattr("model_side.calibrating.store.folder", lambda: folder)


def calibrate(model: Path) -> str:
    """Measure the model in a folder on a few tokens and keep the table; its SHA-256."""
    from model_side.calibrating.measure import measure
    from model_side.calibrating.store import digest_of, save
    from model_side.model.loading import load_model
    from tests.support.small_models import random_prompt

    table = measure(load_model(model), [random_prompt(20), random_prompt(12, seed=2)], digest_of(str(model)), "random")
    save(table)
    return table.sha256
