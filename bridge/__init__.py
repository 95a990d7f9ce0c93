# SPDX-License-Identifier: Apache-2.0
"""The conversation between the two sides: the `Network` interface, its messages, and ZeroMQ in between."""
