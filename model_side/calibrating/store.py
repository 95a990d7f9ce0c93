# SPDX-License-Identifier: Apache-2.0
"""Where calibrations are kept: by the model's SHA-256, in the user's cache folder and beside the shipped models."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bridge.network import RequestError
from model_side.calibration import Calibration, NoTable, decoded
from model_side.model.model_folder import SHIPPED_MODELS, check_model, folder_of
from model_side.record_routing import model_digest
from model_side.routing_trace import RoutingTrace

FILE_NAME = "calibration.json"
"""Of the table beside a shipped model."""


def folder() -> Path:
    """`calibration` in the user's cache folder (`$XDG_CACHE_HOME/wdmoe-cosim`, by default `~/.cache/wdmoe-cosim`)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "wdmoe-cosim" / "calibration"


def digest_of(model: str) -> str:
    """SHA-256 of a model: shipped, in a local folder, or under a hub id; empty if that was not downloaded yet.

    Raises `ModelError` for a folder without a model.
    """
    local = folder_of(model)
    if local is not None:
        check_model(local)
        return model_digest(local)
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415  (it comes with transformers)

    config = try_to_load_from_cache(model, "config.json")
    return model_digest(Path(config).parent) if isinstance(config, str) else ""


def of_model(model: str) -> Calibration:
    """The table of a model, named as in `digest_of`. Raises `NoTable` if it was never measured."""
    found = find(digest_of(model))
    if found is None:
        raise NoTable(f"there is no calibration of the model; run cosim calibrate {model}")
    return found


def of_routing(path: Path) -> Calibration:
    """The table of the model whose routing was recorded, or else what `cosim calibrate` made of the recording.

    The model is known by its SHA-256 in the file, or by its name if that is a model here. Raises `NoTable` if there is
    neither table, `RequestError` as `RoutingTrace.read`.
    """
    name, shape = RoutingTrace.describe(path)
    digest = RoutingTrace.sha256(path)
    if not digest:
        with suppress(RequestError):
            digest = digest_of(name)
    for each in (digest, file_digest(path)):
        found = find(each)
        if found is not None and (found.layers, found.experts) == (len(shape.moe_layers), shape.experts):
            return found
    raise NoTable(
        f"there is no calibration of {name}, which {path} was recorded of; run cosim calibrate {name} where the model "
        f"is, or cosim calibrate {path} for what needs no expert outputs"
    )


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def find(digest: str) -> Calibration | None:
    """The table under a SHA-256: the user's own, or else one that comes with the package."""
    return next(tables(digest), None)


def tables(digest: str) -> Iterator[Calibration]:
    """The tables under a SHA-256, the user's own first; a file that is none is as if it were not there."""
    shipped = (where / FILE_NAME for where in SHIPPED_MODELS.values())
    for file in (folder() / f"{digest}.json", *shipped):
        with suppress(OSError, ValueError):
            table = decoded(file.read_bytes())
            if table.model == digest:
                yield table


def save(table: Calibration) -> Path:
    """Keep a table for its model; another one goes. Returns the file. Raises `RequestError` if it cannot be written."""
    file = folder() / f"{table.model}.json"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(table, file)
    except OSError as error:
        reason = f"{file} cannot be written: {error.strerror}; set XDG_CACHE_HOME"
        raise RequestError("calibrate", reason) from None
    return file


def write(table: Calibration, file: Path) -> None:
    """Write a table to a file, whole or not at all."""
    descriptor, partial = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(table.encoded() + "\n")
        os.chmod(partial, 0o644)
        os.replace(partial, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise
