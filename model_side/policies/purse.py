# SPDX-License-Identifier: Apache-2.0
"""A pass's purse of nats: spent in the layers where they buy most time."""

import numpy as np

from model_side.routing import Floats

PRICES_S = np.geomspace(1e-7, 1e3, 101)
"""Seconds for a nat, that may be the price of a pass."""
MOST_SAVED = 64
"""So many tokens' nats are kept for passes to come, at most."""


class Purse:
    """The nats that forward passes may cost, `token_nats` for each of their tokens.

    Each layer has plans, from nothing on, that take some seconds and cost some nats. At one price for all layers, the
    nats of a pass buy most time. So a layer takes the plan that is best at the lowest price at which it and all that
    are to come can be paid. What those will want at each price is what they wanted in the pass before; before there was
    one, what this one wants. What is left over goes to the next pass.
    """

    def __init__(self, token_nats: float):
        self._token_nats = token_nats
        self._tokens = 0
        self.left_nats = 0.0
        self._wanted: dict[int, Floats] = {}

    def begin(self, tokens: int) -> None:
        """Begin a pass of so many tokens."""
        self._tokens = tokens
        self.left_nats = min(self.left_nats, MOST_SAVED * self._token_nats) + tokens * self._token_nats

    def choose(self, layer: int, layers: int, seconds: Floats, nats: Floats) -> int:
        """Pay for one of the plans [G] of a layer, and return its number; the first is free."""
        best = (seconds[:, None] + nats[:, None] * PRICES_S).argmin(axis=0)
        wanted = nats[best] / self._tokens
        coming = [self._wanted.get(number, wanted) for number in range(layer + 1, layers)]
        self._wanted[layer] = wanted
        affordable = self._tokens * (wanted + sum(coming)) <= self.left_nats
        chosen = int(best[affordable.argmax()]) if affordable.any() else 0
        self.left_nats -= float(nats[chosen])
        return chosen
