# SPDX-License-Identifier: Apache-2.0
"""Models that there are, and what can be said of one."""
