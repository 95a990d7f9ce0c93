# SPDX-License-Identifier: Apache-2.0
"""`cosim calibrate MODEL`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.network import RequestError
from cosim.screen.output import AsJson

if TYPE_CHECKING:
    from model_side.calibration import Calibration


def calibrate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="shipped, a folder, a hub id, or FILE.parquet of recorded routing.")
    ],
    text: Annotated[
        Path | None, typer.Option(metavar="FILE", help="UTF-8 text to calibrate on; else of the shipped passages.")
    ] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="How many of it; else as many as of the shipped.")] = None,
    dtype: Annotated[str, typer.Option(help="Element type to compute in: float32, bfloat16, float16.")] = "float32",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads; another number may change last bits.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Measure once what policies want to know of a model before it runs (docs/model/calibration.md)."""
    from model_side.calibrating import store
    from model_side.calibrating.text import TOKENS

    is_routing = model.endswith(".parquet")
    table = None
    if is_routing:
        from model_side.calibrating.routing import of_trace

        table = of_trace(Path(model).expanduser())
    else:
        on = _name_of(text)
        count = tokens or TOKENS
        table = _kept(model, on, count)
        if table is None:
            table = _measured(model, text, on, count, dtype, threads)
        elif not as_json:
            print("measured before")
    file = store.save(table)
    if as_json:
        from cosim.screen.as_json import print_json

        about = {"model": table.model, "layers": table.layers, "experts": table.experts, "tokens": table.tokens}
        print_json({**about, "outputs": table.outputs is not None, "sha256": table.sha256, "file": file})
        return
    told = "routing alone" if table.outputs is None else "routing and outputs"
    print(f"{table.layers} MoE layers of {table.experts} experts, {table.tokens} tokens: {told}")
    print(f"table {table.sha256[:16]} of model {table.model[:16]}: {file}")


def _name_of(text: Path | None) -> str:
    from model_side.calibrating.store import file_digest

    if text is None:
        return "shipped"
    try:
        return file_digest(text.expanduser())
    except OSError as error:
        raise RequestError("--text", f"{text} cannot be read: {error.strerror}") from None


def _kept(model: str, on: str, tokens: int) -> "Calibration | None":
    """The table of the same measurement, if it is there."""
    from model_side.calibrating import store

    for table in store.tables(store.digest_of(model)):
        if (table.text, table.tokens) == (on, tokens):
            return table
    return None


def _measured(model: str, text: Path | None, on: str, tokens: int, dtype: str, threads: int) -> "Calibration":
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from model_side.calibrating import store
    from model_side.calibrating.measure import measure
    from model_side.calibrating.text import sequences
    from model_side.model.loading import load_model, load_tokenizer

    torch.set_num_threads(threads)
    split = load_model(model, dtype)
    given = sequences(load_tokenizer(model), tokens, text or "shipped")
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"calibrating {model}", total=tokens)
        return measure(split, given, store.digest_of(model), on, lambda done, of: progress.update(task, completed=done))
