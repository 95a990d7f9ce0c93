# SPDX-License-Identifier: Apache-2.0
"""The model's calibration, as a command and as a part of a run."""
