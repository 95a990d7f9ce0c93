# SPDX-License-Identifier: Apache-2.0
"""The folder that an import leaves: what scenarios read, and `radio.toml`, with which `cosim run` plays it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from cosim.folders import filled

CONFIGURATION = "radio.toml"


def write(folder: Path, files: Mapping[str, str | bytes], configuration: str) -> Path:
    """Write files by name and the configuration, whose path is returned. Raises `RequestError` naming OUT."""
    with filled(folder, "OUT"):
        for name, content in {**files, CONFIGURATION: configuration}.items():
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / CONFIGURATION


def quoted(path: Path) -> str:
    """A path in TOML, from the root, so that the configuration holds wherever it is run."""
    return json.dumps(str(path.resolve()), ensure_ascii=False)


def told_of(name: str, lines: Sequence[str]) -> list[str]:
    """Lines of a preview, the first behind a name and the others below it."""
    return [f"{name}: {lines[0]}", *(f"  {line}" for line in lines[1:])]
