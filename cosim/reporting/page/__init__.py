# SPDX-License-Identifier: Apache-2.0
"""The page of a report: one HTML file that asks nothing of the network."""
