# SPDX-License-Identifier: Apache-2.0
"""The tutorial on policies does what it says, and a template is a policy."""

from model_side.policies import POLICIES, make_policy
from tests.support.cosim_process import cosim
from tests.support.listings import play


def test_every_listing_runs_and_says_what_stands_there(tmp_path):
    played = play("policy.md", tmp_path)
    assert played.files == ["steady.py", "frugal.py", "wary.py", "broken.py"]
    assert len(played.commands) == 12


def test_every_template_is_a_policy(tmp_path):
    for name, kind in POLICIES.items():
        (tmp_path / "mine.py").write_text(cosim("policies", name, "--template").stdout)
        (made,) = make_policy(str(tmp_path / "mine.py")).steps
        assert type(made).__name__ == made.name == kind.__name__
