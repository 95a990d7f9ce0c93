# SPDX-License-Identifier: Apache-2.0
"""A network that never asks twice: what the journal holds is answered from it, the rest by a live network.

One idea serves three ends. An exact replay has the journal alone. A resumed run is answered from the journal until
it has caught up, then by ns-3, to which the recorded exchanges are played first. A run whose ns-3 side is lost plays
them to a new one. Each outcome that ns-3 gives again is compared with the record.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import zip_longest
from struct import Struct
from typing import Any, TypeVar

from msgspec.structs import asdict, replace

from bridge.network import (
    CHANNEL_ROW,
    TRACK_ROW,
    Conveyed,
    Message,
    Outcome,
    PartnerLost,
    RequestError,
    Transfer,
    Wait,
    check_messages,
    check_request,
)
from cosim.errors import Diverged
from cosim.networks.source import Foreseeing, Source, TimedNetwork
from cosim.record.exchange_rows import Asked
from cosim.record.journal import UNDELIVERED, Journal
from model_side.routing import Floats

Answer = TypeVar("Answer")

_ROWS = {"channel": CHANNEL_ROW, "tracks": TRACK_ROW}

MOST_DEATHS = 3
"""An ns-3 side that is lost so often at one exchange would be lost there for ever."""


class JournaledNetwork:
    """The `Network` of one variant of a journal.

    Without `source` there is no other network than the record. `tell` hears what befell the live network, in a word and
    in words.

    `exchange` raises `Diverged` for a request that is not the recorded one, for one beyond the record where there is
    no live network, and where ns-3 does not repeat the record; `PartnerLost` after `MOST_DEATHS` at one exchange.
    """

    def __init__(
        self,
        journal: Journal,
        variant: int,
        name: str,
        source: Source | None,
        tell: Callable[[str, str], None] = lambda kind, message: None,
    ):
        self._journal = journal
        self._variant = variant
        self._name = name
        self._source = source
        self._tell = tell
        self._session: TimedNetwork | None = None
        self._number = 0
        self._calls = 0  # of `convey`
        self.busy_ns = 0
        """Wall-clock nanoseconds that ns-3 took for the latest exchange or call; 0 for one out of the record."""
        self._recorded_info = journal.network_info(variant)
        if self._recorded_info is None:
            if source is None:
                raise Diverged(f"variant {variant} was never recorded")
            if journal.is_empty():  # what fails at the very first would as a rule fail again
                self._session = source.open(self._name)
            self._recorded_info = self._persist(source, lambda session: session.info)
        self.info = self._recorded_info
        self.now_ns = self.info.now_ns

    def exchange(
        self,
        transfers: Sequence[Transfer],
        depart_ns: int,
        deadline_ns: int,
        wait: Wait = Wait.ALL,
        bandwidth_shares: Sequence[float] | None = None,
    ) -> Outcome:
        """As `bridge.network.Network.exchange`; more in the class's description."""
        check_request(self.info, self.now_ns, transfers, depart_ns, deadline_ns, bandwidth_shares)
        shares = None if bandwidth_shares is None else tuple(bandwidth_shares)
        asked = Asked(tuple(transfers), depart_ns, deadline_ns, wait, shares)
        recorded = self._journal.recorded(self._variant, self._number + 1)
        if recorded is None:
            outcome = self._ask(asked)
        else:
            outcome = recorded.outcome
            self.busy_ns = 0
            if recorded.asked != asked:
                changes = _changes(recorded.asked._asdict(), asked._asdict())
                raise Diverged(f"{self._place(self._number + 1)}: asked otherwise: {changes}")
        self._number += 1
        self.now_ns = outcome.now_ns
        return outcome

    def convey(self, messages: Sequence[Message], until_ns: int) -> Conveyed:
        """As `bridge.network.MessageNetwork.convey`; otherwise as `exchange`."""
        check_messages(self.info, self.now_ns, messages, until_ns)
        asked = tuple(messages), until_ns
        recorded = self._journal.recorded_call(self._variant, self._calls + 1)
        if recorded is None:
            if self._source is None:
                raise Diverged(f"{self._call(self._calls + 1)}: the record ends before it")
            conveyed = self._persist(self._source, lambda session: session.convey(*asked))
        else:
            conveyed = recorded.conveyed
            self.busy_ns = 0
            if (recorded.messages, recorded.until_ns) != asked or recorded.exchange != self._number:
                raise Diverged(f"{self._call(self._calls + 1)}: asked otherwise")
        self._calls += 1
        self.now_ns = conveyed.now_ns
        return conveyed

    def foresee(self, transfers: Sequence[Transfer], depart_ns: int, deadline_ns: int) -> Floats:
        """As `cosim.networks.what_if.WhatIfNetwork.foresee`. Raises `RequestError` where there is no such network."""
        if not isinstance(self._session, Foreseeing):
            raise RequestError("policies", "what will come only a what-if can tell: ask a run with cosim replay RUN")
        return self._session.foresee(transfers, depart_ns, deadline_ns)

    def close(self) -> None:
        """End the live session, if there is one. Closing twice does nothing."""
        if self._session is not None:
            self._session.close()

    def _ask(self, asked: Asked) -> Outcome:
        if self._source is None:
            raise Diverged(f"{self._place(self._number + 1)}: the record ends before it")
        outcome = self._persist(self._source, lambda session: session.exchange(*asked))
        for note in outcome.notes:
            self._tell(UNDELIVERED, note)
        return _without_notes(outcome)

    def _persist(self, source: Source, ask: Callable[[TimedNetwork], Answer]) -> Answer:
        """What the live network answers, by a new session each time that one is lost."""
        place = self._place(self._number + 1)
        deaths = 0
        while True:
            try:
                if self._session is None:
                    self._session = source.open(self._name)
                    self._catch_up(self._session)
                answer = ask(self._session)
            except PartnerLost as error:
                deaths += 1
                self._tell("ns-3 lost", f"{place}: {error}")
                if self._session is not None:
                    with suppress(PartnerLost):
                        self._session.close()
                self._session = None
                source.abandon()
                if deaths == MOST_DEATHS:
                    raise PartnerLost(f"{error}\n{deaths} times at {place}; resume will try again") from error
            else:
                self.busy_ns = self._session.busy_ns
                return answer

    def _catch_up(self, session: TimedNetwork) -> None:
        """Play all recorded exchanges up to now to a new session."""
        wanted = self._recorded_info or session.info
        there = replace(session.info, takes_shares=wanted.takes_shares)  # which no journal keeps
        if there != wanted:
            raise Diverged(f"the network is not the recorded one: {_changes(asdict(wanted), asdict(there))}")
        called = self._call_again(session, 1, 0)
        for number in range(1, self._number + 1):
            recorded = self._journal.recorded(self._variant, number)
            assert recorded is not None
            outcome = _without_notes(session.exchange(*recorded.asked))
            if outcome != recorded.outcome:
                changes = _changes(asdict(recorded.outcome), asdict(outcome))
                raise Diverged(f"{self._place(number)}: ns-3 does not repeat the record: {changes}")
            called = self._call_again(session, called, number)
        if self._number:
            self._tell("caught up", f"{self._number} recorded exchanges were played to ns-3, all came out as recorded")

    def _call_again(self, session: TimedNetwork, number: int, exchange: int) -> int:
        """Play the calls of `convey` from `number` on that came behind so many exchanges; the number of the next."""
        while number <= self._calls:
            recorded = self._journal.recorded_call(self._variant, number)
            assert recorded is not None
            if recorded.exchange != exchange:
                break
            conveyed = session.convey(recorded.messages, recorded.until_ns)
            if conveyed != recorded.conveyed:
                changes = _changes(asdict(recorded.conveyed), asdict(conveyed))
                raise Diverged(f"{self._call(number)}: ns-3 does not repeat the record: {changes}")
            number += 1
        return number

    def _place(self, number: int) -> str:
        return f"variant {self._variant}, exchange {number}"

    def _call(self, number: int) -> str:
        return f"variant {self._variant}, call {number}"


def _without_notes(outcome: Outcome) -> Outcome:
    """As a record has it: notes are events of the run."""
    return replace(outcome, notes=())


def _changes(recorded: dict[str, Any], now: dict[str, Any]) -> str:
    """Which fields differ, down to the keys of a table or the first item of a list that does."""
    changes = []
    for name, was in recorded.items():
        is_ = now[name]
        if isinstance(was, dict):
            pairs = [(f"{name}.{key}", was.get(key), is_.get(key)) for key in sorted({*was, *is_})]
        elif isinstance(was, tuple) and len(was) == len(is_):
            pairs = [(name, old, new) for old, new in zip(was, is_, strict=True) if old != new][:1]
        elif isinstance(was, bytes):  # rows of a record
            told = zip_longest(*(_rows(_ROWS[name], record) for record in (was, is_)))
            pairs = [(name, old, new) for old, new in told if old != new][:1]
        else:
            pairs = [(name, was, is_)]
        changes += [f"{field} was {old!r}, is {new!r}" for field, old, new in pairs if old != new]
    return ", ".join(changes)


def _rows(kind: Struct, record: bytes) -> list[str]:
    return [str(row) for row in kind.iter_unpack(record)]  # as text, since no NaN equals itself
