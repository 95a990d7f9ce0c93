# SPDX-License-Identifier: Apache-2.0
"""What there is to choose from: policies, scenarios, hardware profiles."""
