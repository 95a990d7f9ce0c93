# SPDX-License-Identifier: Apache-2.0
"""One workload over one network, which stands still at each MoE layer until somebody outside has decided it.

The loop over requests, passes and layers is that of every run (`model_side.serving.Serving.serve`), and it calls the
policy. Here the policy is a door: the loop runs in a greenlet, which hands the layer out, and goes on when the
selection comes back. So nothing of the loop is written a second time, and no thread waits for another.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from greenlet import getcurrent, greenlet

from model_side.base_station import BaseStation
from model_side.exchange import LayerExchange
from model_side.policies import Policy, Steps
from model_side.selection import Layer, Selection
from model_side.serving import Serving, TokenRecord


@dataclass(frozen=True)
class Passed:
    """What came of a decision: the layer's `exchange`, the `tokens` that it ended, and the next `layer`, if any."""

    exchange: LayerExchange
    tokens: tuple[TokenRecord, ...]
    layer: Layer | None


class Episode:
    """What `serving` asks, over the base station that `station` makes for a policy and a listener.

    `begin` first, then `decide` as long as there is a layer, in the thread that began; `close` at any time. What fails
    on the way is raised from where it was waited for.
    """

    def __init__(self, serving: Serving, station: Callable[[Steps, Callable[[LayerExchange], None]], BaseStation]):
        self._serving = serving
        self._station = station(Steps([_Door()]), self._exchanged)
        self._loop = greenlet(self._serve)
        self._exchanges: list[LayerExchange] = []
        self._tokens: list[TokenRecord] = []

    def begin(self) -> Layer | None:
        """The first layer."""
        return self._go_on()

    def decide(self, selection: Selection) -> Passed:
        """Go on with this selection for the layer that stands open, up to the next one."""
        layer = self._go_on(selection)
        (exchange,), tokens = self._exchanges, tuple(self._tokens)
        self._exchanges.clear()
        self._tokens.clear()
        return Passed(exchange, tokens, layer)

    def close(self) -> None:
        """Leave it where it is."""
        if self._loop:
            self._loop.throw()

    def _serve(self) -> None:
        for token in self._serving.serve(self._station):
            self._tokens.append(token)

    def _exchanged(self, exchange: LayerExchange) -> None:
        self._exchanges.append(exchange)

    def _go_on(self, *selection: Selection) -> Layer | None:
        self._loop.parent = getcurrent()
        with _own_modes():
            layer: Layer | None = self._loop.switch(*selection)
        return layer


class _Door(Policy):
    """Asks whoever let the loop go on."""

    name = "agent"

    def __call__(self, layer: Layer) -> Selection:
        with _outside():
            selection: Selection = getcurrent().parent.switch(layer)
        return selection


@contextmanager
def _outside() -> Iterator[None]:
    """Out of a model's inference, which PyTorch keeps by thread: an agent outside may take gradients meanwhile."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def _own_modes() -> Iterator[None]:
    """The same mode after it as before, whatever the loop had."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    gradients = torch.is_grad_enabled()
    try:
        yield
    finally:
        torch.set_grad_enabled(gradients)
