# SPDX-License-Identifier: Apache-2.0
"""One run: the model (or its recorded routing) here, ns-3 in its own process, every policy on every network, journaled.

A variant is one policy on one network, always with the same seed. They run one after another and are numbered so:
network after network in the order given, and on each policy after policy.
"""

import importlib.metadata
import itertools
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from enum import Enum
from functools import partial
from pathlib import Path

from bridge.network import NS_PER_S, RequestError
from cosim.ahead import Ahead
from cosim.checks import check, check_devices, check_scenario
from cosim.config import WHAT_IF, Config, changed, convert
from cosim.errors import Diverged, JournalUnwritable
from cosim.folders import can_be_made, clear, made, told
from cosim.networks.analytic import AnalyticSource, band_of
from cosim.networks.journaled import JournaledNetwork
from cosim.networks.ns3_side import Ns3Side, Place
from cosim.networks.source import Source
from cosim.record.journal import FILE_NAME, Journal
from cosim.screen.display import Display
from cosim.seeds import seed_of
from model_side.base_station import BaseStation, LayerExchange
from model_side.hardware.profiles import PROFILES
from model_side.hardware.roofline import RooflineTimes
from model_side.placement import place
from model_side.policies import Policy, make_policy
from model_side.quality import GateProxy, PassQuality
from model_side.routing_replay import RoutingReplay
from model_side.serving import Serving
from model_side.shapes import wire_shape

_VERSIONED = ("wdmoe-cosim", "numpy", "pyzmq", "msgspec")
_VERSIONED_MODEL = ("torch", "transformers", "tokenizers")


def run(config: Config, folder: Path, place_: Place, display: Display) -> None:
    """Run every policy of `config` on each of its networks and journal it in `folder`, which is made.

    An ns-3 side that is lost is started anew and brought to where it was. Raises `RequestError` for bad input,
    `PartnerLost` if the ns-3 side goes again and again, `JournalUnwritable`. What was recorded by then stays
    readable, and `resume` goes on with it; a new folder in which nothing was recorded is removed.
    """
    check(config)
    if place_.connect is None:
        check_scenario(config)
    with _new_journal(folder, config) as journal:
        _live(config, journal, place_, display)


def resume(run_: Path, place_: Place, display: Display) -> None:
    """Go on with a run that did not come to its end; the journal becomes what it would have been.

    The model runs again on the recorded outcomes until it has caught up, and ns-3 is brought to where it was.
    Raises as `run`, `RequestError` naming RUN for a journal that other versions wrote, and `Diverged` if anything
    comes out otherwise than recorded.
    """
    try:
        journal = Journal.reopen(run_)
    except sqlite3.OperationalError as error:
        reason = f"{run_} cannot be written: {error}; copy it to where it can"
        raise RequestError("RUN", reason) from None
    try:
        if journal.is_finished():
            raise RequestError("RUN", f"{run_} came to its end; there is nothing to resume")
        config = convert(journal.config)
        if WHAT_IF in config.networks:
            raise RequestError("RUN", f"{run_} is a what-if, which takes seconds; ask again with cosim replay")
        written, here = json.loads(journal.meta("versions")), _versions(config)
        changed = [
            f"{name} {written.get(name, 'unknown')} (here {here[name]})"
            for name in here
            if written.get(name) != here[name]
        ]
        if changed:
            raise RequestError("RUN", f"{run_} was made with {', '.join(changed)}; go on with the same versions")
        with _where_it_ran(journal):
            check(config)
            _live(config, journal, place_, display)
    finally:
        journal.close()


class State(Enum):
    """How far a run is."""

    NEW = "new"
    BEGUN = "begun"
    FINISHED = "finished"


def state(folder: Path, config: Config) -> State:
    """How far the run of `config` in `folder` is. Raises `RequestError` if that holds a run of another one."""
    if not (folder / FILE_NAME).exists():
        return State.NEW
    with closing(Journal.open(folder)) as journal:
        if convert(journal.config) != config:
            raise RequestError("--out", f"{folder} holds a run of another configuration; choose another folder")
        return State.FINISHED if journal.is_finished() else State.BEGUN


def replay(run_: Path, display: Display) -> None:
    """Do a run again on its recorded outcomes, and hold the journal against all that comes of it, row by row.

    What cannot be done again, the outcomes themselves, is held against the seal that the run left at its end. Raises
    `Diverged` with the first difference; with other versions of the software there may be one.
    """
    with closing(Journal.open(run_)) as journal:
        changed = journal.changed_since_its_end()
        if described := [part for part in changed if part.startswith("meta.")]:
            raise Diverged(f"{run_}: changed since the run came to its end: {', '.join(described)}")
        with _where_it_ran(journal):
            config = convert(journal.config)
            check(config)
            _run(config, journal, {}, display, partial(_serving, config))
            journal.hold_variants(len(config.policies) * len(config.networks))
        if changed:
            raise Diverged(f"{run_}: changed since the run came to its end: {', '.join(changed)}")


