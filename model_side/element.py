# SPDX-License-Identifier: Apache-2.0
"""What hidden states and answers are on the wire: the kind of their elements, and the bytes that this takes.

`model_side.model.wire` rounds what a model sends to it. With `Element.OWN` elements are the model's own, nothing is
rounded, and nothing but elements is counted. With any other kind scales and headers count, too:

- each transfer has 16 bytes before it, down and up: request and position of the pass (4 each), tokens (4), layer (2),
  kind of element (1), and one in reserve; the device is who it is sent to;
- each token that goes down brings what its device needs to combine: for k slots, those of the model's own choice, the
  expert (2) and its weight (float32, 4). The answers come in the order in which the tokens went.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from model_side.shapes import ModelShape

Tokens = NDArray[np.int64]

TOKEN_SCALE_BYTES = 4
"""A float32 for each token."""
GROUP = 32
GROUP_SCALE_BYTES = 2
"""A float16 for each group of `GROUP` elements."""
TRANSFER_BYTES = 16
SLOT_BYTES = 6


class Element(StrEnum):
    """`fp8`: OCP E4M3 with a scale for each token; `int8` likewise, symmetric; `int4`: symmetric, a scale a group."""

    OWN = "own"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"


@dataclass(frozen=True)
class WireFormat:
    """Bytes of a transfer: `token_bytes` of each token either way, `slots_bytes` of each more on the way down, and
    `transfer_bytes` for each way once."""

    token_bytes: int
    slots_bytes: int = 0
    transfer_bytes: int = 0

    def down_bytes(self, tokens: Tokens) -> Tokens:
        """Of so many tokens to a device, at least one."""
        return self.transfer_bytes + tokens * (self.token_bytes + self.slots_bytes)

    def up_bytes(self, tokens: Tokens) -> Tokens:
        """Of their answers."""
        return self.transfer_bytes + tokens * self.token_bytes


def wire_format(element: Element, shape: ModelShape) -> WireFormat:
    """What a model of `shape` sends with elements of this kind."""
    if element is Element.OWN:
        return WireFormat(shape.token_bytes)
    return WireFormat(packed_bytes(element, shape.travelling), SLOT_BYTES * shape.top_k, TRANSFER_BYTES)


def packed_bytes(element: Element, hidden: int) -> int:
    """One token's `hidden` elements of this kind, and their scales."""
    match element:
        case Element.FP16 | Element.BF16:
            return 2 * hidden
        case Element.FP8 | Element.INT8:
            return hidden + TOKEN_SCALE_BYTES
        case Element.INT4:
            return -(-hidden // 2) + GROUP_SCALE_BYTES * -(-hidden // GROUP)
    raise ValueError(f"{element} has the size of the model's own")
