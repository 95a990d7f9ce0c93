# SPDX-License-Identifier: Apache-2.0
"""Tasks that models are evaluated on: a JSONL format, readers for the public files, and what is shipped."""
