# SPDX-License-Identifier: Apache-2.0
"""How long BS and devices compute in virtual time, by roofline from their hardware and the model's shape."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model_side.hardware.profiles import Hardware, Work, expert_work, feed_forward_work, lm_head_work, mixer_work
from model_side.routing import Floats, Indices
from model_side.shapes import Mixer, ModelShape

Rows = tuple[tuple[int, int], ...]
"""Of each request in a pass its new tokens, and of how many the last of these is the last."""


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
        moe_layers = len(shape.moe_layers)
        parts = [(shape.layers_up_to(layer), layer < moe_layers) for layer in range(moe_layers + 1)]
        self._kinds_of_layers = list(dict.fromkeys(parts))
        self._kind_of_layers = [self._kinds_of_layers.index(part) for part in parts]
        self._layers_s = lru_cache(16)(self._uncached_layers_s)  # most layers of a pass take the same time
        self._devices = len(devices)
        self._kinds = list(dict.fromkeys(devices))
        self._kind_of = np.array([self._kinds.index(device) for device in devices])

    def layer_s(self, layer: int, tokens: int, context: int) -> float:
        """The BS's work from the answers of one MoE layer to the gate's decision in MoE layer `layer`.

        `tokens` new tokens, the last of `context`. Shared experts of the layer are counted here too: they
        are done before the hidden states depart.
        """
        return self.batch_layer_s(layer, ((tokens, context),))

    def head_s(self, tokens: int, context: int) -> float:
        """The BS's work from the answers of the last MoE layer to the next token: logits of one position."""
        return self.batch_head_s(((tokens, context),), 1)

    def batch_layer_s(self, layer: int, rows: Rows) -> float:
        """As `layer_s`, of the rows of several requests in one pass, which reads the weights once."""
        return self._layers_s(self._kind_of_layers[layer], rows, 0)

    def batch_head_s(self, rows: Rows, given: int) -> float:
        """As `head_s`, of several requests, `given` of which get their next token: logits of so many positions."""
        return self._layers_s(self._kind_of_layers[-1], rows, given)

    def _uncached_layers_s(self, kind: int, rows: Rows, given: int) -> float:
        layers, ends_with_experts = self._kinds_of_layers[kind]
        shape, bits = self._shape, self._base_station_weight_bits
        tokens = sum(new for new, _ in rows)
        work: list[Work] = []
        for layer in layers:
            work += [_batch_mixer_work(rows, mixer, shape, bits) for mixer in layer.mixers]
            if ends_with_experts and layer is layers[-1]:
                work.append(lm_head_work(tokens, shape.hidden, shape.experts, shape.element_bytes, bits))
            work += [
                feed_forward_work(tokens, network, shape.hidden, shape.element_bytes, bits)
                for network in layer.feed_forwards
            ]
        if not ends_with_experts:
            work.append(lm_head_work(given, shape.hidden, shape.vocab, shape.element_bytes, bits))
        operations, memory_bytes = zip(*work, strict=True)
        return float(self._base_station.latency_s(operations, memory_bytes).sum())

    def devices_s(self, tokens: NDArray[np.int64], device: Indices) -> Floats:
        """Seconds [..., D] that each device computes when its seats get `tokens` [..., P] and are on `device` [..., P].

        A seat is an expert on a device.
        """
        shape = self._shape
        sizes = (shape.travelling, shape.intermediate, shape.element_bytes, self._device_weight_bits)
        work = expert_work(tokens, *sizes, shape.expert_matrices)
        kind = self._kind_of[device]
        seat_s = np.zeros(tokens.shape)
        for number, hardware in enumerate(self._kinds):
            seat_s = np.where(kind == number, hardware.latency_s(*work), seat_s)
        layers = tokens.size // tokens.shape[-1]
        bins = np.arange(layers)[:, None] * self._devices + np.broadcast_to(device, tokens.shape).reshape(layers, -1)
        device_s = np.bincount(bins.ravel(), seat_s.ravel(), layers * self._devices)
        return np.asarray(device_s.reshape(*tokens.shape[:-1], self._devices))


def _batch_mixer_work(rows: Rows, mixer: Mixer, shape: ModelShape, weight_bits: float) -> Work:
    """`mixer_work` of several requests at once: each has its own cache, and the weights are read for all together."""
    tokens, context = zip(*rows, strict=True)
    operations, moved = mixer_work(tokens, context, mixer, shape.hidden, shape.element_bytes, weight_bits)
    return operations.sum(), moved.sum() - (len(rows) - 1) * mixer.weights * weight_bits / 8
