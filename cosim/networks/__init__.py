# SPDX-License-Identifier: Apache-2.0
"""The networks that a run can use: live, analytic, what-if, and each of them journaled."""
