# SPDX-License-Identifier: Apache-2.0
"""Folders that results go to."""

from pathlib import Path

from bridge.network import RequestError


def make_empty(folder: Path) -> None:
    """Make a folder; it may be there already, but empty. Raises `RequestError` naming FOLDER."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RequestError("FOLDER", f"{folder} is not empty; choose another")
    except OSError as error:
        raise RequestError("FOLDER", f"{folder} cannot be written: {error}") from None
