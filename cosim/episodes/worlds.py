# SPDX-License-Identifier: Apache-2.0
"""Where episodes take place: on ns-3, or on the links of recorded runs. The seed of an episode is that of a run."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from msgspec.structs import replace

from cosim.calibration.needed import calibration_of
from cosim.checks import check, check_devices, check_scenario
from cosim.config import Config, Model, Workload, changed, convert
from cosim.fitted import Fitted, fitted, working_in
from cosim.fleet import Nearness, measured
from cosim.networks.analytic import AnalyticSource, band_of
from cosim.networks.ns3_side import Ns3Place, Ns3Side
from cosim.networks.source import Source, TimedNetwork
from cosim.networks.what_if import WhatIfSource
from cosim.seeds import seed_of
from cosim.settings import parsed
from model_side.calibration import Calibration, decoded

POLICIES = ["top-k"]
"""What stands in a configuration in the agent's place."""


@dataclass(frozen=True)
class Stage:
    """What an episode is played on; the configuration's relative paths hold in `folder`.

    `near`: how near its devices are, where the placement asks for it; `calibration`: by which experts may be ranked.
    """

    config: Config
    folder: str
    network: TimedNetwork
    near: Nearness | None
    calibration: Calibration | None


class World(Protocol):
    """Gives stages, one open at a time."""

    config: Config
    """Of its episodes, but for what their seed changes."""
    folder: str
    """Where its relative paths hold."""

    def stage(self, seed: int) -> Stage:
        """A new one. Raises `RequestError` for what the network refuses, `PartnerLost` if there is none to be had."""

    def abandon(self) -> None:
        """Have done with what was lost, so that `stage` gives something new."""

    def close(self) -> None:
        """Hold nothing more."""


class Ns3World:
    """A scenario of ns-3, with packets or by Shannon's formula, as the one network of `config` says.

    `at`: where ns-3 is; a process that is started here is kept from episode to episode. Raises `RequestError` for what
    cannot be.
    """

    def __init__(self, config: Config, at: Ns3Place):
        if at.connect is None:
            check_scenario(config)
        check(config)
        self.config = config
        self.folder = os.getcwd()
        self._calibration = _calibration(config)
        self._stack = ExitStack()
        log = Path(self._stack.enter_context(tempfile.TemporaryDirectory())) / "ns3.log"
        self._side = Ns3Side(config, at, log)
        self._stack.callback(self._side.close)

    def stage(self, seed: int) -> Stage:
        """See `World.stage`; the seed is the configuration's."""
        config = replace(self.config, seed=seed)
        self._side.config = config
        analytic = config.networks == ["analytic"]
        source: Source = AnalyticSource(self._side) if analytic else self._side
        near = measured(source) if config.placement.experts == "ranked" else None
        network = source.open("agent")
        with _closed_if_refused(network):
            if analytic:
                band_of(network.info)
            check_devices(config, len(network.info.devices))
        return Stage(config, self.folder, network, near, self._calibration)

    def abandon(self) -> None:
        """See `World.abandon`."""
        self._side.abandon()

    def close(self) -> None:
        """See `World.close`."""
        self._stack.close()


class RecordedWorld:
    """The links of recorded runs, on which `settings` are otherwise; each episode is on one of them, by its seed.

    The seed is that of prompts, sampling and losses where they have none of their own; the radio's is the record's.
    `routing`: a recording that stands in for the model. Raises `RequestError` as `cosim.what_if`.
    """

    def __init__(self, records: Sequence[Path], settings: Sequence[str], routing: Path | None = None):
        self._records = [fitted(folder) for folder in records]
        self._configs = [_config_on(record, settings, routing) for record in self._records]
        self.config, self.folder = self._configs[0], self._records[0].ran_in

    def stage(self, seed: int) -> Stage:
        """See `World.stage`."""
        number = int(np.random.default_rng(seed).integers(len(self._records)))
        record, config = self._records[number], self._configs[number]
        drawn = {name: getattr(config.seeds, name) or seed for name in ("prompts", "sampling", "losses")}
        config = replace(config, seeds=replace(config.seeds, **drawn))
        network = WhatIfSource(record.links, record.info, seed_of(config, "losses")).open("agent")
        return Stage(config, record.ran_in, network, record.nearness, _calibration(config, record.calibration))

    def abandon(self) -> None:
        """See `World.abandon`; nothing can be lost."""

    def close(self) -> None:
        """See `World.close`; nothing is held."""


def with_routing(config: Config, routing: Path | None) -> Config:
    """The same with a recording in the model's place, of which as many requests are taken; None changes nothing.

    Raises `RequestError` naming what cannot be beside it.
    """
    if routing is None:
        return config
    model = Model(routing=str(routing.expanduser().resolve()), wire_profile=config.model.wire_profile)
    swapped = replace(config, model=model, workload=Workload(requests=config.workload.requests))
    return convert(msgspec.to_builtins(swapped))


def _config_on(record: Fitted, settings: Sequence[str], routing: Path | None) -> Config:
    """What a record is asked, checked."""
    asked = changed(record.config, [parsed(setting) for setting in settings], POLICIES)
    config = with_routing(asked, routing)
    with working_in(record.ran_in):
        check(config)
    check_devices(config, len(record.info.devices))
    return config


def _calibration(config: Config, recorded: Calibration | None = None) -> Calibration | None:
    table = calibration_of(config, recorded)
    return decoded(table["calibration"]) if table else None


@contextmanager
def _closed_if_refused(network: TimedNetwork) -> Iterator[None]:
    try:
        yield
    except BaseException:
        network.close()
        raise
