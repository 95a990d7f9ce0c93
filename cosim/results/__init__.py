# SPDX-License-Identifier: Apache-2.0
"""What is made of a journal: summaries, tables, traces."""
