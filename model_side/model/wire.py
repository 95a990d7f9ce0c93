# SPDX-License-Identifier: Apache-2.0
"""The wire between a model's blocks and their experts on devices: what goes over it is rounded to what it carries."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from model_side.element import GROUP, Element
from model_side.model.moe import Carry, Experts
from model_side.placement import Placement
from model_side.routing import Indices

DTYPES = {Element.FP16: torch.float16, Element.BF16: torch.bfloat16}
E4M3 = torch.float8_e4m3fn
"""OCP 8-bit floating point, E4M3: three bits of mantissa, at most 448, no infinity."""


def rounded(values: Tensor, element: Element) -> Tensor:
    """`values` [N, m], each row a token, as they arrive: in their own dtype, with the values that `element` has.

    fp16 and bf16 round to nearest even, and fp16 saturates. fp8 and int8 divide by a token's scale, its largest amount
    over 448 or 127, and round to nearest even; int4 likewise with groups of 32 elements, the amount over 7 as float16.
    """
    match element:
        case Element.FP16 | Element.BF16:
            dtype = DTYPES[element]
            most = torch.finfo(dtype).max
            return values.clamp(-most, most).to(dtype).to(values.dtype)
        case Element.FP8:
            most = torch.finfo(E4M3).max
            return _scaled(values, most, lambda part: part.clamp(-most, most).to(E4M3).float())
        case Element.INT8:
            return _scaled(values, 127, lambda part: part.round().clamp(-127, 127))
        case Element.INT4:
            tokens, hidden = values.shape
            groups = pad(values, (0, -hidden % GROUP)).reshape(-1, GROUP)
            near = _scaled(groups, 7, lambda part: part.round().clamp(-7, 7), torch.float16)
            return near.reshape(tokens, -1)[:, :hidden]
    return values


def _scaled(
    values: Tensor, most: float, near: Callable[[Tensor], Tensor], scale_dtype: torch.dtype = torch.float32
) -> Tensor:
    """Each row over a scale under which its largest amount is `most`, made `near` what the element has, and back."""
    wide = values.float()
    scale = wide.abs().amax(dim=1, keepdim=True) / most
    scale = scale.clamp(max=torch.finfo(scale_dtype).max).to(scale_dtype).float()
    scale = torch.where(scale > 0, scale, 1.0)
    return (near(wide / scale) * scale).to(values.dtype)


class Asked(Protocol):
    """Where the slots of a layer were asked [N, k'], and on which placement: a base station, or what stands for it."""

    slot_devices: Indices
    placement: Placement


def carried_by(base_station: Asked, element: Element, own: torch.dtype) -> Carry | None:
    """How the experts of a block are reached over `base_station`; None if the wire changes nothing.

    Each device gets its tokens' hidden states rounded, and what it sends back is rounded once: the sum of its experts'
    answers, weighted. The sums of the devices are added in order of device. Elements of the model's own dtype, `own`,
    are those of `Element.OWN`.
    """
    if element is Element.OWN or DTYPES.get(element) is own:
        return None

    def carry(experts: Experts, hidden: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
        arrived = rounded(hidden, element)
        devices = torch.from_numpy(base_station.slot_devices).to(indices.device)
        total = torch.zeros_like(hidden)
        for device in range(base_station.placement.devices):
            here = (devices == device) & (weights != 0)
            rows = here.any(dim=1).nonzero().squeeze(1)
            if len(rows):
                mine, asked = here[rows], indices[rows]
                stand_in = asked.masked_fill(~mine, 0).amax(dim=1, keepdim=True)  # one of those that are here
                answer = experts(arrived[rows], torch.where(mine, asked, stand_in), weights[rows].masked_fill(~mine, 0))
                total[rows] += rounded(answer, element)
        return total

    return carry
