# SPDX-License-Identifier: Apache-2.0
"""`des`: the cheapest experts whose gate weight is enough."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from model_side.policies.choosing import choose
from model_side.policies.policy import Policy
from model_side.routing import Floats
from model_side.selection import Layer, Selection


class Des(Policy):
    """For each token the experts of least cost, of all in the layer, whose probability reaches the layer's quality.

    The cost of an expert is what is predicted of its device for what had been chosen before, in seconds or in joules;
    experts of one device count each, as in the rule's sum. The quality is a share of what the token's own k experts
    have: `gamma0` to the power of the layer's number, counted from 1, so that early layers are held to more. The choice
    is exact for up to 16 experts, and beyond unless the search gives up (see `model_side.policies.search.cheapest`); a
    token that cannot reach its quality with `most` experts has its most probable ones. Whatever an earlier step left
    out may come back.

    `cost`: "seconds" that the device takes, or "joules" for each of the tokens that it gets: those of the device to
    receive, compute and send, and of the BS to send (docs/model/energy.md).

    `gamma0`: the share of quality in the first layer, in each further one to one more power.

    `most`: experts a token, at most; where it is left out, the model's k.

    `effort`: after so many partial choices a token has the best one found so far. Where it is left out, 65,536 for up
    to 16 experts, which never need as many, and 4,096 beyond. Only where the router tells little between many experts
    does a token come to that.
    """

    name: ClassVar[str] = "des"
    formula: ClassVar[str] = (
        "min_x sum_e x_e c_e with sum_e x_e p_e >= gamma0^l sum_(e in top-k) p_e, sum_e x_e <= most"
    )
    source: ClassVar[str] = (
        "dynamic expert selection of DMoE (arXiv 2503.13421). Its abstract was seen, the problem in notes of others. "
        "There the cost is energy and the quality absolute; seconds as a cost, a quality relative to the model's own "
        "choice, the case without a solution and the search are ours. Its joint allocation of subcarriers is not here."
    )
    needs_probabilities: ClassVar[bool] = True

    cost: Literal["seconds", "joules"] = "seconds"
    gamma0: Annotated[float, Meta(gt=0, le=1)] = 0.9
    most: Annotated[int, Meta(ge=1)] | None = None
    effort: Annotated[int, Meta(ge=0)] | None = None

    @property
    def needs_joules(self) -> bool:
        """See `Policy.needs_joules`."""
        return self.cost == "joules"

    def __call__(self, layer: Layer) -> Selection:
        from model_side.policies.search import cheapest  # noqa: PLC0415  (numba takes a while to load)

        own = layer.gate.indices
        most = min(self.most or own.shape[1], layer.experts)
        probabilities = np.ascontiguousarray(layer.probabilities)
        mass = np.take_along_axis(probabilities, own, axis=1).sum(axis=1, dtype=np.float64)
        cost = self._costs(layer)[layer.device_of]
        effort = self.effort if self.effort is not None else 2**16 if layer.experts <= 16 else 2**12
        need = self.gamma0 ** (layer.number + 1) * mass
        return choose(layer, cheapest(probabilities, need, cost, most, effort))

    def _costs(self, layer: Layer) -> Floats:
        """Of an expert on each device [D]."""
        if self.cost == "seconds":
            return layer.prediction.seconds
        return layer.joules.total / np.maximum(layer.work.tokens, 1)
