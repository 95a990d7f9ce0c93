# SPDX-License-Identifier: Apache-2.0
"""The service: requests arrive, the scheduler makes batches of them, and the base station runs pass after pass."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from model_side.base_station import BaseStation
from model_side.selection import Part
from model_side.service.coming import Coming
from model_side.service.scheduler import RequestRecord, Scheduler
from model_side.serving import TokenRecord


@dataclass(frozen=True)
class PassRecord:
    """A forward pass that lasted from `start_ns` to `end_ns`. When it began `waiting` requests waited for another, and
    the KV caches of those that ran could come to take `cache_bytes`."""

    parts: tuple[Part, ...]
    start_ns: int
    end_ns: int
    waiting: int
    cache_bytes: int


class Clock(Protocol):
    """Whose time it is: the base station's."""

    @property
    def ready_ns(self) -> int:
        """Virtual time at which the next pass can begin."""

    def idle(self, until_ns: int) -> None:
        """Let virtual time go by with nothing to do."""


class Answers(Protocol):
    """What computes the passes. `ends`: tokens that end a text."""

    ends: Collection[int]

    def run(self, parts: Sequence[Part], gives: Collection[int]) -> list[TokenRecord]:
        """Run one pass with these rows, which moves virtual time; the next token of each request in `gives`."""

    def drop(self, request: int) -> None:
        """Forget a request, which will not be asked for again."""


class Batched(Protocol):
    """Requests, and what answers many of them at once. `sizes`: of each its prompt's tokens and its new ones."""

    sizes: Sequence[tuple[int, int]]

    def answers(self, base_station: BaseStation) -> Answers:
        """What computes the passes over `base_station`; anew at each call."""


def serve(
    clock: Clock, coming: Coming, scheduler: Scheduler, answers: Answers
) -> Iterator[TokenRecord | PassRecord | RequestRecord]:
    """Serve all requests; yields what there is to record as soon as it happened."""

    def let_in(now_ns: int) -> None:
        for arrival in coming.until(now_ns):
            scheduler.arrive(arrival)

    let_in(clock.ready_ns)
    while True:
        start_ns = clock.ready_ns
        parts = scheduler.batch(start_ns)
        yield from _ended(scheduler, answers)
        if not parts:
            if (more_ns := coming.wait()) is None:
                coming.finish()
                return
            clock.idle(more_ns)
            let_in(clock.ready_ns)
            continue
        waiting, cache_bytes = scheduler.waiting, scheduler.cache_bytes
        tokens = answers.run(parts, {part.request for part in parts if scheduler.gives(part)})
        end_ns = clock.ready_ns
        yield PassRecord(parts, start_ns, end_ns, waiting, cache_bytes)
        yield from tokens
        coming.give(tokens)
        let_in(end_ns)
        scheduler.passed(parts, end_ns, {token.request for token in tokens if token.token_id in answers.ends})


def _ended(scheduler: Scheduler, answers: Answers) -> Iterator[RequestRecord]:
    for record in scheduler.ended():
        answers.drop(record.request)
        yield record
