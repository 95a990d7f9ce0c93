# SPDX-License-Identifier: Apache-2.0
"""Recursive least squares of seconds over what is sent, for every direction of every device at once."""

from collections.abc import Sequence

import numpy as np

from model_side.routing import Floats, Indices

NOISE = 0.2  # at first, the standard deviation of a transfer's time over what is expected of it
LEAST_NOISE = 0.01
MEMORY = 0.9  # what one transfer leaves of the weight of those before it in what is known of the noise
MOST = 1.0  # no transfer counts for more than being off by this times what was expected, or by half where quicker
DRIFT = 0.07  # by which part of what it was unsure of at first a coefficient may wander from one transfer to the next
LEAST_S = 1e-6


class Regression:
    """For each direction of each device, seconds = floor + sum over k of coefficient[k] * feature[k].

    A Kalman filter whose coefficients wander; the floor, feature 1, is the first of them. `first` [K] is what they are
    expected to be before anything was seen, `unsure` [K] the standard deviation of that; a floor is no more than half
    of the first transfer. Transfers count by how far they are off in proportion to what was expected, so those of a
    token and those of a prompt count alike; how much they scatter is learned as well. No coefficient is below 0: more
    bytes never take less time. The form is ours.
    """

    def __init__(self, devices: int, first: Sequence[float], unsure: Sequence[float]):
        variance = np.square(np.asarray(unsure, dtype=np.float64))
        self.coefficients = np.tile(np.asarray(first, dtype=np.float64)[:, None, None], (1, 2, devices))
        self._most = np.tile(variance[:, None, None], (1, 2, devices))
        self._covariance = np.eye(len(variance))[..., None, None] * self._most
        self._noise = np.full((2, devices), NOISE**2)
        self._is_new = np.ones(devices, dtype=bool)

    def learn(self, devices: Indices, features: Floats, seconds: Floats) -> None:
        """Of each of `devices` [M], the features [K - 1, 2, M] of what was sent and the seconds [2, M] that it took."""
        coefficients, most = self.coefficients[..., devices], self._most[..., devices]
        covariance, noise = self._covariance[..., devices], self._noise[:, devices]
        new = self._is_new[devices]
        if new.any():
            half_s = np.maximum(seconds[:, new] / 2, LEAST_S)
            coefficients[0][:, new] = np.minimum(coefficients[0][:, new], half_s)
            most[0][:, new] = np.minimum(most[0][:, new], half_s**2)
            covariance[0, 0] = np.minimum(covariance[0, 0], most[0])
            self._most[..., devices], self._is_new[devices] = most, False

        each = np.arange(len(coefficients))
        covariance[each, each] += DRIFT**2 * most
        # None is less sure than at first, however long nothing tells coefficients apart.
        held = np.sqrt(np.minimum(most / covariance[each, each], 1))
        covariance *= held[:, None] * held

        scaled = np.empty_like(coefficients)
        scaled[0], scaled[1:] = 1, features
        expected_s = np.maximum((coefficients * scaled).sum(axis=0), LEAST_S)
        scaled /= expected_s
        spread = (covariance * scaled).sum(axis=1)
        unsure = (scaled * spread).sum(axis=0)
        gain = spread / (unsure + noise)
        off = np.minimum(np.maximum(seconds / expected_s - 1, -MOST / 2), MOST)
        self.coefficients[..., devices] = np.maximum(coefficients + gain * off, 0)
        self._covariance[..., devices] = covariance - gain[:, None] * spread
        scatter = np.minimum(np.maximum(off**2 - unsure, LEAST_NOISE**2), NOISE**2)
        self._noise[:, devices] = MEMORY * noise + (1 - MEMORY) * scatter
