# SPDX-License-Identifier: Apache-2.0
"""A workload whose every layer is decided from outside, episode by episode."""
