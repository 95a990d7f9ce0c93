# SPDX-License-Identifier: Apache-2.0
"""The co-simulation: a model on one side, a radio on the other, one clock, one record."""
