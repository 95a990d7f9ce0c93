# SPDX-License-Identifier: Apache-2.0
"""Requests whose routing was recorded: policies and network without a model.

The recorded gate asks as the model did when it ran, so what the links do to a layer does not change what the next
layers ask, nor the tokens. How much harm was done is told by a proxy alone (`model_side.quality.GateProxy`).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_side.base_station import BaseStation
from model_side.quality import GateProxy
from model_side.routing import Gate, Indices
from model_side.routing_trace import RoutingTrace
from model_side.selection import DeviceWork
from model_side.serving import TokenRecord

_BLOCK_ROWS = 1 << 15


class RoutingReplay:
    """The first `requests` requests of the trace at `path`, or all if it has no more; `proxy`: whether to keep that.

    Raises `RequestError` as `RoutingTrace.read`.
    """

    def __init__(self, path: Path, requests: int, proxy: bool):
        self._trace = RoutingTrace.read(path).first(requests)
        self._proxy = proxy
        self.model = self._trace.model
        self.shape = self._trace.shape
        self.probabilities = self._trace.probabilities is not None
        self.exchanges = len(self._trace.begin) - 1
        self.record: Mapping[str, Any] = {}

    def serve(self, base_station: BaseStation) -> Iterator[TokenRecord]:
        """See `model_side.serving.Serving`."""
        trace, layers = self._trace, len(self.shape.moe_layers)
        rows = trace.begin[::layers]
        first = 0
        while first < len(trace.request):
            end = max(int(np.searchsorted(rows, rows[first] + _BLOCK_ROWS, side="right")) - 1, first + 1)
            yield from self._serve(base_station, first, end)
            first = end

    def _serve(self, base_station: BaseStation, first: int, end: int) -> Iterator[TokenRecord]:
        """Passes `first` to `end`, whose work for the devices is computed at once."""
        trace, layers = self._trace, len(self.shape.moe_layers)
        begin = trace.begin[first * layers : end * layers + 1]
        experts = trace.experts[begin[0] : begin[-1]].astype(np.int64)
        weights = trace.weights[begin[0] : begin[-1]]
        probabilities = None if trace.probabilities is None else trace.probabilities[begin[0] : begin[-1]]
        starts = begin[:-1] - begin[0]
        works = base_station.works(experts, starts, np.arange(len(starts)) % layers)
        totals = np.add.reduceat(weights.sum(axis=1, dtype=np.float64), starts).tolist()
        bounds = (begin - begin[0]).tolist()
        columns = (trace.request, trace.position, trace.tokens, trace.next_token)
        exchange = 0
        for number, (request, position, count, next_token) in enumerate(
            zip(*(column[first:end].tolist() for column in columns), strict=True), first
        ):
            start_ns = base_station.begin(trace.phase(number), request, position)
            kept, lost = 0.0, 0
            whole = exchange
            for layer in range(layers):
                part = slice(bounds[exchange], bounds[exchange + 1])
                router = None if probabilities is None else probabilities[part]
                gate = Gate(layer, self.shape.experts, router, weights[part], experts[part])
                work = None if works is None else DeviceWork(works.tokens[exchange], works.compute_s[exchange])
                _, came = base_station.route(gate, work)
                if came is gate.indices:
                    kept += totals[exchange]
                elif self._proxy:
                    kept_here, lost_here = _kept(gate, came)
                    kept, lost = kept + kept_here, lost + lost_here
                exchange += 1
            end_ns = base_station.finish()
            proxy = GateProxy(count * layers, sum(totals[whole:exchange]), kept, lost) if self._proxy else None
            yield TokenRecord(request, position + count, next_token, start_ns, end_ns, proxy)


def _kept(gate: Gate, came: Indices) -> tuple[float, int]:
    """The gate's weight of the experts that came back, and how many tokens miss their best expert."""
    there: NDArray[np.bool_] = (gate.indices[:, :, None] == came[:, None, :]).any(axis=2)
    best = gate.weights.argmax(axis=1)
    return float(gate.weights.sum(where=there, dtype=np.float64)), int((~there[np.arange(len(best)), best]).sum())
