# SPDX-License-Identifier: Apache-2.0
"""How long BS and devices compute in virtual time, by roofline from their hardware and the model's shape."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model_side.hardware.profiles import Hardware, Work, attention_work, expert_work, lm_head_work
from model_side.routing import Floats, Indices
from model_side.shapes import ModelShape


class RooflineTimes:
    """Computing times of a model of `shape` on `base_station` and on `devices` (one `Hardware` a device).

    The BS holds all but the routed experts: attention, router, shared experts, decoder layers without
    experts, and the language-model head. A device computes its experts one after the other. Each matrix
    product block is a piece of work of its own. Looking up embeddings, norms and sums are not counted.
    """

    def __init__(
        self,
        shape: ModelShape,
        base_station: Hardware,
        devices: Sequence[Hardware],
        base_station_weight_bits: float,
        device_weight_bits: float,
    ):
        self._shape = shape
        self._base_station = base_station
        self._base_station_weight_bits = base_station_weight_bits
        self._device_weight_bits = device_weight_bits
        self._layer_s = lru_cache(16)(self._uncached_layer_s)  # most layers of a pass take the same time
        self._devices = len(devices)
        self._kinds = list(dict.fromkeys(devices))
        self._kind_of = np.array([self._kinds.index(device) for device in devices])

    def layer_s(self, layer: int, tokens: int, context: int) -> float:
        """The BS's work from the answers of one MoE layer to the gate's decision in MoE layer `layer`.

        `tokens` new tokens, the last of `context`. Shared experts of the layer are counted here too: they
        are done before the hidden states depart.
        """
        return self._layer_s(self._shape.dense_layers_before(layer), tokens, context)

    def _uncached_layer_s(self, dense_layers: int, tokens: int, context: int) -> float:
        shape, bits = self._shape, self._base_station_weight_bits
        router = lm_head_work(tokens, shape.hidden, shape.experts, shape.element_bytes, bits)
        shared = self._feed_forward(tokens, shape.shared_intermediate)
        return self._seconds(
            [*self._dense(dense_layers, tokens, context), self._attention(tokens, context), router, shared]
        )

    def head_s(self, tokens: int, context: int) -> float:
        """The BS's work from the answers of the last MoE layer to the next token: logits of one position."""
        shape = self._shape
        head = lm_head_work(1, shape.hidden, shape.vocab, shape.element_bytes, self._base_station_weight_bits)
        return self._seconds([*self._dense(shape.dense_layers_before(len(shape.moe_layers)), tokens, context), head])

    def devices_s(self, tokens: NDArray[np.int64], device: Indices) -> Floats:
        """Seconds [..., D] that each device computes when its seats get `tokens` [..., P] and are on `device` [..., P].

        A seat is an expert on a device.
        """
        shape = self._shape
        work = expert_work(tokens, shape.hidden, shape.intermediate, shape.element_bytes, self._device_weight_bits)
        kind = self._kind_of[device]
        seat_s = np.zeros(tokens.shape)
        for number, hardware in enumerate(self._kinds):
            seat_s = np.where(kind == number, hardware.latency_s(*work), seat_s)
        layers = tokens.size // tokens.shape[-1]
        bins = np.arange(layers)[:, None] * self._devices + np.broadcast_to(device, tokens.shape).reshape(layers, -1)
        device_s = np.bincount(bins.ravel(), seat_s.ravel(), layers * self._devices)
        return np.asarray(device_s.reshape(*tokens.shape[:-1], self._devices))

    def _dense(self, layers: int, tokens: int, context: int) -> list[Work]:
        """So many decoder layers without experts."""
        one = [self._attention(tokens, context), self._feed_forward(tokens, self._shape.dense_intermediate)]
        return layers * one

    def _attention(self, tokens: int, context: int) -> Work:
        shape = self._shape
        return attention_work(
            tokens,
            context,
            shape.hidden,
            shape.heads,
            shape.kv_heads,
            shape.head_dim,
            shape.element_bytes,
            self._base_station_weight_bits,
        )

    def _feed_forward(self, tokens: int, intermediate: int) -> Work:
        shape = self._shape
        return expert_work(tokens, shape.hidden, intermediate, shape.element_bytes, self._base_station_weight_bits)

    def _seconds(self, work: list[Work]) -> float:
        operations, memory_bytes = zip(*work, strict=True)
        return float(self._base_station.latency_s(operations, memory_bytes).sum())
