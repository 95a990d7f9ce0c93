# SPDX-License-Identifier: Apache-2.0
"""What the README tells a user to do works as it stands there."""

import os
import re
import subprocess
import sys

from tests import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_listing_runs(tmp_path):
    (listing,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    small = listing.replace(
        '{"radio": {"devices": 4}}', '{"radio": {"devices": 4}, "workload": {"requests": 1, "new_tokens": 2}}'
    )
    assert small != listing
    done = subprocess.run(
        [sys.executable, "-c", small],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^weight-to-latency 0\.\d+$", done.stdout, re.MULTILINE)


def test_every_page_and_command_that_the_readme_names_exists():
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / target).is_file(), target
    for module in re.findall(r"`python -m ([\w.]+)", README):
        assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), module
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make (run|test|lint|bench)\b", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
