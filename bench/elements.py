# SPDX-License-Identifier: Apache-2.0
"""What each kind of element costs and saves: `python -m bench.elements`, some ten minutes.

Quality of the shipped model on its held-out text, over cables, where nothing is lost; times in the default cell.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from cosim.config import load
from cosim.experiment import run
from cosim.results.summary import VariantSummary, summarise
from model_side.element import Element, wire_format
from model_side.wire_profiles import WIRE_PROFILES

SEEDS = (1, 2, 3)
TEXT = ["workload.requests=112", "workload.prompt_tokens=256", "workload.new_tokens=1", "exchange.deadline_s=60"]
MIXTRAL = WIRE_PROFILES["mixtral-8x7b"]


def main() -> None:
    """Print the table."""
    table = Table(title="elements on the wire", title_justify="left", show_edge=False)
    columns = ("element", "bytes down, up", "perplexity", "KL, nats", "same next token", "prefill, ms", "decode, ms")
    for column in columns:
        table.add_column(column, justify="left" if column == "element" else "right")
    with TemporaryDirectory() as temporary:
        for element in Element:

            def measure(name: str, scenario: str, settings: list[str], element: Element = element) -> VariantSummary:
                asked = load(None, [*settings, f"exchange.element={element}"], scenario=scenario)
                return summarise(run(asked, out=Path(temporary) / f"{element}-{name}"))[0]

            quality = measure("text", "wired", TEXT).quality
            assert quality is not None
            cells = [measure(str(seed), "nr", [f"seed={seed}", "quality=false"]) for seed in SEEDS]
            wire = wire_format(element, MIXTRAL)
            sizes = [int(size(np.array(1)) - wire.transfer_bytes) for size in (wire.down_bytes, wire.up_bytes)]
            times_ms = [
                np.median([1000 * np.median(cell.layer_s[phase]) for cell in cells]) for phase in ("prefill", "decode")
            ]
            table.add_row(
                element,
                ", ".join(map(str, sizes)),
                f"{quality.perplexity:.3f}",
                f"{quality.mean_kl_nats:.6f}",
                f"{quality.agreement:.2%}",
                *(f"{figure:.1f}" for figure in times_ms),
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
