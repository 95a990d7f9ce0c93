# SPDX-License-Identifier: Apache-2.0
"""Turning what people have into what the scenarios read: one format a module (docs/world/import.md)."""
