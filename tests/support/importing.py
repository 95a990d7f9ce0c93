# SPDX-License-Identifier: GPL-2.0-only
"""`cosim import` in this process, and what it leaves."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from bridge.network import RequestError
from cosim.cli import app


def imported(out: Path, *words: object) -> dict[str, Any]:
    """The parameters of the radio that an import into the new folder `out` wrote, the scenario's name among them."""
    app(["import", *map(str, words), str(out)], standalone_mode=False)
    radio: dict[str, Any] = tomllib.loads((out / "radio.toml").read_text(encoding="utf-8"))["radio"]
    return radio


def refusal(*words: object) -> str:
    """What an import is refused with."""
    with pytest.raises(RequestError) as caught:
        app(["import", *map(str, words)], standalone_mode=False)
    return str(caught.value)
