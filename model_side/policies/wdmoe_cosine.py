# SPDX-License-Identifier: Apache-2.0
"""`wdmoe-cosine`: WDMoE's selection by cosine similarity, as far as it is known."""

from enum import StrEnum
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from model_side.policies.policy import Policy
from model_side.routing import Floats, Mask
from model_side.selection import Layer, Selection


class Sense(StrEnum):
    """On which side of theta a token's similarity makes it lose an expert."""

    BELOW = "below"
    ABOVE = "above"


class Support(StrEnum):
    """Over which experts weights and latencies are compared."""

    ALL = "all"
    CHOSEN = "chosen"


class Wlr(StrEnum):
    """What the total weight-to-latency ratio is."""

    RATIO_OF_SUMS = "ratio-of-sums"
    SUM_OF_RATIOS = "sum-of-ratios"


class WdmoeCosine(Policy):
    """Leave out the lightest expert of tokens whose weights and latencies are not alike, until the total gains enough.

    A reconstruction: the paper's algorithm could not be read, and each doubtful choice is an option. The similarity of
    a token is the cosine of the angle between its experts' weights and their latencies. Near 1 the heavy experts are
    the slow ones, and to leave out a light one buys nothing; where it is small, the light one is slow. In each round
    every token on the wrong side of theta that still has two experts loses its lightest (of equal ones the last),
    whose weight goes to the others; then theta moves one step. The rounds end when the layer's weight-to-latency ratio
    has grown by `gain`, or at the last theta. Latencies are those that were predicted for what had been chosen before.

    `sense`: `below` leaves out where the similarity is at most theta, which rises from `theta` to `theta_max`; `above`
    where it is at least theta, which falls from `theta_max` to `theta`.

    `support`: the cosine is over the experts `chosen` for the token, or over `all` of the layer, with weight 0 where
    the token does not use one. Then it is small for all tokens if few of many experts are chosen, so that on equal
    links nearly all lose one.

    `theta`: the least theta.

    `step`: by how much theta moves in a round.

    `theta_max`: the largest theta.

    `gain`: by how much, relatively, the layer's ratio is to grow.

    `wlr`: that ratio is all tokens' weight over all their latencies (`ratio-of-sums`), or the sum of each slot's
    weight over its latency (`sum-of-ratios`).
    """

    name: ClassVar[str] = "wdmoe-cosine"
    formula: ClassVar[str] = "while WLR < (1 + gain) WLR_0: if cos(w_n, t_n) <= theta drop argmin_i w_ni; theta += step"
    source: ClassVar[str] = (
        "a reconstruction of the selection of WDMoE (arXiv 2405.03131, 2411.06681), none of whose algorithms could be "
        "read. Seen: that it is training-free, joins gate weight and latency in a weight-to-latency ratio, has a "
        "threshold theta and is filed under cosine similarity. From memory: its loop, direction, step and target."
    )

    sense: Sense = Sense.BELOW
    support: Support = Support.CHOSEN
    theta: Annotated[float, Meta(ge=0, le=1)] = 0.5
    step: Annotated[float, Meta(gt=0, le=1)] = 0.1
    theta_max: Annotated[float, Meta(ge=0, le=1)] = 1.0
    gain: Annotated[float, Meta(ge=0)] = 0.01
    wlr: Wlr = Wlr.RATIO_OF_SUMS

    def __call__(self, layer: Layer) -> Selection:
        keep = layer.indices < layer.experts
        if not keep.any():
            return layer.selection
        weights = layer.weights.astype(np.float64)
        seconds = np.where(keep, layer.latency_s, 0)
        all_s = layer.prediction.seconds[layer.device_of] if self.support is Support.ALL else None
        target = (1 + self.gain) * self._ratio(weights, seconds, keep)
        for theta in self._thetas():
            similarity = _similarity(weights * keep, seconds * keep, all_s)
            is_wrong = similarity <= theta if self.sense is Sense.BELOW else similarity >= theta
            loses = np.flatnonzero(is_wrong & (keep.sum(axis=1) > 1))
            left = np.where(keep[loses], weights[loses], np.inf)
            keep[loses, -1 - left[:, ::-1].argmin(axis=1)] = False
            if self._ratio(weights, seconds, keep) >= target:
                break
        return layer.leave_out(keep)

    def _thetas(self) -> list[float]:
        steps = int((self.theta_max - self.theta) / self.step + 1e-9)
        thetas = [self.theta + number * self.step for number in range(steps + 1)] if steps >= 0 else []
        return thetas if self.sense is Sense.BELOW else [self.theta_max - theta + self.theta for theta in thetas]

    def _ratio(self, weights: Floats, seconds: Floats, keep: Mask) -> float:
        """The layer's, when the slots in `keep` [N, k] share all of their tokens' weight."""
        kept = weights * keep
        left = kept.sum(axis=1)
        share = np.divide(weights.sum(axis=1), left, out=np.zeros_like(left), where=left > 0)
        if self.wlr is Wlr.RATIO_OF_SUMS:
            return float((left * share).sum() / (seconds * keep).sum())
        over = np.divide(kept, seconds, out=np.zeros_like(kept), where=keep)
        return float((over.sum(axis=1) * share).sum())


def _similarity(weights: Floats, seconds: Floats, all_s: Floats | None) -> Floats:
    """The cosine [N] of weights and latencies [N, k], 0 where a slot is left out; `all_s` [E] if it is over all."""
    length_s = np.linalg.norm(seconds, axis=1) if all_s is None else np.linalg.norm(all_s)
    lengths = np.linalg.norm(weights, axis=1) * length_s
    along = (weights * seconds).sum(axis=1)
    return np.asarray(np.divide(along, lengths, out=np.zeros_like(along), where=lengths > 0))
