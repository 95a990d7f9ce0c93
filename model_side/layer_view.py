# SPDX-License-Identifier: Apache-2.0
"""A MoE layer as an agent sees and decides it: arrays of one shape, however many tokens the layer has.

A prompt's layer has hundreds of tokens with k slots each, a new token's layer has k slots in all. An agent that had an
output for each slot would need a shape for each N. Here it has one for each expert, which is what the links know: all
slots of an expert are on one device, whose latency hangs on their sum. What differs between the tokens is the gate's
weight, and by that a threshold for each expert tells them apart: where N = 1 every part of the model's choice that has
its best expert can be asked for, and of a prompt a part of an expert's tokens can be left out, the lightest first.
"""

import math

import numpy as np

from bridge.network import LinkState
from model_side.routing import Floats, Indices, Mask, Weights
from model_side.selection import Layer, Phase, Selection

FEATURES: tuple[str, ...] = (
    "asked",
    "weight",
    "beside",
    "best",
    "load",
    "latency",
    "slowest",
    "computing",
    "late",
    "connected",
    "downlink_sinr",
    "uplink_sinr",
    "downlink_rate",
    "uplink_rate",
    "queue",
    "tokens",
    "depth",
    "decode",
)
"""What `view` tells of each expert, in order; docs/scripts/learning.md has what each is."""

_LEAST_S, _DECADES = 1e-4, 6  # latencies from 0.1 ms to 100 s
_MOST_DB = 50.0
_LOG_RATE = 10.0  # 10 Gbit/s
_LOG_BYTES = 9.0
_LOG_TOKENS = 16.0


def view(layer: Layer) -> Weights:
    """Of each expert the `FEATURES` [E, F], float32 within -1 and 1; what is not known is 0."""
    experts, devices = layer.experts, layer.devices
    indices, weights = layer.indices, layer.weights.astype(np.float64)
    tokens = max(layer.tokens, 1)
    best = weights.max(axis=1, keepdims=True, initial=0)
    beside = np.divide(weights, best, out=np.zeros_like(weights), where=best > 0)
    slots = _sums(indices, experts)
    device_of = layer.device_of
    expected, work = layer.prediction, layer.work
    seconds = expected.seconds
    busy = work.tokens > 0
    of_device = (
        work.tokens / tokens,
        np.log10(np.maximum(seconds, _LEAST_S) / _LEAST_S) / _DECADES,
        np.minimum(seconds / seconds.max(initial=_LEAST_S, where=busy), 1),
        expected.compute_s / seconds,
        1 - expected.done_by(layer.deadline_s),
        *np.array([_of_link(link) for link in layer.links]).reshape(devices, -1).T,
    )
    of_layer = (
        np.log2(tokens) / _LOG_TOKENS,
        (layer.number + 1) / layer.layers,
        layer.phase is Phase.DECODE,
    )
    rows = [
        slots / tokens,
        _sums(indices, experts, weights) / max(weights.sum(), np.finfo(np.float64).tiny),
        _sums(indices, experts, beside) / np.maximum(slots, 1),
        _sums(indices, experts, (weights >= best) & (weights > 0)) / tokens,
        *(each[device_of] for each in of_device),
        *(np.full(experts, each, np.float64) for each in of_layer),
    ]
    return np.asarray(np.clip(np.stack(rows, axis=1), -1, 1), np.float32)


def keep_above(layer: Layer, thresholds: Floats) -> Selection:
    """Of what was chosen so far the slots that weigh, beside their token's best one, at least their expert's threshold.

    `thresholds` [E] within 0 and 1: at 0 all of an expert's slots stay, at 1 only those of tokens whose best it is. A
    token's best expert always stays.
    """
    least = np.append(thresholds, 0.0)[layer.indices]
    keep: Mask = layer.weights >= least * layer.weights.max(axis=1, keepdims=True, initial=0)
    return layer.leave_out(keep)


def _sums(indices: Indices, experts: int, values: Floats | None = None) -> Floats:
    """Over an expert's slots the sum of `values`, or their number [E]."""
    weights = None if values is None else values.ravel()
    return np.asarray(np.bincount(indices.ravel(), weights, experts + 1)[:experts], np.float64)


def _of_link(link: LinkState) -> tuple[float, ...]:
    sinr = (value or 0.0 for value in (link.downlink_sinr_db, link.uplink_sinr_db))
    rates = (max(value or 1.0, 1.0) for value in (link.downlink_rate_bps, link.uplink_rate_bps))
    queue = (link.rlc_queue_bytes or 0) + (link.bsr_bytes or 0)
    return (
        float(link.connected),
        *(value / _MOST_DB for value in sinr),
        *(math.log10(value) / _LOG_RATE for value in rates),
        math.log10(1 + queue) / _LOG_BYTES,
    )
