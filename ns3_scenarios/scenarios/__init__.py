# SPDX-License-Identifier: GPL-2.0-only
"""The built-in scenarios."""
