# SPDX-License-Identifier: Apache-2.0
"""Runs to look at: a page, figures for a paper, a trace for a viewer, paired comparisons."""
