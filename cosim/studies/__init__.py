# SPDX-License-Identifier: Apache-2.0
"""Studies: many runs that one file asks for, on one machine or many."""
