# SPDX-License-Identifier: Apache-2.0
"""The page on capacity does what it says, on Dask's workers and ns-3, and names the options with their defaults."""

import inspect
import re

import pytest

from cosim.sizing.cli import capacity
from cosim.studies.place import ROWS
from tests.support.listings import play, text


@pytest.mark.timeout(900)
def test_the_listings_run_and_say_what_the_page_says(tmp_path):
    assert play("capacity.md", tmp_path).files == ["service.toml"]
    printed = len(re.findall(r"in time \((?:what-if|live)\)$", text("capacity.md"), re.MULTILINE))
    assert len(list((tmp_path / "most" / ROWS).iterdir())) == printed  # each run once


def test_options_have_the_defaults_of_the_command():
    told = dict(re.findall(r"^\| `--(\w+)`.*? \| (.*?) \|", text("capacity.md"), re.MULTILINE))
    defaults = {name: parameter.default for name, parameter in inspect.signature(capacity).parameters.items()}
    assert {name: told[name] for name in ("share", "tolerance")} == {
        name: str(defaults[name]) for name in ("share", "tolerance")
    }
    assert (told["live"], defaults["verify"]) == ("live", True)
