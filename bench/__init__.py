# SPDX-License-Identifier: Apache-2.0
"""Measurements, each a script that prints a table."""
