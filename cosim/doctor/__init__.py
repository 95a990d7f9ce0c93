# SPDX-License-Identifier: Apache-2.0
"""Whether this installation is well: each part is looked at, and put to a test of seconds."""
