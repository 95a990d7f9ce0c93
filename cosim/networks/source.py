# SPDX-License-Identifier: Apache-2.0
"""Where the networks of a run come from, one after the other."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from bridge.network import MessageNetwork, Transfer
from model_side.routing import Floats


class TimedNetwork(MessageNetwork, Protocol):
    """A network that was opened for a variant, and says how long ns-3 took."""

    busy_ns: int
    """Wall-clock nanoseconds that ns-3 took for the latest exchange or call of `convey`."""


@runtime_checkable
class Foreseeing(Protocol):
    """A network that knows what would come of an exchange without carrying it out."""

    def foresee(self, transfers: Sequence[Transfer], depart_ns: int, deadline_ns: int) -> Floats:
        """When each of `transfers` [M] would be done if they were the next exchange, in ns; inf where it would not."""


class Source(Protocol):
    """A kind of network of a run. One network at a time is open."""

    def open(self, name: str) -> TimedNetwork:
        """A fresh network; `name` is that of the variant, for files of the network's own.

        Raises `RequestError` for what the network refuses, `PartnerLost` if there is none to be had.
        """

    def abandon(self) -> None:
        """Have done with what was lost, so that `open` gives something new."""
