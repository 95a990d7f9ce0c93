# SPDX-License-Identifier: Apache-2.0
"""What was measured of a model once, before any run: how its experts differ, and what its layers are worth.

`model_side.calibrating` measures and keeps these tables; docs/model/calibration.md describes them.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, get_origin

import msgspec
import numpy as np

from bridge.network import RequestError
from model_side.routing import Floats

VERSION = 1
LEVELS = np.linspace(0, 1, 33)
"""The probabilities [Q] whose quantiles a table has."""
_DIGITS = 6


class NoTable(RequestError):
    """A policy needs what was never measured."""

    def __init__(self, reason: str):
        super().__init__("policies", reason)


@dataclass(frozen=True)
class Outputs:
    """What needs the experts' outputs, in units of the hidden state, over the calibration's tokens.

    `distance` [L, E, E + 1]: over the tokens that the model sends to expert i, the root of the mean of |f_i(x) -
    f_j(x)|^2; in the last column of |f_i(x)|^2, the distance to nothing. 0 for an expert that no token chose, which
    `Calibration.popularity` tells. `norm` [L, E, E]: over these tokens, the root of the mean of |f_j(x)|^2.
    `output_norm` [L]: the root of the mean of |sum_i w_i f_i(x)|^2, what the routed experts add to the residual
    stream. `sensitivity` [L]: nats a token, the mean of KL(p || q), p the model's next-token distribution and q
    that without any routed expert of the layer. `curvature` [L]: nats a token for the mean square of an error in
    the layer's output, measured with half of what the routed experts add.
    """

    distance: Floats
    norm: Floats
    output_norm: Floats
    sensitivity: Floats
    curvature: Floats


@dataclass(frozen=True)
class Calibration:
    """Of a model with L MoE layers of E experts, k a token; Q are the `LEVELS`.

    `model`: SHA-256 of the model, or of the file with its recorded routing. `text`: what it was calibrated on, and
    `tokens` how much of it. `share_quantiles` [L, k, Q]: of the share that a token's heaviest expert has of its gate
    weight, its second, and so on. `ratio_quantiles` [L, Q]: of w_2 / w_1; 0 where k is 1. `coactivation` [L, E, E]:
    the share of tokens that choose both experts. `outputs`: None where only routing was known.
    """

    model: str
    text: str
    tokens: int
    share_quantiles: Floats
    ratio_quantiles: Floats
    coactivation: Floats
    outputs: Outputs | None = None
    version: int = VERSION

    @property
    def layers(self) -> int:
        """L."""
        return len(self.coactivation)

    @property
    def experts(self) -> int:
        """E."""
        return int(self.coactivation.shape[1])

    @property
    def popularity(self) -> Floats:
        """The share [L, E] of tokens that choose each expert; a layer's sum to k."""
        return np.asarray(np.diagonal(self.coactivation, axis1=1, axis2=2))

    @property
    def importance(self) -> Floats:
        """What an expert is worth [L, E]: the nats a token that it costs to ask it for nothing, at a weight of 1."""
        return np.asarray(self.popularity * self.distance[:, :, -1] ** 2 * self.curvature[:, None])

    @property
    def distance(self) -> Floats:
        """See `Outputs`. Raises `NoTable` where only routing was known, as what follows."""
        return self._measured.distance

    @property
    def output_norm(self) -> Floats:
        """See `Outputs`."""
        return self._measured.output_norm

    @property
    def sensitivity(self) -> Floats:
        """See `Outputs`."""
        return self._measured.sensitivity

    @property
    def norm(self) -> Floats:
        """See `Outputs`."""
        return self._measured.norm

    @property
    def curvature(self) -> Floats:
        """See `Outputs`. KL grows with the square of a small error, so this turns mean square errors into nats.

        That an error harms as one of half the output does, whatever its size and direction, is a guess;
        docs/model/calibration.md has how well it holds.
        """
        return self._measured.curvature

    @property
    def _measured(self) -> Outputs:
        if self.outputs is None:
            raise NoTable("recorded routing does not tell what experts put out; run cosim calibrate MODEL")
        return self.outputs

    @property
    def sha256(self) -> str:
        """Of what `encoded` gives."""
        return hashlib.sha256(self.encoded().encode()).hexdigest()

    def encoded(self) -> str:
        """As JSON, figures with six digits."""
        return msgspec.json.encode(self, enc_hook=_plain).decode()

    def rounded(self) -> "Calibration":
        """As it will be when it has been written and read."""
        return decoded(self.encoded())


def decoded(text: str | bytes) -> Calibration:
    """What `Calibration.encoded` gave. Raises `ValueError` for anything else, and for a table of another version."""
    table = msgspec.json.decode(text, type=Calibration, dec_hook=_array)
    if table.version != VERSION:
        raise ValueError(f"a table of version {table.version}; this program reads version {VERSION}")
    return table


def _plain(array: Any) -> Any:
    if array.ndim > 1:
        return list(map(_plain, array))
    return [float(f"{figure:.{_DIGITS}g}") for figure in array.tolist()]


def _array(kind: Any, figures: Any) -> Floats:
    assert get_origin(kind) is np.ndarray or kind is np.ndarray
    return np.array(figures, dtype=np.float64)
