# SPDX-License-Identifier: GPL-2.0-only
"""The ns-3 wheel: loading it, and compiling what goes with it."""
