# SPDX-License-Identifier: Apache-2.0
"""Tests of `model_side/tasks`."""
