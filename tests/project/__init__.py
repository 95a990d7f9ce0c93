# SPDX-License-Identifier: Apache-2.0
"""Tests of the project as a whole: README, documentation, scripts, containers."""
