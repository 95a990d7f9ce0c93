# SPDX-License-Identifier: Apache-2.0
"""Search: the options of a policy that lie on the front of quality against latency."""
