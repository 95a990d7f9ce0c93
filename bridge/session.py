# SPDX-License-Identifier: Apache-2.0
"""The session under way on a server: one client, one network, requests numbered from 1."""

import time
from dataclasses import dataclass
from typing import Protocol

from bridge.messages import CLIENT_TIMEOUT_S, Pulse
from bridge.network import NS_PER_S, MessageNetwork


class InterruptibleNetwork(MessageNetwork, Protocol):
    """A network whose exchange another thread can end, and whose clock another thread can read."""

    def interrupt(self) -> None:
        """Make the exchange under way, and any later one, end soon with `InterruptedError`. Safe from any thread."""

    def progress_ns(self) -> int:
        """Virtual time, also in the middle of an exchange. Safe from any thread."""


@dataclass(eq=False)
class Session:
    """Written by the server's main thread, but for `lost` and the time of the latest beat, which are the watch's.

    `network` is None until it is open. `running`: the request under way, 0 for none; `answered`: the latest one
    answered, with `answer`, its frame.
    """

    name: str
    client: str
    network: InterruptibleNetwork | None = None
    running: int = 0
    answered: int = 0
    answer: bytes = b""
    lost: bool = False
    _beat_s: float = 0.0
    _silent: bool = False

    def __post_init__(self) -> None:
        self._beat_s = time.monotonic()

    def beat(self) -> Pulse:
        """Note a beat of the client; what to say to it."""
        self._beat_s = time.monotonic()
        return Pulse(True, self.now_ns(), self.running, self.answered)

    def look(self) -> None:
        """Give the client up, and the exchange under way with it, if it has not beaten for too long.

        Two looks in a row have to find that: before the first one the network may have let nobody read for so long.
        """
        was_silent, self._silent = self._silent, time.monotonic() - self._beat_s > CLIENT_TIMEOUT_S
        if not self.lost and was_silent and self._silent:
            self.lost = True
            self.interrupt()

    def interrupt(self) -> None:
        """End the exchange under way, and any later one."""
        if self.network is not None:
            self.network.interrupt()

    def now_ns(self) -> int:
        """Virtual time, 0 before there is a network."""
        return 0 if self.network is None else self.network.progress_ns()

    def at(self) -> str:
        """Virtual time, for people."""
        return f" at virtual time {self.now_ns() / NS_PER_S:.6f} s" if self.network is not None else ""
