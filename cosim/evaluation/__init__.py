# SPDX-License-Identifier: Apache-2.0
"""Evaluating a model on tasks, over links."""
