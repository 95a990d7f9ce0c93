# SPDX-License-Identifier: Apache-2.0
"""The page on search does what it says, on Dask's workers and ns-3, and names each key of `[tune]`."""

import re

from cosim.studies.place import ROWS
from cosim.tuning.sought import Sought
from tests.support.listings import play, text


def test_the_listings_run_and_leave_what_they_say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert play("tuning.md", tmp_path).files == ["front.toml"]
    assert len(list((tmp_path / "front" / ROWS).iterdir())) == 7  # six what-ifs, and one of the front live
    (listing,) = re.findall(r"```python\n(.*?)```", text("tuning.md"), re.DOTALL)
    exec(listing, {})
    assert re.fullmatch(r"6 trials, on the front: [1-6]\n", capsys.readouterr().out)


def test_each_key_has_its_default():
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", text("tuning.md"), re.MULTILINE)
    told = {name: default.strip('`"') for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    assert set(told) == set(Sought.__struct_fields__)
    defaults = Sought(keys={})
    for name in ("trials", "together", "sampler", "seed", "verify"):
        assert told[name] == str(getattr(defaults, name))
