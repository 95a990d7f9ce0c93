# SPDX-License-Identifier: GPL-2.0-only
"""NR's data bearer over handovers: what goes in comes out, in order and once."""

import pytest

from tests.support.nr_bearer import carry_over

PACKETS = 300


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("failing", "leaving"), [(0.0, 0.1), (0.3, 0.1), (0.5, 0.5), (0.2, 0.0)])
def test_in_acknowledged_mode_nothing_is_lost_doubled_or_out_of_order(ns3, seed, failing, leaving):
    assert ns3(carry_over, seed, PACKETS, True, failing, leaving) == [*range(PACKETS)]


@pytest.mark.parametrize("seed", range(8))
def test_in_unacknowledged_mode_nothing_is_doubled_or_out_of_order(ns3, seed):
    """And only what was in the air is lost."""
    came = ns3(carry_over, seed, PACKETS, False, 0.0, 0.05)
    assert came == sorted({*came})
    assert PACKETS / 2 < len(came) < PACKETS
