# SPDX-License-Identifier: Apache-2.0
"""What sets a run going: the commands, and what one would run."""
