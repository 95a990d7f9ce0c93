# SPDX-License-Identifier: Apache-2.0
"""Sizing: how many requests a second can be served in time."""
