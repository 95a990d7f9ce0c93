# SPDX-License-Identifier: Apache-2.0
"""The tutorial does what it says: each file in it is written, each command run, each output compared."""

import re

from tests.support.listings import play, text


def test_every_listing_runs_and_says_what_stands_there(tmp_path):
    played = play("tutorial.md", tmp_path)
    assert played.files == ["star.py", "star.py", "broken.py", "missing.py"]
    assert len(played.commands) == 11


def test_the_first_script_is_as_short_as_it_says():
    first = re.search(r"```python\n(.*?)```", text("tutorial.md"), re.DOTALL)
    (lines,) = re.findall(r"## A star in (\d+) lines", text("tutorial.md"))
    assert first[1].count("\n") == int(lines) < 30
