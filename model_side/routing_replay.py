# SPDX-License-Identifier: Apache-2.0
"""Requests whose routing was recorded: policies and network without a model.

The recorded gate asks as the model did when it ran, so what the links do to a layer does not change what the next
layers ask, nor the tokens. How much harm was done is told by a proxy alone (`model_side.quality.GateProxy`).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.network import RequestError
from model_side.base_station import BaseStation
from model_side.quality import GateProxy, summed
from model_side.routing import Gate, Indices, kept_of
from model_side.routing_trace import RoutingTrace
from model_side.selection import DeviceWork, Part, Phase
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
        bounds = np.flatnonzero(np.diff(self._trace.request, prepend=-1, append=-1))
        self._first = bounds[:-1]  # the first pass of each request
        self.sizes = list(zip(self._trace.tokens[self._first].tolist(), np.diff(bounds).tolist(), strict=True))

    def answers(self, base_station: BaseStation) -> "RecordedAnswers":
        """See `model_side.service.serve.Batched`. Raises `RequestError` for passes that no scheduler makes."""
        trace = self._trace
        if (trace.decode & (trace.tokens > 1)).any() or trace.decode[self._first].any():
            reason = "to serve many requests at once, each is one prefill and then passes of one token; this one is not"
            raise RequestError("model.routing", reason)
        return RecordedAnswers(self._trace, self._first, self._proxy, base_station)

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


class RecordedAnswers:
    """Many recorded requests at once, see `model_side.service.serve.Answers`; `first`: the first pass of each."""

    ends: Collection[int] = ()

    def __init__(self, trace: RoutingTrace, first: NDArray[np.int64], proxy: bool, base_station: BaseStation):
        self._trace = trace
        self._first = first
        self._proxy = proxy
        self._base_station = base_station
        self._sums: dict[int, list[GateProxy]] = {}  # of rows that gave no token yet

    def run(self, parts: Sequence[Part], gives: Collection[int]) -> list[TokenRecord]:
        """See `model_side.service.serve.Answers`."""
        trace, layers = self._trace, len(self._trace.shape.moe_layers)
        start_ns = self._base_station.begin_batch(tuple(parts))
        passes = [self._pass_of(part) for part in parts]
        bounds = np.cumsum([0, *(part.tokens for part in parts)])
        for layer in range(layers):
            rows = np.concatenate([self._rows(*each, layer) for each in zip(parts, passes, strict=True)])
            router = None if trace.probabilities is None else trace.probabilities[rows]
            experts = trace.experts[rows].astype(np.int64)
            gate = Gate(layer, trace.shape.experts, router, trace.weights[rows], experts)
            _, came = self._base_station.route(gate)
            if self._proxy:
                for part, begin, end in zip(parts, bounds, bounds[1:], strict=False):
                    self._sums.setdefault(part.request, []).append(_proxy_of(gate, came, slice(begin, end)))
        end_ns = self._base_station.finish(len(gives))
        tokens = []
        for part, number in zip(parts, passes, strict=True):
            if part.request in gives:
                proxy = summed(self._sums.pop(part.request)) if self._proxy else None
                token = int(trace.next_token[number])
                tokens.append(TokenRecord(part.request, part.context, token, start_ns, end_ns, proxy))
        return tokens

    def drop(self, request: int) -> None:
        """See `model_side.service.serve.Answers`."""
        self._sums.pop(request, None)

    def _pass_of(self, part: Part) -> int:
        """The recorded pass that these rows are of: the prompt's, or the one that begins where they do."""
        first = int(self._first[part.request])
        return first if part.phase is Phase.PREFILL else first + 1 + part.position - int(self._trace.tokens[first])

    def _rows(self, part: Part, number: int, layer: int) -> NDArray[np.int64]:
        """Where the trace has them."""
        begin = int(self._trace.begin[number * len(self._trace.shape.moe_layers) + layer])
        begin += part.position - int(self._trace.position[number])
        return np.arange(begin, begin + part.tokens)


def _proxy_of(gate: Gate, came: Indices, rows: slice) -> GateProxy:
    """Of some rows of a layer."""
    its = Gate(gate.layer, gate.experts, None, gate.weights[rows], gate.indices[rows])
    total = float(np.add.reduceat(its.weights.sum(axis=1, dtype=np.float64), [0])[0])
    kept, lost = (total, 0) if came is gate.indices else kept_of(its, came[rows])
    return GateProxy(len(its.indices), total, kept, lost)
