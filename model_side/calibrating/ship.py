# SPDX-License-Identifier: Apache-2.0
"""Calibrate every shipped model, and put its table beside it: `python -m model_side.calibrating.ship`."""

import time

import torch

from model_side.calibrating.measure import measure
from model_side.calibrating.store import FILE_NAME, digest_of, write
from model_side.calibrating.text import TOKENS, sequences
from model_side.model.loading import load_model, load_tokenizer
from model_side.model.model_folder import SHIPPED, SHIPPED_FOLDER


def main() -> None:
    """Measure as `cosim calibrate` does by default."""
    torch.set_num_threads(1)
    for config in sorted(SHIPPED_FOLDER.parent.glob("*/config.json")):
        folder, began_s = config.parent, time.process_time()
        given = sequences(load_tokenizer(folder), TOKENS)
        table = measure(load_model(folder), given, digest_of(str(folder)), SHIPPED)
        write(table, folder / FILE_NAME)
        print(f"{folder.name}: table {table.sha256[:16]}, {time.process_time() - began_s:.0f} CPU s")


if __name__ == "__main__":
    main()
