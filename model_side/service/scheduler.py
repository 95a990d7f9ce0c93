# SPDX-License-Identifier: Apache-2.0
"""The base station's scheduler: which requests wait, which run, and which rows each forward pass carries.

Continuous batching: a request joins the others between two passes, and leaves when it has its answer (iteration-level
scheduling, as in Orca, Yu et al., OSDI 2022). A long prompt may be read in chunks beside the tokens of others (chunked
prefill, as in Sarathi-Serve, Agrawal et al., OSDI 2024). All of it is a function of what it is told: nothing is drawn
and no clock is read.
"""

import heapq
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from model_side.selection import Part, Phase


class Order(StrEnum):
    """Which of those that wait comes next: the first that came, or the one with the fewest tokens to read and write."""

    FIRST_COME_FIRST_SERVED = "first-come-first-served"
    SHORTEST_FIRST = "shortest-first"


class Prefill(StrEnum):
    """How prompts are read.

    `together`: in passes that also carry the next tokens of the others. `apart`: in passes of their own, before any
    next token.
    """

    TOGETHER = "together"
    APART = "apart"


class Ending(StrEnum):
    """How a request ended.

    `done`: with its whole answer. `cancelled`: its user left. `timed-out`: the base station gave it up. `queue-full`:
    it found no place to wait. `too-large`: its KV cache would not fit if it were alone. `unheard`: its prompt did not
    come through.
    """

    DONE = "done"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"
    QUEUE_FULL = "queue-full"
    TOO_LARGE = "too-large"
    UNHEARD = "unheard"


@dataclass(frozen=True)
class Rules:
    """What the scheduler goes by; 0 is no bound.

    `requests`: how many run at a time. `cache_bytes`: how much their KV caches take together, each counted with all the
    tokens that it may come to have. `queue`: how many wait. `chunk_tokens`: how many tokens of prompts a pass reads.
    `timeout_ns`: how long after its arrival a request has its answer, or is given up.
    """

    requests: int = 0
    cache_bytes: int = 0
    queue: int = 0
    order: Order = Order.FIRST_COME_FIRST_SERVED
    prefill: Prefill = Prefill.TOGETHER
    chunk_tokens: int = 0
    timeout_ns: int = 0


@dataclass(frozen=True)
class Arrival:
    """A request that arrives; `patience_ns`: how long after that its user leaves, None for never. `user`: which of the
    cell's asks it, None for one on the wired side. `is_heard`: whether its prompt came through whole, or this is when
    that was known."""

    request: int
    at_ns: int
    prompt_tokens: int
    new_tokens: int
    patience_ns: int | None = None
    user: int | None = None
    is_heard: bool = True

    @property
    def tokens(self) -> int:
        """All that it comes to have."""
        return self.prompt_tokens + self.new_tokens


@dataclass(frozen=True)
class RequestRecord:
    """What became of a request. `admitted_ns`: when it began to run, None if it never did."""

    request: int
    arrival_ns: int
    prompt_tokens: int
    new_tokens: int
    admitted_ns: int | None
    end_ns: int
    ending: Ending


@dataclass
class _Running:
    """A request that was admitted, how much of its prompt was read, and how many tokens it was given.

    `leaving`: when it would leave without its answer, and how that is called.
    """

    arrival: Arrival
    admitted_ns: int
    cache_bytes: int
    leaving: tuple[int, Ending] | None
    read: int = 0
    given: int = 0

    @property
    def left_to_read(self) -> int:
        return self.arrival.prompt_tokens - self.read


