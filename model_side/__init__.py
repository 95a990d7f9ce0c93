# SPDX-License-Identifier: Apache-2.0
"""The model side: a Mixture-of-Experts model whose experts live on devices behind a `bridge.network.Network`."""
