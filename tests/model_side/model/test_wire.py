# SPDX-License-Identifier: Apache-2.0
"""What arrives is what the element can hold, and a device's experts see and send nothing else."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

from model_side.base_station import BaseStation
from model_side.element import GROUP, Element, WireFormat
from model_side.model.inference import Request, generate, routed_by
from model_side.model.moe import SplitModel
from model_side.model.wire import carried_by, rounded
from model_side.placement import place
from model_side.policies import make_policy
from model_side.prediction.line import Line
from model_side.selection import Phase
from tests.support.fixed_network import FixedNetwork
from tests.support.small_models import FAMILIES, random_prompt, small_model
from tests.support.times import FixedTimes

PROMPT = torch.tensor([random_prompt(24)])
REAL = [Element.FP16, Element.BF16, Element.FP8, Element.INT8, Element.INT4]

values = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 70)),
    elements=st.floats(-1e4, 1e4, width=32).filter(lambda value: value == 0 or abs(value) > 1e-4),
)


@given(values)
def test_sixteen_bits_are_rounded_as_ieee_and_numpy_do(x: np.ndarray):
    assert rounded(torch.from_numpy(x), Element.FP16).numpy().tolist() == x.astype(np.float16).tolist()
    bits = x.view(np.uint32).astype(np.uint64)
    nearest_even = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    assert (rounded(torch.from_numpy(x), Element.BF16).numpy() == nearest_even).all()


def test_what_is_too_large_for_fp16_or_a_scale_saturates():
    assert rounded(torch.tensor([[1e6, -1e6]]), Element.FP16).tolist() == [[65504.0, -65504.0]]
    assert rounded(torch.tensor([[1e6, -1e6]]), Element.INT4).tolist() == [[7 * 65504.0, -7 * 65504.0]]


@given(values)
def test_int8_is_off_by_half_a_step_at_most(x: np.ndarray):
    near = rounded(torch.from_numpy(x), Element.INT8).numpy()
    scale = np.abs(x).max(axis=1, keepdims=True).astype(np.float64) / 127
    assert (np.abs(near - x) <= scale * (0.5 + 1e-4)).all()
    steps = near / np.where(scale > 0, scale, 1)
    assert np.allclose(steps, np.round(steps), atol=1e-3)
    assert (np.abs(np.round(steps)) <= 127).all()


@given(values)
def test_int4_is_off_by_half_a_step_of_its_group_at_most(x: np.ndarray):
    near = rounded(torch.from_numpy(x), Element.INT4).numpy()
    for first in range(0, x.shape[1], GROUP):
        part, there = x[:, first : first + GROUP], near[:, first : first + GROUP]
        largest = np.abs(part).max(axis=1, keepdims=True)
        # The scale is a float16: off by 2^-11, and by no less than half its smallest step.
        scale = largest / 7
        assert (np.abs(there - part) <= scale / 2 + largest * 2**-11 + 7 * 2**-25 + 1e-6 * largest).all()
        assert all(len(set(row.tolist())) <= 15 for row in there)


def e4m3() -> list[float]:
    """All finite values of OCP E4M3, by its definition: bias 7, and no value with all bits set."""
    found = {0.0}
    for exponent in range(16):
        for mantissa in range(8):
            if (exponent, mantissa) != (15, 7):
                parts = (Fraction(mantissa, 8), -6) if exponent == 0 else (1 + Fraction(mantissa, 8), exponent - 7)
                found.add(float(parts[0] * Fraction(2) ** parts[1]))
    return sorted(found | {-value for value in found})


@given(values)
def test_fp8_is_the_nearest_value_of_e4m3_times_the_scale(x: np.ndarray):
    table = np.array(e4m3())
    assert (len(table), table.max()) == (253, 448.0)
    near = rounded(torch.from_numpy(x), Element.FP8).numpy()
    scale = np.abs(x).max(axis=1, keepdims=True) / np.float32(448)
    scale = np.where(scale > 0, scale, np.float32(1))
    inside = (x / scale).astype(np.float64)
    least = np.abs(inside[..., None] - table).min(axis=-1)
    assert np.allclose(np.abs(near / scale - inside), least, atol=1e-4, rtol=1e-4)
    assert (np.abs(near - x) <= np.maximum(np.abs(x) * 2**-4, scale * 2**-10) * (1 + 1e-4)).all()


@pytest.mark.parametrize("element", REAL)
def test_what_is_nothing_stays_nothing_and_each_token_is_rounded_alone(element: Element):
    x = torch.randn(5, 40, generator=torch.Generator().manual_seed(1))
    x[2] = 0
    near = rounded(x, element)
    assert not near[2].any()
    assert near.dtype is x.dtype
    for token in range(5):
        assert torch.equal(rounded(x[token : token + 1], element)[0], near[token])
    assert torch.equal(rounded(x, Element.OWN), x)


def base_station_of(split: SplitModel, devices: int, where="round-robin", dead=None) -> BaseStation:
    return BaseStation(
        FixedNetwork(devices=devices, dead=dead),
        place(len(split.blocks), split.num_experts, devices, where),
        FixedTimes(devices),
        make_policy("top-k"),
        Line(devices),
        WireFormat(100),
        10**12,
    )


def logits(split: SplitModel, base_station: BaseStation, element: Element) -> Tensor:
    base_station.begin(Phase.PREFILL, 0, 0)
    with split.routed(routed_by(base_station), carried_by(base_station, element, split.model.dtype)):
        return split.model(PROMPT).logits


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_what_devices_get_and_send_is_rounded_once_each(family: str, monkeypatch: pytest.MonkeyPatch):
    """Against the sum over devices by hand, expert by expert, out of what the first block got."""
    split = SplitModel(small_model(family))
    base_station = base_station_of(split, 3)
    monkeypatch.setattr("model_side.model.wire.rounded", lambda x, element: x + 1000 * (x != 0).any(1, keepdim=True))
    seen: list[tuple[Tensor, ...]] = []
    experts = split.blocks[0].experts
    hook = experts.register_forward_hook(lambda _, given, output: seen.append((*given, output)))
    logits(split, base_station, Element.FP8)
    hook.remove()
    hidden, indices, weights, output = seen[0]
    expected = torch.zeros_like(hidden)
    for token in range(len(hidden)):
        for device in range(3):
            mine = indices[token] % 3 == device
            if mine.any():
                one = (hidden[token : token + 1] + 1000, indices[token, mine][None], weights[token, mine][None])
                expected[token] += experts.forward(*one)[0] + 1000
    torch.testing.assert_close(output, expected, rtol=1e-3, atol=1e-1)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_finer_elements_come_nearer_to_the_stock_model(family: str):
    """In the first block, behind which another expert may be chosen for a last bit."""
    stock = small_model(family)(PROMPT).logits
    split = SplitModel(small_model(family))
    answers: list[Tensor] = []
    hook = split.blocks[0].experts.register_forward_hook(lambda _, given, output: answers.append(output))
    assert torch.equal(logits(split, base_station_of(split, 4), Element.OWN), stock)
    for element in REAL:
        logits(split, base_station_of(split, 4), element)
    hook.remove()
    own = answers[0]
    off = dict(zip(REAL, (float((each - own).norm() / own.norm()) for each in answers[1:]), strict=True))
    assert 0 < off[Element.FP16] < off[Element.BF16] < off[Element.FP8] < 0.1
    assert 0 < off[Element.INT8] < off[Element.INT4] < 0.3
    assert off[Element.FP16] < 2**-10
    assert off[Element.BF16] < 2**-7
    assert not any("forward" in vars(block.experts) for block in split.blocks)
    assert torch.equal(split.model(PROMPT).logits, stock)


@pytest.mark.parametrize(("element", "dtype"), [("own", "float32"), ("bf16", "bfloat16"), ("fp16", "float16")])
@torch.no_grad()
def test_the_models_own_type_stays_bit_for_bit(element: str, dtype: str):
    model = small_model("mixtral").to(getattr(torch, dtype))
    stock = model(PROMPT).logits
    split = SplitModel(model)
    assert torch.equal(logits(split, base_station_of(split, 4), Element(element)), stock)


@torch.no_grad()
def test_a_lost_device_is_left_out_and_its_experts_are_not_computed():
    split, whole = SplitModel(small_model("mixtral")), SplitModel(small_model("mixtral"))
    for block in split.blocks:
        block.experts.down_proj[[1, 5]] = torch.nan  # those of device 1
    found = [logits(each, base_station_of(each, 4, dead=1), Element.INT8) for each in (split, whole)]
    assert found[0].isfinite().all()
    assert torch.equal(*found)


def test_quality_answers_to_the_element_and_the_reference_does_not():
    totals = {}
    for element in (Element.OWN, Element.INT8, Element.INT4):
        split = SplitModel(small_model("mixtral"))
        tokens = list(generate(split, base_station_of(split, 4), [Request(random_prompt(20), 4)], element=element))
        totals[element] = [sum(getattr(t.quality, name) for t in tokens) for name in ("kl_nats", "nll_nats")]
        assert all(math.isfinite(figure) for figure in totals[element])
    assert totals[Element.OWN][0] == 0
    assert 0 < totals[Element.INT8][0] < totals[Element.INT4][0]
