# SPDX-License-Identifier: Apache-2.0
"""Where a run's ns-3 side is: one that runs elsewhere, or a process of our own, started anew when it is lost."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bridge.client import RemoteNetwork
from bridge.endpoint import check_endpoint, check_listen, private_ipc
from bridge.keys import keys_for
from bridge.network import RequestError
from cosim.config import Config
from cosim.networks.ns3_process import Ns3Process, ns3_process

PATIENCE_S = 30.0
"""How long a side that does not answer is waited for: the first one may have to load, or to compile, its libraries."""
PATIENCE_AGAIN_S = 10.0
"""Likewise, for one that was there before: one elsewhere may just be started anew by whoever minds it."""


@dataclass(frozen=True)
class Ns3Place:
    """Where the ns-3 side is: `connect` to one that runs, or start one that listens at `listen` (None: private ipc).

    Over tcp either `keys` is the folder of the keys, or `plain_tcp` says that there are none.
    """

    connect: str | None = None
    listen: str | None = None
    keys: Path | None = None
    plain_tcp: bool = False


class Ns3Side:
    """The ns-3 side of a run; `log` gets what a process of our own prints. Raises `RequestError` for a bad at."""

    def __init__(self, config: Config, at: Ns3Place, log: Path):
        if at.connect is not None:
            check_endpoint(at.connect, "--connect")
        if at.listen is not None:
            check_listen(at.listen)
        endpoint = at.connect or at.listen
        if endpoint is None and (at.keys or at.plain_tcp):
            raise RequestError("--keys" if at.keys else "--plain-tcp", "is for tcp; give --connect with it")
        self._keys = None if endpoint is None else keys_for(endpoint, "model", at.keys, at.plain_tcp)
        self.config = config
        """Of the sessions that are opened from now on; another one may have another seed."""
        self._at = at
        self._log = log
        self.check_us: Callable[[], None] = lambda: None
        """Called a few times a second while a session is being opened, to raise what went wrong on our side."""
        self._stack = ExitStack()
        self._process: Ns3Process | None = None
        self._patience_s = PATIENCE_S
        self._endpoint = at.connect or self._start()

    def open(self, name: str) -> RemoteNetwork:
        """A session with a fresh simulation of the configured scenario.

        ns-3's own outputs, if any are asked for, go to `ns3/NAME` beside the log, those of a later session of the
        same name to `ns3/NAME-2` and so on. Raises `RequestError` for what the scenario refuses, `PartnerLost` if
        nothing answers.
        """
        if self._at.connect is None and self._process is None:
            self._endpoint = self._start()
        return RemoteNetwork(
            self._endpoint,
            self.config.scenario,
            self.config.radio_parameters,
            self.config.seed_for("radio"),
            self.config.seeds_apart,
            folder=self._free_folder(name),
            keys=self._keys,
            patience_s=self._patience_s,
            check_partner=self._check,
            diagnose=self._process.diagnose if self._process else lambda: None,
        )

    def abandon(self) -> None:
        """Have done with a process that was lost, by force: it may be stopped or stuck. `open` starts a new one."""
        if self._at.connect is not None:
            self._patience_s = PATIENCE_AGAIN_S
        if self._process is not None:
            self._process.process.kill()
        self.close()

    def close(self) -> None:
        """Stop the process, if there is one."""
        self._process = None
        self._stack.close()

    def _check(self) -> None:
        self.check_us()
        if self._process is not None:
            self._process.check()

    def _free_folder(self, name: str) -> Path:
        names = [name, *(f"{name}-{number}" for number in range(2, 100))]
        folders = (self._log.parent / "ns3" / name for name in names)
        return next(folder for folder in folders if not folder.exists())

    def _start(self) -> str:
        endpoint = self._at.listen or self._stack.enter_context(private_ipc())
        security = ["--plain-tcp"] * self._at.plain_tcp
        security += [] if self._at.keys is None else ["--keys", str(self._at.keys)]
        self._process = self._stack.enter_context(ns3_process(endpoint, self._log, self.config.script, security))
        return endpoint
