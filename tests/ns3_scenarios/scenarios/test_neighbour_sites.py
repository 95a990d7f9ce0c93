# SPDX-License-Identifier: GPL-2.0-only
"""Where neighbours stand, and their loads as steps."""

from math import dist, hypot

import msgspec
import pytest

from ns3_scenarios.scenarios.neighbour_sites import Neighbours, grid

BS = (0.0, 0.0, 10.0)


def test_sites_are_a_grid():
    for count in (6, 18):
        sites = grid(count, 200.0, 10.0)
        assert len(set(sites)) == count
        for site in sites:
            others = [BS, *(each for each in sites if each != site)]
            assert min(dist(site, other) for other in others) == pytest.approx(200.0)
    assert sum(hypot(x, y) for x, y, _ in grid(18, 1.0, 0.0)) == pytest.approx(6 + 6 * 3**0.5 + 12)


def test_loads_are_steps():
    assert msgspec.convert({"load": 1}, Neighbours).steps() == [(1.0, 1.0)]
    on_off = {"mean_on_s": 2.0, "mean_off_s": 3.0, "share": 0.5}
    assert msgspec.convert({"load": on_off}, Neighbours).steps() == [(2.0, 0.5), (3.0, 0.0)]
    assert msgspec.convert({"load": [[1.0, 0.2], [2.0, 0.1]]}, Neighbours).steps() == [(1.0, 0.2), (2.0, 0.1)]
    assert Neighbours().steps() == [(1.0, 0.3)]
