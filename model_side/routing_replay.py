# SPDX-License-Identifier: Apache-2.0
"""Requests whose routing was recorded: policies and network without a model.

The recorded gate asks as the model did when it ran, so what the links do to a layer does not change what the next
layers ask, nor the tokens. How much harm was done is told by a proxy alone (`model_side.quality.GateProxy`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from model_side.base_station import BaseStation
from model_side.quality import GateProxy
from model_side.routing import Gate, kept_of
from model_side.routing_trace import RoutingTrace
from model_side.selection import DeviceWork
from model_side.serving import TokenRecord

_BLOCK_ROWS = 1 << 15


class RoutingReplay:
    """The requests of `trace`; `proxy`: whether to keep that."""

    def __init__(self, trace: RoutingTrace, proxy: bool):
        self._trace = trace
        self._proxy = proxy
        self.model = trace.model
        self.shape = trace.shape
        self.probabilities = trace.probabilities is not None
        self.exchanges = len(trace.begin) - 1
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
                    kept_here, lost_here = kept_of(gate, came)
                    kept, lost = kept + kept_here, lost + lost_here
                exchange += 1
            end_ns = base_station.finish()
            proxy = GateProxy(count * layers, sum(totals[whole:exchange]), kept, lost) if self._proxy else None
            yield TokenRecord(request, position + count, next_token, start_ns, end_ns, proxy)
