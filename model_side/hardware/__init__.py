# SPDX-License-Identifier: Apache-2.0
"""How long devices and BS compute: hardware profiles and the roofline."""