def what_if(run_: Path, settings: list[str], policies: list[str] | None, folder: Path, display: Display) -> Config:
    """Ask a recorded run what would have been, and journal that in `folder`, which is made; what was asked.

    The links are those of the record, by the link model that is fitted to it; seed and radio stay as they are. Raises
    `RequestError` for bad input, and naming RUN for a run that cannot answer; a new folder in which nothing was
    recorded is removed.
    """
    from cosim.networks.link_model import fit  # noqa: PLC0415  (numba and SciPy take a second to load)
    from cosim.networks.what_if import WhatIfSource  # noqa: PLC0415

    recorded = Journal.open(run_)
    try:
        config = changed(recorded.config, settings, policies)
        folder = folder.resolve()
        can_be_made(folder, "--out")
        with _where_it_ran(recorded):
            check(config)
        display.say("fitting the links to the record")
        model = fit(recorded)
        info = recorded.network_info(model.variant)
        assert info is not None
        record = {
            "record": str(run_.resolve()),
            "record_fingerprint": recorded.fingerprint(),
            "links": json.dumps(model.describe()),
        }
        check_devices(config, len(info.devices))
        with _where_it_ran(recorded), _new_journal(folder, config, record) as journal:
            with journal.batched():
                sources = {WHAT_IF: WhatIfSource(model, info, seed_of(config, "losses"))}
                _run(config, journal, sources, display, partial(_serving, config))
            journal.finish()
    finally:
        recorded.close()
    return config


def dated_folder(parent: Path) -> Path:
    """A new folder name under `parent` that begins with the date and time."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H%M%S")
    names = [stamp, *(f"{stamp}-{number}" for number in range(2, 100))]
    return next(parent / name for name in names if not (parent / name).exists())


@contextmanager
def _new_journal(folder: Path, config: Config, record: Mapping[str, str] | None = None) -> Iterator[Journal]:
    """A journal in `folder`, which is made; what was put there is removed if nothing came to be recorded."""
    failure: BaseException | None = None
    with made(folder, "--out"):
        there = list(folder.iterdir())
        try:
            with told(folder, "--out"):
                journal = Journal.create(folder, config, _versions(config), record)
        except sqlite3.OperationalError as error:
            clear(folder, but=there)
            raise RequestError("--out", f"{folder} cannot be written: {error}; choose another folder") from None
        try:
            yield journal
        except BaseException as error:
            if journal.is_empty():
                journal.close()
                clear(folder, but=there)
                raise
            failure = error
        finally:
            journal.close()
    if failure is not None:
        raise failure


@contextmanager
def _where_it_ran(journal: Journal) -> Iterator[None]:
    """The configuration's relative paths hold where the run was made, if that is still there."""
    before = Path.cwd()
    with suppress(OSError, ValueError):
        os.chdir(journal.meta("folder"))
    try:
        yield
    finally:
        os.chdir(before)


def _live(config: Config, journal: Journal, place_: Place, display: Display) -> None:
    """Run with ns-3, what befalls the run in the journal. The model is loaded while ns-3 starts."""
    try:
        side = Ns3Side(config, place_, journal.path.resolve().with_name("ns3.log"))
        try:
            serving = Ahead(partial(_serving, config))
            side.check_us = serving.check
            sources: dict[str, Source] = {"live": side, "analytic": AnalyticSource(side)}
            _run(config, journal, sources, display, serving.result)
        finally:
            side.close()
        journal.finish()
    except JournalUnwritable:
        raise
    except KeyboardInterrupt:
        journal.add_event(None, "interrupted", "the user stopped the run")
        raise
    except Exception as error:
        journal.add_event(None, type(error).__name__, str(error))
        raise


def _run(
    config: Config,
    journal: Journal,
    sources: Mapping[str, Source],
    display: Display,
    serving_: Callable[[], Serving],
) -> None:
    """Run what is not finished; without `sources`, all of it on the record alone."""
    source = "routing" if config.model.routing else "model"
    display.say(f"starting ns-3 and loading the {source}" if "live" in sources else f"loading the {source}")
    began_s = time.perf_counter()

    def network(number: int, kind: str, name: str) -> JournaledNetwork:
        def tell(event: str, message: str) -> None:
            journal.add_event(number, event, message)
            display.say(f"{event}: {message}")

        return JournaledNetwork(journal, number, name, sources.get(kind), tell)

    pending = [
        (number, kind, name)
        for number, (kind, name) in enumerate(itertools.product(config.networks, config.policies), 1)
        if not sources or not journal.is_finished(number)
    ]
    if not pending:
        return
    first = network(*pending[0])
    try:
        if "analytic" in config.networks:
            band_of(first.info)
        check_devices(config, len(first.info.devices))
        serving = serving_()
        journal.describe_model(serving.model, serving.shape, serving.probabilities)
    except BaseException:
        first.close()
        raise
    for number, kind, name in pending:
        with closing(first if number == pending[0][0] else network(number, kind, name)) as journaled:
            policy = make_policy(name, config.policy.get(name))
            variant = _Variant(config, number, kind, name, policy, journal, journaled, serving, display)
            costs = variant.run(time.perf_counter() - began_s)
        if sources:
            journal.add_costs(number, costs)
        began_s = time.perf_counter()


