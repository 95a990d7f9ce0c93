# SPDX-License-Identifier: GPL-2.0-only
"""NR's native code in a pure C++ program with AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer."""

import subprocess
from pathlib import Path

import pytest

from ns3_scenarios.wheel import build

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-Og", "-g1")
BESIDE = (
    *(
        "doppler-mobility",
        "line-of-sight",
        "moving-channel",
        "neighbour-sites",
        "normal-field",
        "panel",
        "power-control",
        "radio",
    ),
    *("sector-load", "site-element", "spatial-normal", "transfer-tag"),
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = [
        *(path for path in build.sources() if path.parent.name == "nr" or path.stem in BESIDE),
        Path(__file__).parent / "nr_sanitized" / "main.cc",
    ]
    program = tmp_path_factory.mktemp("native") / "nr"
    build.build(sources, program, SANITIZERS, [*(flag for flag in build.FLAGS if flag != "-O2"), *SANITIZERS])
    return program


def test_busy_cells_are_clean_and_lose_nothing_when_acknowledged(program):
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-6000:]
    lines = done.stdout.splitlines()
    assert len(lines) == 20
    for line in lines:
        _, mode, received, _, sent = line.split()
        # With 40 % of blocks failing, two transmissions each; unacknowledged 20 %, one.
        assert (received == sent) == (mode != "unacknowledged")
