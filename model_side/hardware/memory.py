# SPDX-License-Identifier: Apache-2.0
"""What experts take of a device's memory, and whether it has that."""

from collections.abc import Sequence

import numpy as np

from bridge.network import RequestError
from model_side.hardware.profiles import Hardware
from model_side.placement import Counts, Placement
from model_side.shapes import ModelShape

GROUP, SCALE_BITS = 32, 16
"""A weight of less than 16 bits has a 16-bit scale in common with the others of its group, as in GGML's Q4_0, Q8_0."""


def expert_bytes(shape: ModelShape, weight_bits: int) -> int:
    """What one expert of one layer takes: its matrices, and their scales."""
    bits = weight_bits + (SCALE_BITS / GROUP if weight_bits < 16 else 0)
    return int(np.ceil(shape.expert_matrices * shape.travelling * shape.intermediate * bits / 8))


def room(hardware: Sequence[Hardware], size_bytes: int) -> Counts:
    """How many experts of `size_bytes` each device can hold [D], all layers together."""
    return np.array([each.memory_bytes // size_bytes for each in hardware], dtype=np.int64)


def check_memory(placement: Placement, hardware: Sequence[Hardware], size_bytes: int, field: str) -> None:
    """Raise `RequestError` naming `field` if a device lacks memory for its experts of `size_bytes`."""
    held = np.sum([layer.holds.sum(axis=0) for layer in placement.layers], axis=0).tolist()
    for device, (experts, has) in enumerate(zip(held, hardware, strict=True)):
        needs_bytes = experts * size_bytes
        if needs_bytes > has.memory_bytes:
            needs = f"needs {needs_bytes:,} bytes for {experts} experts, all layers together, and has"
            lacks = f"{has.memory_bytes:,}: {needs_bytes - has.memory_bytes:,} are lacking"
            mend = 'take placement.experts = "memory", other devices.hardware, or fewer devices.weight_bits'
            raise RequestError(field, f"device {device}, {has.name}, {needs} {lacks}; {mend}")