def _serving(config: Config) -> Serving:
    """What answers the requests: recorded routing, or a model that runs here."""
    model, work = config.model, config.workload
    if model.routing:
        return RoutingReplay(Path(model.routing).expanduser(), work.requests, config.quality)
    from model_side.model.model_run import ModelRun  # noqa: PLC0415  (recorded routing needs no PyTorch)

    asked = (work.requests, work.prompt_tokens, work.new_tokens, seed_of(config, "prompts"), work.text)
    return ModelRun(model.path, model.dtype, model.threads, *asked, config.quality)


class _Variant:
    """One policy's pass over the workload, on a network of one kind."""

    def __init__(
        self,
        config: Config,
        number: int,
        kind: str,
        policy_name: str,
        policy: Policy,
        journal: Journal,
        network: JournaledNetwork,
        serving: Serving,
        display: Display,
    ):
        devices = network.info.devices
        shape = wire_shape(config.model.wire_profile, serving.shape)
        placement = place(shape.experts, len(devices), config.placement.experts)
        named = config.devices.hardware
        names = [named] if isinstance(named, str) else named
        hardware = [names[device % len(names)] for device in range(len(devices))]
        compute = RooflineTimes(
            shape,
            PROFILES[config.base_station.hardware],
            [PROFILES[name] for name in hardware],
            placement,
            config.base_station.weight_bits,
            config.devices.weight_bits,
        )
        self.base_station = BaseStation(
            network,
            placement,
            compute,
            policy,
            shape.token_bytes,
            round(config.exchange.deadline_s * NS_PER_S),
            config.exchange.wait,
            self._exchanged,
        )
        experts = [[int(e) for e in (placement.device_of == device).nonzero()[0]] for device in range(len(devices))]
        journal.add_variant(number, policy_name, kind, network.info, hardware, experts)
        self._number = number
        self._title = policy_name if config.networks == ["live"] else f"{policy_name} ({kind})"
        self._config = config
        self._journal = journal
        self._network = network
        self._serving = serving
        self._display = display
        self._exchanges = 0
        self._costs = dict.fromkeys(("set-up", "ns-3", "bridge", "model", "journal and display"), 0.0)

    def run(self, set_up_s: float) -> dict[str, float]:
        """Generate every request's answer; journal tokens and quality. Return the wall-clock seconds of each part."""
        layers = len(self._serving.shape.moe_layers)
        self._display.begin(self._title, self._network.info, self._serving.exchanges, layers)
        began_s = time.perf_counter()
        passes: dict[int, list[PassQuality | GateProxy]] = {}
        for token in self._serving.serve(self.base_station):
            with self._cost("journal and display"):
                self._journal.add_token(self._number, token)
                if token.quality is not None:
                    passes.setdefault(token.request, []).append(token.quality)
        for request, compared in passes.items():
            self._journal.add_quality(self._number, request, _metrics(compared))
        self._journal.hold_complete(self._number)
        self._display.end()
        spent_s = time.perf_counter() - began_s
        self._costs["set-up"] = set_up_s
        self._costs["model"] = spent_s - sum(self._costs[part] for part in ("ns-3", "bridge", "journal and display"))
        return self._costs

    def _exchanged(self, record: LayerExchange) -> None:
        busy_s = self._network.busy_ns / NS_PER_S
        self._costs["ns-3"] += busy_s
        self._costs["bridge"] += record.network_wall_s - busy_s
        with self._cost("journal and display"):
            self._exchanges += 1
            self._journal.add_exchange(self._number, self._exchanges, record, self._config.exchange.wait.value)
            self._display.exchanged(record)

    @contextmanager
    def _cost(self, part: str) -> Iterator[None]:
        began_s = time.perf_counter()
        yield
        self._costs[part] += time.perf_counter() - began_s


def _metrics(passes: Sequence[PassQuality | GateProxy]) -> dict[str, float]:
    """The sums of quality, or of its proxy, over a request's passes, as the journal keeps them."""
    names = type(passes[0]).__dataclass_fields__
    return {name: float(sum(getattr(part, name) for part in passes)) for name in names}


def _versions(config: Config) -> dict[str, str]:
    names = _VERSIONED if config.model.routing else _VERSIONED + _VERSIONED_MODEL
    try:
        return {name: importlib.metadata.version(name) for name in names}
    except importlib.metadata.PackageNotFoundError as error:
        reason = f"a model needs the package {error.name}, which is not installed; recorded routing does not"
        raise RequestError("model.path", f"{reason} (docs/runs/routing.md)") from None
