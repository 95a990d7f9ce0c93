# SPDX-License-Identifier: Apache-2.0
"""Studies to look at: from their data set alone, whatever became of the runs' folders."""
