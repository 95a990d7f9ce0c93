# SPDX-License-Identifier: Apache-2.0
"""Runs that were made: printed, listed, written as other files."""
