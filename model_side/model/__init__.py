# SPDX-License-Identifier: Apache-2.0
"""The model that runs, and what it is asked."""
