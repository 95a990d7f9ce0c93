# SPDX-License-Identifier: Apache-2.0
"""Computing times, against operations and bytes counted by hand on hardware with round numbers."""

from dataclasses import replace

import numpy as np
import pytest

from model_side.hardware.profiles import Hardware
from model_side.hardware.roofline import RooflineTimes
from model_side.shapes import ModelShape

SHAPE = ModelShape(
    hidden=10,
    intermediate=30,
    heads=4,
    kv_heads=2,
    head_dim=5,
    vocab=1000,
    element_bytes=2,
    decoder_layers=2,
    moe_layers=(0, 1),
    experts=4,
    top_k=2,
)
# Bound by arithmetic alone: 1 operation a second, and memory so fast that it never counts.
COUNTING = Hardware("counting", 1.0, 1e18, 1, 1.0, 1.0, 0.0, "made up")
SLOW = replace(COUNTING, name="slow", peak_flops=0.5)
READING = replace(COUNTING, name="reading", peak_flops=1e18, memory_bandwidth_bytes_per_s=1.0)

ATTENTION = 2 * (10 * 20 + 2 * 10 * 10 + 20 * 10)  # query, key and value, output: a token's multiply-adds, twice
ROUTER = 2 * 10 * 4
EXPERT = 2 * 3 * 10 * 30
ON_ONE = np.zeros(4, dtype=np.int64)


def times(shape: ModelShape, hardware: Hardware = COUNTING, weight_bits: float = 16) -> RooflineTimes:
    return RooflineTimes(shape, hardware, [COUNTING] * 4, weight_bits, weight_bits)


def scores(tokens: int, context: int) -> int:
    """Scores and weighted values: 4 heads of 5, 2 operations each, for each pair of a token and one it sees."""
    return sum(2 * 2 * 4 * 5 * (context - later) for later in range(tokens))


@pytest.mark.parametrize(("tokens", "context"), [(1, 1), (1, 50), (7, 7), (3, 9)])
def test_a_layer_is_attention_and_router(tokens: int, context: int):
    expected = tokens * (ATTENTION + ROUTER) + scores(tokens, context)
    assert times(SHAPE).layer_s(0, tokens, context) == pytest.approx(expected)


def test_shared_experts_stay_at_the_base_station():
    with_shared = times(replace(SHAPE, shared_intermediate=60))
    assert with_shared.layer_s(1, 3, 3) - times(SHAPE).layer_s(1, 3, 3) == pytest.approx(3 * 2 * EXPERT)


def test_decoder_layers_without_experts_count_before_the_next_with_or_before_the_head():
    sparse = times(replace(SHAPE, decoder_layers=5, moe_layers=(1, 3), dense_intermediate=15))
    plain = times(SHAPE)
    dense = 2 * ATTENTION + scores(2, 6) + 2 * EXPERT // 2
    for layer in (0, 1):
        assert sparse.layer_s(layer, 2, 6) - plain.layer_s(layer, 2, 6) == pytest.approx(dense)
    assert sparse.head_s(2, 6) - plain.head_s(2, 6) == pytest.approx(dense)


def test_the_head_gives_the_logits_of_one_position():
    assert times(SHAPE).head_s(64, 64) == times(SHAPE).head_s(1, 80) == pytest.approx(2 * 10 * 1000)


def test_one_decoded_token_reads_the_weights_at_their_own_width():
    """By bytes: weights at 4 bit, cache and activations at 2 bytes."""
    weights = (10 * 20 + 2 * 10 * 10 + 20 * 10 + 10 * 4) / 2
    cache = 2 * 2 * 5 * 50 * 2
    activations = 2 * (10 + 10) + 2 * (10 + 4)
    assert times(SHAPE, READING, 4).layer_s(0, 1, 50) == pytest.approx(weights + cache + activations)


def test_a_pass_of_several_requests_computes_what_each_asks_and_reads_the_weights_once():
    """A prompt of 7 tokens, and next tokens after 50 and after 3."""
    rows = ((7, 7), (1, 50), (1, 3))
    for layer in (0, 1):
        alone_s = [times(SHAPE).layer_s(layer, *row) for row in rows]
        assert times(SHAPE).batch_layer_s(layer, rows) == pytest.approx(sum(alone_s))
        read_s = [times(SHAPE, READING, 4).layer_s(layer, *row) for row in rows]
        weights = (10 * 20 + 2 * 10 * 10 + 20 * 10 + 10 * 4) / 2
        assert times(SHAPE, READING, 4).batch_layer_s(layer, rows) == pytest.approx(sum(read_s) - 2 * weights)
    assert times(SHAPE).batch_head_s(rows, 2) == pytest.approx(2 * 2 * 10 * 1000)
    assert times(SHAPE).batch_head_s(rows, 0) == 0
    vocabulary = 10 * 1000 / 2
    assert times(SHAPE, READING, 4).batch_head_s(rows, 2) == pytest.approx(vocabulary + 2 * 2 * (10 + 1000))


def test_a_device_computes_its_experts_one_after_the_other_at_its_own_speed():
    compute = RooflineTimes(SHAPE, COUNTING, [COUNTING, SLOW, COUNTING], 16, 4)
    where = np.array([0, 1, 1, 0])
    device_s = compute.devices_s(np.array([3, 2, 5, 4]), where)
    assert device_s.tolist() == pytest.approx([EXPERT * 7, EXPERT * 7 * 2, 0])
    both_s = compute.devices_s(np.array([[3, 2, 5, 4], [1, 0, 0, 0]]), np.array([where, [1, 0, 0, 0]]))
    assert both_s.tolist() == pytest.approx(np.array([[EXPERT * 7, EXPERT * 7 * 2, 0], [0, EXPERT * 2, 0]]))


def test_each_expert_that_is_asked_costs_its_overhead():
    started = replace(COUNTING, overhead_s=1000.0)
    compute = RooflineTimes(SHAPE, COUNTING, [started], 16, 4)
    assert compute.devices_s(np.array([1, 0, 2, 0]), ON_ONE).tolist() == pytest.approx([3 * EXPERT + 2000])
    assert compute.devices_s(np.zeros(4, dtype=np.int64), ON_ONE).tolist() == [0]
