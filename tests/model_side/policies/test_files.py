# SPDX-License-Identifier: Apache-2.0
"""Policies in a file of a user's own, and of an installed package."""

import hashlib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from bridge.network import RequestError
from model_side.policies import files, make_policy, policy_kinds, policy_sources
from tests.support.layers import gate_of, layer_of, one_each

MINE = '''"""A policy of my own."""

from typing import Annotated

from msgspec import Meta

from model_side.policies import Policy


class Heaviest(Policy):
    """Keep the experts that weigh most.

    `most`: how many.
    """

    most: Annotated[int, Meta(ge=1)] = 1

    def __call__(self, layer):
        rank = (-layer.weights).argsort(axis=1, kind="stable").argsort(axis=1)
        return layer.leave_out(rank < self.most)
'''
LAYER = layer_of(gate_of(np.array([[1, 0, 3, 2], [0, 1, 2, 3]], np.float32), 3), one_each(4))


def written(folder: Path, text: str = MINE, name: str = "mine.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_class_in_a_file_is_a_policy_with_options(tmp_path):
    for name in (written(tmp_path), written(tmp_path) + ":Heaviest"):
        assert make_policy(name)(LAYER).indices.tolist() == [[2, 4, 4], [3, 4, 4]]
        assert make_policy(name, {"Heaviest": {"most": 2}})(LAYER).indices.tolist() == [[2, 3, 4], [3, 2, 4]]


def test_it_is_a_step_beside_others_and_the_digest_of_its_file_is_told(tmp_path):
    name = f"weight-to-latency+{written(tmp_path)}:Heaviest"
    assert [kind.name for kind in policy_kinds(name)] == ["weight-to-latency", "Heaviest"]
    assert policy_sources(name) == {"Heaviest": hashlib.sha256(MINE.encode()).hexdigest()}
    assert policy_sources("top-k+weight-to-latency") == {}


def test_a_changed_file_is_read_anew(tmp_path):
    name = written(tmp_path)
    before = policy_sources(name)
    written(tmp_path, MINE.replace("most: Annotated[int, Meta(ge=1)] = 1", "most: Annotated[int, Meta(ge=1)] = 2"))
    assert make_policy(name)(LAYER).indices.tolist() == [[2, 3, 4], [3, 2, 4]]
    assert policy_sources(name) != before


@pytest.mark.parametrize(
    ("text", "asked", "field", "reason"),
    [
        (None, "", "policies", "does not exist"),
        ("x = 1\n", "", "policies", "no class that derives from"),
        (MINE, ":Lightest", "policies", "has no policy Lightest; it defines Heaviest"),
        (MINE + MINE.partition("\n\n\n")[2].replace("Heaviest", "Other"), "", "policies", "say which, as in mine.py:H"),
        (MINE.partition("    def")[0], "", "policies", "has no method __call__"),
        (MINE.replace("import Meta", "import Metta"), "", "FILE:5", "ImportError: cannot import name 'Metta'"),
        (MINE.replace("class Heaviest(Policy):", "class Heaviest(Policy)"), "", "FILE:10", "SyntaxError: expected ':'"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, text, asked, field, reason):
    name = str(tmp_path / "mine.py") if text is None else written(tmp_path, text)
    with pytest.raises(RequestError, match=reason) as caught:
        make_policy(name + asked)
    assert caught.value.field == field.replace("FILE", str(tmp_path / "mine.py"))


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (("layer.weights", "layer.wieghts"), "FILE:19", "'Layer' object has no attribute 'wieghts'"),
        (("rank < self.most", "rank < 1 / 0"), "FILE:20", "ZeroDivisionError"),
        (("return layer", "layer"), "policy.Heaviest", "gave a NoneType; give a Selection"),
    ],
)
def test_what_goes_wrong_in_a_layer_is_told_by_file_and_line(tmp_path, change, field, reason):
    policy = make_policy(written(tmp_path, MINE.replace(*change)))
    with pytest.raises(RequestError, match=reason) as caught:
        policy(LAYER)
    assert caught.value.field == field.replace("FILE", str(tmp_path / "mine.py"))


def test_what_goes_wrong_when_it_observes_is_told_too(tmp_path):
    policy = make_policy(
        written(tmp_path, MINE + "\n    def observe(self, exchange):\n        raise OSError('no disk')\n")
    )
    with pytest.raises(RequestError, match=r"mine\.py:23: OSError: no disk"):
        policy.observe(None)


def test_a_package_brings_policies_by_entry_point(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    written(tmp_path, name="brought_policies.py")
    points = [
        EntryPoint("brought", "brought_policies:Heaviest", files.ENTRY_POINTS),
        EntryPoint("broken", "brought_policies:Nothing", files.ENTRY_POINTS),
        EntryPoint("no-policy", "brought_policies:Annotated", files.ENTRY_POINTS),
    ]
    monkeypatch.setattr(files.importlib.metadata, "entry_points", lambda group: points)
    assert make_policy("brought", {"brought": {"most": 2}})(LAYER).indices.tolist() == [[2, 3, 4], [3, 2, 4]]
    assert list(policy_sources("brought")) == ["brought"]
    for name, reason in (("broken", "cannot be loaded"), ("no-policy", "is no model_side.policies.Policy")):
        with pytest.raises(RequestError, match=reason):
            make_policy(name)
