# SPDX-License-Identifier: Apache-2.0
"""Calibrate shipped models, and put its table beside each: `python -m model_side.calibrating.ship [NAME...]`.

Without a name all that have experts.
"""

import time
from typing import Annotated

import torch
import typer

from model_side.calibrating.measure import measure
from model_side.calibrating.store import FILE_NAME, digest_of, write
from model_side.calibrating.text import TOKENS, sequences
from model_side.model.loading import load_model, load_tokenizer
from model_side.model.model_folder import SHIPPED, SHIPPED_MODELS, check_model

MIXTURES = [name for name, folder in SHIPPED_MODELS.items() if check_model(folder, dense=True).experts is not None]


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help=f"Of {', '.join(MIXTURES)}.")] = None,
) -> None:
    """Measure as `cosim calibrate` does by default."""
    for name in names or []:
        if name not in MIXTURES:
            raise typer.BadParameter(f"NAME is {name!r}; it must be one of {', '.join(MIXTURES)}")
    torch.set_num_threads(1)
    for name in names or MIXTURES:
        began_s = time.process_time()
        given = sequences(load_tokenizer(name), TOKENS)
        table = measure(load_model(name), given, digest_of(name), SHIPPED)
        write(table, SHIPPED_MODELS[name] / FILE_NAME)
        print(f"{name}: table {table.sha256[:16]}, {time.process_time() - began_s:.0f} CPU s")


if __name__ == "__main__":
    typer.run(main)
