# SPDX-License-Identifier: Apache-2.0
"""A network with a closed form, for tests of everything that is not the radio: each device has its own fixed rates.

Run as a program it is a server of such networks: `python -m tests.support.fixed_network ENDPOINT [once] [child]
[keys=FOLDER] [clock=FILE]`; over tcp without keys it is a plain one; with a clock its time-outs are ahead by the
seconds in that file.
Parameters:
`devices`, `rate_bps`, and for tests of failures `hold_s` (wall-clock seconds that an exchange takes), `stand_still`
(virtual time does not show while it is held), `break_at` (the exchange that fails), `log` (a file that gets a line
per exchange carried out).
"""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridge.network import (
    NS_PER_S,
    Conveyed,
    Delivery,
    LinkState,
    Message,
    NetworkInfo,
    Outcome,
    RequestError,
    Status,
    Transfer,
    TransferOutcome,
    Wait,
    check_messages,
    check_request,
)


class FixedNetwork:
    """Device d has `rate_bps / (d + 1)` each way and nothing shared; device `dead`, if any, is unreachable.

    Messages of a device and a direction wait for those handed over before; the one of number `vanishing` is lost.
    """

    def __init__(
        self, devices: int = 8, rate_bps: float = 1e8, dead: int | None = None, now_ns: int = 0, **faults: Any
    ):
        self.info = NetworkInfo(
            "fixed", tuple(f"device-{index}" for index in range(devices)), now_ns, {"devices": devices}, {"fixed": "1"}
        )
        self.now_ns = now_ns
        self.exchanges = 0
        self.closed = False
        self._rate_bps = rate_bps
        self._dead = dead
        self._faults = faults
        self._free_ns: dict[tuple[int, bool], int] = {}
        self._under_way: list[Delivery] = []
        self._interrupted = threading.Event()
        self._progress_ns = now_ns

    def rate_bps(self, device: int) -> float:
        """The rate of a device, each way."""
        return self._rate_bps / (device + 1)

    def exchange(
        self,
        transfers: Sequence[Transfer],
        depart_ns: int,
        deadline_ns: int,
        wait: Wait = Wait.ALL,
        bandwidth_shares: Sequence[float] | None = None,
    ) -> Outcome:
        """Closed form: serialisation down, computing, serialisation up."""
        check_request(self.info, self.now_ns, transfers, depart_ns, deadline_ns, bandwidth_shares)
        self.exchanges += 1
        self._misbehave()
        times = [self._times(transfer, depart_ns) for transfer in transfers]
        ends = [time[-1] for time in times]
        if wait is Wait.DEADLINE:
            end_ns = deadline_ns
        else:
            pick = max if wait is Wait.ALL else min
            end_ns = min(pick(ends, default=depart_ns), deadline_ns)
        outcomes = tuple(
            self._outcome(transfer.device, depart_ns, time, end_ns)
            for transfer, time in zip(transfers, times, strict=True)
        )
        self.now_ns = self._progress_ns = end_ns
        return Outcome(end_ns, outcomes, self._links())

    def convey(self, messages: Sequence[Message], until_ns: int) -> Conveyed:
        """Closed form: each is serialised when the one before is."""
        check_messages(self.info, self.now_ns, messages, until_ns)
        self._under_way += map(self._delivery, messages)
        ends_ns = [each.end_ns for each in self._under_way if each.end_ns > self.now_ns]
        self.now_ns = self._progress_ns = min([until_ns, *ends_ns])
        told = [each for each in self._under_way if each.end_ns <= self.now_ns]
        self._under_way = [each for each in self._under_way if each.end_ns > self.now_ns]
        return Conveyed(self.now_ns, tuple(sorted(told, key=lambda each: (each.end_ns, each.message))))

    def _delivery(self, message: Message) -> Delivery:
        if message.device == self._dead:
            return Delivery(message.message, Status.UNREACHABLE, message.begin_ns)
        way = (message.device, message.is_uplink)
        begin_ns = max(message.begin_ns, self._free_ns.get(way, 0))
        end_ns = begin_ns + round(8 * message.size_bytes * NS_PER_S / self.rate_bps(message.device))
        self._free_ns[way] = end_ns
        if message.message == self._faults.get("vanishing"):
            return Delivery(message.message, Status.LOST, message.deadline_ns)
        if end_ns > message.deadline_ns:
            return Delivery(message.message, Status.LATE, message.deadline_ns)
        return Delivery(message.message, Status.DONE, end_ns)

    def interrupt(self) -> None:
        """End a held exchange."""
        self._interrupted.set()

    def progress_ns(self) -> int:
        """Virtual time, which runs on while an exchange is held."""
        return self._progress_ns

    def close(self) -> None:
        """Remember that it was called."""
        self.closed = True

    def _times(self, transfer: Transfer, depart_ns: int) -> tuple[int, int, int]:
        if transfer.device == self._dead:
            return (1 << 62,) * 3
        rate_bps = self.rate_bps(transfer.device)
        down_ns = depart_ns + round(8 * transfer.downlink_bytes * NS_PER_S / rate_bps)
        compute_ns = down_ns + transfer.compute_ns
        return down_ns, compute_ns, compute_ns + round(8 * transfer.uplink_bytes * NS_PER_S / rate_bps)

    def _outcome(self, device: int, depart_ns: int, times: tuple[int, int, int], end_ns: int) -> TransferOutcome:
        seen = [time if time <= end_ns else None for time in times]
        status = Status.DONE if seen[-1] is not None else Status.UNREACHABLE if device == self._dead else Status.LATE
        return TransferOutcome(device, status, depart_ns, *seen)

    def _links(self) -> tuple[LinkState, ...]:
        return tuple(
            LinkState(
                index, index != self._dead, downlink_rate_bps=self.rate_bps(index), uplink_rate_bps=self.rate_bps(index)
            )
            for index in range(len(self.info.devices))
        )

    def _misbehave(self) -> None:
        if "log" in self._faults:
            with Path(self._faults["log"]).open("a", encoding="utf-8") as log:
                log.write(f"{self.exchanges}\n")
        if self._faults.get("break_at") == self.exchanges:
            raise ArithmeticError("the radio is broken")
        held_s = 0.0
        while held_s < self._faults.get("hold_s", 0) and not self._interrupted.wait(0.05):
            held_s += 0.05
            self._progress_ns += 0 if self._faults.get("stand_still") else 1
        if self._interrupted.is_set():
            raise InterruptedError


