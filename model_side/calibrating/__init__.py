# SPDX-License-Identifier: Apache-2.0
"""Calibrations: measured with a model, counted from recorded routing, kept and found again."""
