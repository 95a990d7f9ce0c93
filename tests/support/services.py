# SPDX-License-Identifier: Apache-2.0
"""A service whose passes take what a function says, with no model, no network and no base station."""

from collections.abc import Callable, Collection, Iterable, Sequence

from model_side.selection import Part
from model_side.service.coming import Wired
from model_side.service.scheduler import Arrival, RequestRecord, Rules, Scheduler
from model_side.service.serve import PassRecord, serve
from model_side.serving import TokenRecord

Took = Callable[[Sequence[Part]], int]
NO_BOUNDS = Rules()


class Passes:
    """Clock and answers in one: a pass takes `took_ns` of its rows, and each next token is the request's number."""

    def __init__(self, took_ns: Took, ends: Collection[int] = ()):
        self.ends = ends
        self.ready_ns = 0
        self.dropped: list[int] = []
        self._took_ns = took_ns

    def idle(self, until_ns: int) -> None:
        assert until_ns > self.ready_ns
        self.ready_ns = until_ns

    def run(self, parts: Sequence[Part], gives: Collection[int]) -> list[TokenRecord]:
        start_ns = self.ready_ns
        self.ready_ns += self._took_ns(parts)
        return [
            TokenRecord(part.request, part.context, part.request, start_ns, self.ready_ns, None)
            for part in parts
            if part.request in gives
        ]

    def drop(self, request: int) -> None:
        self.dropped.append(request)


def served(
    arrivals: Iterable[Arrival],
    rules: Rules = NO_BOUNDS,
    took_ns: Took = lambda parts: 10,
    bytes_of: Callable[[int], int] = lambda tokens: tokens,
    scheduler: Scheduler | None = None,
    ends: Collection[int] = (),
) -> tuple[list[PassRecord], list[TokenRecord], list[RequestRecord]]:
    """What comes of arrivals: the passes, the tokens, and the requests by number."""
    passes = Passes(took_ns, ends)
    records = list(serve(passes, Wired(arrivals), scheduler or Scheduler(rules, bytes_of), passes))
    requests = [each for each in records if isinstance(each, RequestRecord)]
    assert passes.dropped == [each.request for each in requests]
    return (
        [each for each in records if isinstance(each, PassRecord)],
        [each for each in records if isinstance(each, TokenRecord)],
        sorted(requests, key=lambda each: each.request),
    )