def open_fixed(
    scenario: str, parameters: dict[str, Any], seed: int, apart: dict[str, int], folder: str | None = None
) -> FixedNetwork:
    """What a server opens; parameters as above."""
    if scenario != "fixed":
        raise RequestError("radio.scenario", f"{scenario!r} is not known; there is fixed")
    if parameters.get("devices", 1) < 1:
        raise RequestError("radio.devices", f"{parameters['devices']} is below 1")
    return FixedNetwork(**parameters)


if __name__ == "__main__":
    import logging
    import time
    from types import SimpleNamespace

    from bridge import server, session
    from bridge.keys import keys_for

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="server: %(message)s")
    given = dict(word.split("=", 1) for word in sys.argv[2:] if "=" in word)
    if "clock" in given:
        clock: Any = SimpleNamespace(monotonic=lambda: time.monotonic() + float(Path(given["clock"]).read_text()))
        session.time = clock
    folder = Path(given["keys"]) if "keys" in given else None
    plain_tcp = folder is None and sys.argv[1].startswith("tcp://")
    server.Server(
        sys.argv[1],
        open_fixed,
        once="once" in sys.argv,
        keys=keys_for(sys.argv[1], "network", folder, plain_tcp),
        plain_tcp=plain_tcp,
        parent_fd=0 if "child" in sys.argv else None,
    ).serve()
