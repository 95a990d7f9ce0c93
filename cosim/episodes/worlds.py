# SPDX-License-Identifier: Apache-2.0
"""Where episodes take place: on ns-3, or on the links of recorded runs. The seed of an episode is that of a run."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from msgspec.structs import replace

from bridge.network import NetworkInfo
from cosim.calibration.needed import calibration_of
from cosim.checks import check, check_devices, check_scenario
from cosim.config import Config, Model, Workload, changed, convert
from cosim.experiment import where_it_ran
from cosim.fleet import Nearness, measured
from cosim.networks.analytic import AnalyticSource, band_of
from cosim.networks.link_model import LinkModel, fit
from cosim.networks.ns3_side import Ns3Place, Ns3Side
from cosim.networks.source import Source, TimedNetwork
from cosim.networks.what_if import WhatIfSource
from cosim.record.journal import Journal
from cosim.seeds import seed_of
from model_side.calibration import Calibration, decoded

POLICIES = ["top-k"]
"""What stands in a configuration in the agent's place."""


@dataclass(frozen=True)
class Stage:
    """What an episode is played on; the configuration's relative paths hold in `folder`.

    `near`: how near its devices are, where the placement asks for it; `calibration`: by which experts may be ranked.
    """

    config: Config
    folder: Path
    network: TimedNetwork
    near: Nearness | None
    calibration: Calibration | None


class World(Protocol):
    """Gives stages, one open at a time."""

    config: Config
    """Of its episodes, but for what their seed changes."""
    folder: Path
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
        self.folder = Path.cwd()
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


@dataclass(frozen=True)
class _Recorded:
    config: Config
    folder: Path
    model: LinkModel
    info: NetworkInfo
    near: Nearness | None
    calibration: Calibration | None


class RecordedWorld:
    """The links of recorded runs, on which `settings` are otherwise; each episode is on one of them, by its seed.

    The seed is that of prompts, sampling and losses where they have none of their own; the radio's is the record's.
    `routing`: a recording that stands in for the model. Raises `RequestError` as `cosim.what_if`.
    """

    def __init__(self, records: Sequence[Path], settings: Sequence[str], routing: Path | None = None):
        self._recorded = [_recorded(folder, settings, routing) for folder in records]
        self.config, self.folder = self._recorded[0].config, self._recorded[0].folder

    def stage(self, seed: int) -> Stage:
        """See `World.stage`."""
        recorded = self._recorded[int(np.random.default_rng(seed).integers(len(self._recorded)))]
        own = recorded.config.seeds
        drawn = {name: getattr(own, name) or seed for name in ("prompts", "sampling", "losses")}
        config = replace(recorded.config, seeds=replace(own, **drawn))
        network = WhatIfSource(recorded.model, recorded.info, seed_of(config, "losses")).open("agent")
        return Stage(config, recorded.folder, network, recorded.near, recorded.calibration)

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


def _recorded(folder: Path, settings: Sequence[str], routing: Path | None) -> _Recorded:
    with closing(Journal.open(folder)) as journal:
        config = with_routing(changed(journal.config, settings, POLICIES), routing)
        model = fit(journal)
        info = journal.network_info(model.variant)
        assert info is not None
        with where_it_ran(journal):
            where = Path.cwd()
            check(config)
            calibration = _calibration(config, journal.calibration())
        check_devices(config, len(info.devices))
        return _Recorded(config, where, model, info, journal.nearness(), calibration)


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
