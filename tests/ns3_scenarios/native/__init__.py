# SPDX-License-Identifier: GPL-2.0-only
"""Tests of `ns3_scenarios/native`."""
