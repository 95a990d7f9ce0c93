# SPDX-License-Identifier: GPL-2.0-only
"""The ns-3 side: the radio scenarios, the virtual clock and the transfers over them."""
