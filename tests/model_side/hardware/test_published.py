# SPDX-License-Identifier: Apache-2.0
"""The compute model against published measurements of real devices."""

import math

import pytest

from model_side.hardware import check
from model_side.hardware.check import FAR_OFF, relative_error
from model_side.hardware.profiles import PROFILES
from model_side.hardware.published import MEASUREMENTS, Measurement
from tests import ROOT

DECODE = [row for row in MEASUREMENTS if not row.prefill]
DOCUMENT = ROOT / "docs/model/devices.md"


def label(row: Measurement) -> str:
    return f"{row.hardware}-{row.model.name}-{row.weights.name}".replace(" ", "")


@pytest.mark.parametrize("row", [row for row in DECODE if not row.explanation], ids=label)
def test_decode_is_within_a_quarter(row: Measurement) -> None:
    assert abs(relative_error(row)) <= FAR_OFF


def test_only_rows_that_are_far_off_are_explained_away() -> None:
    assert all(abs(relative_error(row)) > FAR_OFF for row in MEASUREMENTS if row.explanation)
    assert all(row.explanation for row in MEASUREMENTS if abs(relative_error(row)) > FAR_OFF)


@pytest.mark.parametrize("hardware", sorted({row.hardware for row in MEASUREMENTS if row.calibrates}))
@pytest.mark.parametrize("prefill", [False, True])
def test_efficiencies_fit_the_rows_that_calibrate_them(hardware: str, prefill: bool) -> None:
    rows = [row for row in MEASUREMENTS if row.calibrates and (row.hardware, row.prefill) == (hardware, prefill)]
    errors = [math.log1p(relative_error(row)) for row in rows]
    assert abs(sum(errors)) <= 0.05 * max(1, len(errors))


def test_most_decode_rows_calibrated_nothing() -> None:
    assert sum(row.calibrates for row in DECODE) <= len(DECODE) / 3


def test_every_efficiency_that_differs_has_its_own_calibration_row() -> None:
    """The same AGX Orin figures serve all profiles but those with rows of their own (and the Pi's prefill)."""
    orin = PROFILES["jetson-agx-orin"]
    calibrated = {(row.hardware, row.prefill) for row in MEASUREMENTS if row.calibrates}
    for name, hardware in PROFILES.items():
        for prefill, field in ((False, "decode_efficiency"), (True, "prefill_efficiency")):
            if (name, prefill) not in calibrated | {("raspberry-pi-5", True)}:
                assert getattr(hardware, field) == getattr(orin, field), (name, field)


def test_the_document_shows_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    check.main()
    document = DOCUMENT.read_text("utf-8")
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert len(printed) > len(MEASUREMENTS) + len(PROFILES)
    assert [line for line in printed if line not in document] == []
