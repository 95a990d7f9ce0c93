# SPDX-License-Identifier: GPL-2.0-only
"""What holds for both scenarios with several cells."""

import math

import pytest
from msgspec import to_builtins

from ns3_scenarios.scenarios.lte_multicell import LteMulticell
from ns3_scenarios.scenarios.nr_multicell import NrMulticell

SCENARIOS = pytest.mark.parametrize("scenario", [LteMulticell, NrMulticell])


@SCENARIOS
@pytest.mark.parametrize("parameters", [{}, {"devices": 3, "cells": 7}, {"positions_m": [[50.0, 0.0, 1.5]]}])
def test_the_filled_in_parameters_give_the_same_scenario(scenario, parameters):
    made = scenario.parse(parameters)
    assert scenario.parse(to_builtins(made)) == made


@SCENARIOS
@pytest.mark.parametrize("cells", range(3, 8))
def test_neighbouring_sites_are_one_distance_apart(scenario, cells):
    sites = scenario(cells=cells, inter_site_distance_m=321.0).sites()
    assert len(sites) == cells
    for site in sites:
        assert min(math.dist(site, other) for other in sites if other != site) == pytest.approx(321.0)
