# SPDX-License-Identifier: Apache-2.0
"""Many requests at one base station: when they come, and which of them share a forward pass."""
