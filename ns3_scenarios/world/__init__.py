# SPDX-License-Identifier: GPL-2.0-only
"""What goes on around the exchanges: movement, life of devices, background traffic."""
