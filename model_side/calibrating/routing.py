# SPDX-License-Identifier: Apache-2.0
"""What a model's routing alone tells: how tokens weigh their experts, and which they choose together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model_side.calibrating.store import file_digest
from model_side.calibration import LEVELS, Calibration
from model_side.routing import Floats, Indices, Weights
from model_side.routing_trace import RoutingTrace


def of_routing(
    model: str, text: str, weights: Sequence[Weights], indices: Sequence[Indices], experts: int
) -> Calibration:
    """The part that needs no outputs; `weights`, `indices` [N, k] are the model's own choice in each of L layers."""
    shares = [-np.sort(-layer.astype(np.float64), axis=1) for layer in weights]
    shares = [layer / np.maximum(layer.sum(axis=1, keepdims=True), np.finfo(float).tiny) for layer in shares]
    return Calibration(
        model,
        text,
        len(weights[0]),
        np.stack([np.quantile(layer, LEVELS, axis=0).T for layer in shares]),
        np.stack([np.quantile(layer[:, 1] / layer[:, 0] if layer.shape[1] > 1 else [0], LEVELS) for layer in shares]),
        np.stack([_together(layer, experts) for layer in indices]),
    )


def of_trace(path: Path) -> Calibration:
    """The table of a file of recorded routing, prompts and answers. Raises `RequestError` as `RoutingTrace.read`."""
    trace = RoutingTrace.read(path)
    layers = len(trace.shape.moe_layers)
    layer_of = np.repeat(np.arange(len(trace.begin) - 1) % layers, np.diff(trace.begin))
    rows = [np.flatnonzero(layer_of == layer) for layer in range(layers)]
    digest = file_digest(path)
    weights = [trace.weights[row] for row in rows]
    indices = [trace.experts[row].astype(np.int64) for row in rows]
    return of_routing(digest, digest, weights, indices, trace.shape.experts).rounded()


def _together(indices: Indices, experts: int) -> Floats:
    """The share [E, E] of tokens that choose both."""
    chosen = np.zeros((len(indices), experts))
    np.put_along_axis(chosen, indices, 1, axis=1)
    return np.asarray(chosen.T @ chosen / len(indices))