@dataclass
class Scheduler:
    """Requests in front of one base station. `bytes_of`: of the KV cache of so many tokens of one request.

    `arrive` is called in order of time, `batch` between passes and `passed` after each. Who wants to leave while he
    waits does so at once; who runs, when the pass is over that carries him.
    """

    rules: Rules
    bytes_of: Callable[[int], int] = field(default=lambda tokens: 0)

    def __post_init__(self) -> None:
        self._waiting: dict[int, Arrival] = {}
        self._order: list[tuple[int, int, int]] = []  # a heap of those that wait, and of some that left
        self._running: dict[int, _Running] = {}
        self._leaving: list[tuple[int, int]] = []  # a heap of when those that wait will leave, and some others
        self._ended: list[RequestRecord] = []
        self.cache_bytes = 0
        """What the KV caches of those that run may come to take."""

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many requests run."""
        return len(self._running)

    def arrive(self, arrival: Arrival) -> None:
        """Let a request wait, or turn it away."""
        self._leave(arrival.at_ns)
        rules = self.rules
        if not arrival.is_heard:
            self._end(arrival, None, arrival.at_ns, Ending.UNHEARD)
            return
        if rules.cache_bytes and self.bytes_of(arrival.tokens) > rules.cache_bytes:
            self._end(arrival, None, arrival.at_ns, Ending.TOO_LARGE)
            return
        if rules.queue and self.waiting >= rules.queue:
            self._end(arrival, None, arrival.at_ns, Ending.QUEUE_FULL)
            return
        self._waiting[arrival.request] = arrival
        shortest = rules.order is Order.SHORTEST_FIRST
        heapq.heappush(self._order, (arrival.tokens if shortest else 0, arrival.at_ns, arrival.request))
        if leaving := self._when_leaves(arrival):
            heapq.heappush(self._leaving, (leaving[0], arrival.request))

    def batch(self, now_ns: int) -> tuple[Part, ...]:
        """The rows of the pass that begins now, in the order in which their requests were admitted; none if idle."""
        self._leave(now_ns)
        self._admit(now_ns)
        running = self._running.values()
        reading = [each for each in running if each.left_to_read]
        apart = bool(reading) and self.rules.prefill is Prefill.APART
        room = self.rules.chunk_tokens or sum(each.left_to_read for each in reading)
        parts: list[Part] = []
        for each in running:
            request = each.arrival.request
            if each.left_to_read:
                tokens = min(each.left_to_read, room)
                room -= tokens
                if tokens:
                    parts.append(Part(Phase.PREFILL, request, each.read, tokens))
            elif not apart:
                parts.append(Part(Phase.DECODE, request, each.read + each.given - 1, 1))
        return tuple(parts)

    def gives(self, part: Part) -> bool:
        """Whether rows of the latest batch end with the next token of their request: not in the midst of a prompt."""
        return part.context >= self._running[part.request].arrival.prompt_tokens

    def passed(self, parts: Sequence[Part], now_ns: int, ended: Collection[int] = ()) -> None:
        """Take note of a pass that came to its end now; `ended`: requests whose text did."""
        for part in parts:
            each = self._running[part.request]
            each.given += self.gives(part)
            each.read += part.tokens if part.phase is Phase.PREFILL else 0
        self._leave(now_ns)
        for running in [*self._running.values()]:
            request = running.arrival.request
            if running.leaving and running.leaving[0] < now_ns:
                self._stop(running, now_ns, running.leaving[1])
            elif running.given == running.arrival.new_tokens or request in ended:
                self._stop(running, now_ns, Ending.DONE)

    def ended(self) -> Iterator[RequestRecord]:
        """Those that ended since it was last asked, in order."""
        ended, self._ended = self._ended, []
        return iter(ended)

    def _admit(self, now_ns: int) -> None:
        rules = self.rules
        while self._waiting and not (rules.requests and self.running >= rules.requests):
            request = self._order[0][-1]
            if request not in self._waiting:  # it left
                heapq.heappop(self._order)
                continue
            needs_bytes = self.bytes_of(self._waiting[request].tokens)
            if rules.cache_bytes and self.cache_bytes + needs_bytes > rules.cache_bytes:
                return  # and nobody overtakes it
            heapq.heappop(self._order)
            arrival = self._waiting.pop(request)
            self._running[request] = _Running(arrival, now_ns, needs_bytes, self._when_leaves(arrival))
            self.cache_bytes += needs_bytes

    def _when_leaves(self, arrival: Arrival) -> tuple[int, Ending] | None:
        """When a request would leave without its answer; None for never."""
        after = ((arrival.patience_ns, Ending.CANCELLED), (self.rules.timeout_ns or None, Ending.TIMED_OUT))
        return min(((arrival.at_ns + ns, ending) for ns, ending in after if ns is not None), default=None)

    def _leave(self, now_ns: int) -> None:
        """Let go those that wait and would have left before now."""
        while self._leaving and self._leaving[0][0] < now_ns:
            _, request = heapq.heappop(self._leaving)
            if arrival := self._waiting.pop(request, None):
                leaving = self._when_leaves(arrival)
                assert leaving is not None
                self._end(arrival, None, *leaving)

    def _stop(self, running: _Running, now_ns: int, ending: Ending) -> None:
        del self._running[running.arrival.request]
        self.cache_bytes -= running.cache_bytes
        self._end(running.arrival, running.admitted_ns, now_ns, ending)

    def _end(self, arrival: Arrival, admitted_ns: int | None, end_ns: int, ending: Ending) -> None:
        asked = (arrival.prompt_tokens, arrival.new_tokens)
        self._ended.append(RequestRecord(arrival.request, arrival.at_ns, *asked, admitted_ns, end_ns, ending))
