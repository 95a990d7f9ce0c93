# SPDX-License-Identifier: Apache-2.0
"""The journal of a run."""
