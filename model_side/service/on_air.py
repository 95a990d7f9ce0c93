# SPDX-License-Identifier: Apache-2.0
"""Users in the cell: their prompts come up the air and their tokens go down it, beside the hidden states.

A user is a device of the network that holds no expert. Its prompt is a message up, which has to arrive before the
request comes before the scheduler; each token is a message down, from the end of the pass that gave it. Neither keeps
the base station waiting: they are on their way while exchanges are.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from bridge.network import Conveyed, Message, MessageNetwork, Outcome, Status, Transfer, Wait
from model_side.service.scheduler import Arrival
from model_side.serving import TokenRecord


class Sent(NamedTuple):
    """A message, and what it is: the prompt of `request`, or the token at `position` of its text if that is given."""

    message: Message
    request: int
    position: int | None


@dataclass(frozen=True)
class CallRecord:
    """A call of `MessageNetwork.convey`: what was handed over, how long it could last, what came of it, and the
    wall-clock seconds that it took."""

    sent: tuple[Sent, ...]
    until_ns: int
    conveyed: Conveyed
    wall_s: float


class OnAir:
    """The requests of users in the cell, as `Coming`, and the network in between, as `Network`.

    `arrivals` are in order of time and say when each was asked, and by which user; these are the `devices`. Those of
    the wired side are passed over. A token, of a prompt or an answer, takes `token_bytes`; what is under way for longer
    than `late_ns` is given up. A prompt that does not arrive whole comes before the scheduler as one that was not
    heard. `on_call` gets each call of the network.
    """

    def __init__(
        self,
        network: MessageNetwork,
        arrivals: Iterable[Arrival],
        devices: Sequence[int],
        token_bytes: int,
        late_ns: int,
        on_call: Callable[[CallRecord], None],
    ):
        self.info = network.info
        self._network = network
        self._coming = (arrival for arrival in arrivals if arrival.user is not None)
        self._following = next(self._coming, None)
        self._devices = devices
        self._token_bytes = token_bytes
        self._late_ns = late_ns
        self._on_call = on_call
        self._count = 0
        self._device_of: dict[int, int] = {}  # by request
        self._outbox: list[Sent] = []
        self._deadlines: dict[int, int] = {}  # of the messages that are under way
        self._prompts: dict[int, Arrival] = {}  # those of them that are prompts
        self._here: list[Arrival] = []

    # The network, as the base station sees it.

    @property
    def now_ns(self) -> int:
        """See `Network.now_ns`."""
        return self._network.now_ns

    def exchange(
        self,
        transfers: Sequence[Transfer],
        depart_ns: int,
        deadline_ns: int,
        wait: Wait = Wait.ALL,
        bandwidth_shares: Sequence[float] | None = None,
    ) -> Outcome:
        """See `Network.exchange`; prompts that may begin meanwhile are on their way."""
        if self._outbox or self._is_asked_by(deadline_ns):
            self._convey(self.now_ns, deadline_ns)
        return self._network.exchange(transfers, depart_ns, deadline_ns, wait, bandwidth_shares)

    def close(self) -> None:
        """See `Network.close`."""
        self._network.close()

    # What comes and goes.

    def until(self, now_ns: int) -> Iterator[Arrival]:
        """See `Coming.until`."""
        if self._outbox or self._deadlines or self._is_asked_by(now_ns):
            self._convey(now_ns, now_ns)
        while self.now_ns < now_ns and (self._deadlines or self._is_asked_by(now_ns)):
            self._convey(now_ns, now_ns)
        here, self._here = self._here, []
        yield from here

    def wait(self, latest_ns: int | None = None) -> int | None:
        """See `Coming.wait`; no longer than to `latest_ns`, if that is given."""
        while not self._here and (latest_ns is None or self.now_ns < latest_ns):
            if self._prompts:
                until_ns = max(self._deadlines[message] for message in self._prompts)
            elif self._following is not None:
                until_ns = self._following.at_ns + self._late_ns
            else:
                return latest_ns
            until_ns = until_ns if latest_ns is None else min(until_ns, latest_ns)
            self._convey(until_ns, until_ns)
        return self.now_ns

    def give(self, tokens: Sequence[TokenRecord]) -> None:
        """See `Coming.give`; those of requests that came from the wired side have no way to go."""
        for token in tokens:
            if token.request in self._device_of:
                self._put(token.request, token.position, False, self._token_bytes, token.end_ns)

    def finish(self) -> None:
        """See `Coming.finish`."""
        while self._outbox or self._deadlines:
            latest_ns = max([*self._deadlines.values(), *(each.message.deadline_ns for each in self._outbox)])
            self._convey(latest_ns, latest_ns)

    def _is_asked_by(self, time_ns: int) -> bool:
        return self._following is not None and self._following.at_ns <= time_ns

    def _put(self, request: int, position: int | None, is_uplink: bool, size_bytes: int, begin_ns: int) -> int:
        message = Message(
            self._count, self._device_of[request], is_uplink, size_bytes, begin_ns, begin_ns + self._late_ns
        )
        self._outbox.append(Sent(message, request, position))
        self._count += 1
        return message.message

    def _convey(self, until_ns: int, asked_by_ns: int) -> None:
        """Hand over what goes now, and the prompts that are asked by a time; take what has come."""
        while self._following is not None and self._following.at_ns <= asked_by_ns:
            asked = self._following
            assert asked.user is not None
            self._device_of[asked.request] = self._devices[asked.user]
            number = self._put(asked.request, None, True, asked.prompt_tokens * self._token_bytes, asked.at_ns)
            self._prompts[number] = asked
            self._following = next(self._coming, None)
        sent, self._outbox = tuple(self._outbox), []
        self._deadlines.update((each.message.message, each.message.deadline_ns) for each in sent)
        began = time.perf_counter()
        conveyed = self._network.convey([each.message for each in sent], until_ns)
        self._on_call(CallRecord(sent, until_ns, conveyed, time.perf_counter() - began))
        for delivery in conveyed.deliveries:
            del self._deadlines[delivery.message]
            if (prompt := self._prompts.pop(delivery.message, None)) is not None:
                self._here.append(_come(prompt, delivery.end_ns, delivery.status is Status.DONE))


def _come(asked: Arrival, at_ns: int, is_heard: bool) -> Arrival:
    """A request as it comes before the scheduler; the user's patience has begun to run out when it was asked."""
    patience_ns = None if asked.patience_ns is None else max(asked.patience_ns - (at_ns - asked.at_ns), 0)
    return replace(asked, at_ns=at_ns, patience_ns=patience_ns, is_heard=is_heard)
