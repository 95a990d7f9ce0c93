# SPDX-License-Identifier: Apache-2.0
"""`piggyback`: further experts of the devices that a token is sent to anyway."""

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from model_side.policies.choosing import best, choose, ranks
from model_side.policies.policy import Policy
from model_side.routing import Indices, Mask
from model_side.selection import Layer, Selection


class Piggyback(Policy):
    """A token's heaviest experts, and then the most probable ones that the devices of these hold too.

    Several experts of one device cost nothing more on the air: a token's hidden state is sent to it once, and one
    vector comes back. An expert that several of these devices hold is asked on the quickest.

    `base`: so many of a token's heaviest experts, as chosen so far, say which devices it is sent to.

    `most`: experts a token, at most; where it is left out, the model's k, and never below `base`.
    """

    name: ClassVar[str] = "piggyback"
    formula: ClassVar[str] = "top-k0 of w, then by p_e up to k experts with d(e) in the devices of these"
    source: ClassVar[str] = (
        "after OEA (arXiv 2511.02237), which was seen in notes of others: there tokens fill up with experts that the "
        "batch has loaded anyway. Devices in the place of loaded experts are ours."
    )
    needs_probabilities: ClassVar[bool] = True

    base: Annotated[int, Meta(ge=1)] = 1
    most: Annotated[int, Meta(ge=1)] | None = None

    def __call__(self, layer: Layer) -> Selection:
        none = layer.experts
        is_base = (ranks(layer.weights) < self.base) & (layer.indices < none)
        base = np.where(is_base, layer.indices, none)
        sent = np.zeros((layer.tokens, layer.devices + 1), dtype=bool)
        np.put_along_axis(sent, np.where(is_base, layer.slot_devices, layer.devices), True, axis=1)
        sent = sent[:, :-1]
        score = np.zeros((layer.tokens, none + 1), dtype=np.float32)
        np.copyto(score[:, :-1], layer.probabilities, where=self._reach(layer, sent))
        np.put_along_axis(score, base, np.inf, axis=1)
        score[:, none] = 0
        most = max(self.most or layer.gate.indices.shape[1], min(self.base, layer.indices.shape[1]))
        found = best(score, min(most, none))
        found = np.where(np.take_along_axis(score, found, axis=1) > 0, found, none)
        return choose(layer, found, self._devices(layer, sent, found))

    @staticmethod
    def _reach(layer: Layer, sent: Mask) -> Mask:
        """Which experts [N, E] some device holds that the token is sent to (`sent` [N, D])."""
        if not layer.placement.is_replicated:
            return np.asarray(sent.take(layer.device_of, axis=1))
        return np.asarray(sent.astype(np.float32) @ layer.placement.holds.T.astype(np.float32) > 0)

    @staticmethod
    def _devices(layer: Layer, sent: Mask, found: Indices) -> Indices | None:
        """The quickest device of each slot [N, k'] of those that the token is sent to; None where there is but one."""
        if not layer.placement.is_replicated:
            return None
        holds = np.pad(layer.placement.holds, ((0, 1), (0, 0)))
        devices = np.full_like(found, layer.devices)
        for slot in range(found.shape[1]):
            may = holds[found[:, slot]] & sent
            quickest = np.where(may, layer.prediction.seconds, np.inf).argmin(axis=1)
            devices[:, slot] = np.where(may.any(axis=1), quickest, layer.devices)
        return devices
