# SPDX-License-Identifier: Apache-2.0
"""What several policies need: the heaviest of a token's slots, the best of all experts, and weights for these."""

import numpy as np

from model_side.routing import Floats, Indices, Mask, Remainder, Weights
from model_side.selection import Layer, Selection

ROUNDING = 1e-6
"""By how much, relatively, a token's total may be off through rounding."""


def heaviest(weights: Weights) -> Mask:
    """The first of each token's heaviest slots [N, k]."""
    return np.asarray(np.arange(weights.shape[1]) == weights.argmax(axis=1)[:, None])


def one_of_2k(layer: Layer) -> float:
    """1 / (2 k), k the model's: half of what each slot weighs where all weigh the same."""
    return 0.5 / max(int(layer.gate.indices.shape[1]), 1)


def ranks(weights: Weights) -> Indices:
    """The rank of each slot in its token [N, k], 0 the heaviest; of equal ones the first comes first."""
    order = np.argsort(-weights, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(order.shape[1])[None], axis=1)
    return places


def of_totals(weights: Weights) -> Floats:
    """Each slot's share [N, k] of its token's total; 0 where that is 0."""
    total = weights.sum(axis=1, keepdims=True, dtype=np.float64)
    return np.asarray(weights / np.where(total > 0, total, 1))


def best(scores: Weights, n: int) -> Indices:
    """The n highest of each row's scores [N, n], highest first; of equal ones the first comes first."""
    if n == 1:
        return np.asarray(scores.argmax(axis=1)[:, None])
    from model_side.policies.search import highest  # noqa: PLC0415  (numba takes a while to load, and few ask)

    return np.asarray(highest(np.ascontiguousarray(scores), n))


def choose(layer: Layer, indices: Indices, devices: Indices | None = None) -> Selection:
    """A choice anew, of all experts: `indices` [N, k'], no expert twice, E for no expert; `devices` as in `Selection`.

    An expert of the model's own choice weighs what it does there, another what its probability is on that scale, and
    all are scaled to the token's own total. Only where a token's experts together are less likely than its own, it is
    as if experts were missing: what becomes of the difference, the run says (`Layer.missing`).
    """
    from model_side.policies.search import weigh  # noqa: PLC0415  (numba)

    gate = layer.gate
    given = (layer.probabilities, gate.weights, gate.indices, indices)
    weights = weigh(*map(np.ascontiguousarray, given))
    total = gate.weights.sum(axis=1, dtype=np.float64)
    chosen = weights.sum(axis=1)
    factor = np.divide(total, chosen, out=np.ones_like(total), where=chosen > 0)
    factor[abs(factor - 1) <= ROUNDING] = 1
    if layer.missing.remainder is not Remainder.SHARED:
        short = layer.missing.shrunk(gate, gate.weights)[:, 0]
        factor = np.where(factor > 1, np.minimum(short, factor), factor)
    return Selection((weights * factor[:, None]).astype(gate.weights.dtype), indices, devices)
