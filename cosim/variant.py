# SPDX-License-Identifier: Apache-2.0
"""The variants of a run, one after another: each policy on each network, always with the same seed.

They are numbered so: network after network in the order given, and on each policy after policy; a dense baseline last.
"""

import itertools
import re
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bridge.network import NS_PER_S, Network, NetworkInfo, RequestError
from cosim.baseline import Baseline, baseline_of, run_baseline
from cosim.checks import check_devices
from cosim.config import WHAT_IF, Config
from cosim.fleet import Fleet, fleet_of, nearness
from cosim.networks.analytic import band_of
from cosim.networks.journaled import JournaledNetwork
from cosim.networks.source import Source
from cosim.powers import powers_in
from cosim.record.decisions import Decisions
from cosim.record.journal import Journal
from cosim.record.service_rows import call_rows, pass_rows, request_rows
from cosim.screen.display import Display
from cosim.seeds import seed_of
from cosim.service import arrivals_of, is_service, recorded_sizes, scheduler_of
from model_side.base_station import BaseStation, Foresee
from model_side.calibration import Calibration, NoTable
from model_side.energy import Powers
from model_side.exchange import LayerExchange
from model_side.policies import Steps, make_policy, policy_kinds, policy_sources
from model_side.prediction import PREDICTORS
from model_side.quality import GateProxy, PassQuality, TextQuality, summed
from model_side.routing import Missing
from model_side.routing_replay import RoutingReplay
from model_side.routing_trace import RoutingTrace
from model_side.service.coming import Coming, Mixed, Wired
from model_side.service.on_air import CallRecord, OnAir
from model_side.service.scheduler import RequestRecord
from model_side.service.serve import Batched, PassRecord, serve
from model_side.serving import Serving, TokenRecord

if TYPE_CHECKING:
    from model_side.model.loaded_model import LoadedModel
    from model_side.model.model_run import Asked

Quality = PassQuality | TextQuality | GateProxy


def variant_count(config: Config) -> int:
    """How many variants a run has: a dense baseline, if there is one, is the last."""
    return len(config.policies) * len(config.networks) + bool(config.model.baseline)


def run_variants(
    config: Config,
    journal: Journal,
    sources: Mapping[str, Source],
    display: Display,
    serve: Callable[[], Serving],
) -> None:
    """Run what is not finished; without `sources`, all of it on the record alone."""
    if not config.model.baseline:
        _run_policies(config, journal, sources, display, serve)
        return

    @cache
    def both() -> tuple[Serving, Baseline]:
        serving = serve()
        return serving, baseline_of(config, serving, asked_of(config))

    _run_policies(config, journal, sources, display, lambda: both()[0])
    number = variant_count(config)
    if not sources or not journal.is_finished(number):
        costs = run_baseline(config, both()[1], number, journal, display)
        if sources:
            journal.add_costs(number, costs)


def _run_policies(
    config: Config,
    journal: Journal,
    sources: Mapping[str, Source],
    display: Display,
    serve: Callable[[], Serving],
) -> None:
    source = "routing" if config.model.routing else "model"
    display.say(f"starting ns-3 and loading the {source}" if "live" in sources else f"loading the {source}")
    began_s = time.perf_counter()

    def network(number: int, kind: str, name: str) -> JournaledNetwork:
        def tell(event: str, message: str) -> None:
            journal.add_event(number, event, message)
            display.say(f"{event}: {message}")

        folder = re.sub(r"[^\w.+-]", "-", "+".join(Path(step).name for step in name.split("+")))
        return JournaledNetwork(journal, number, folder, sources.get(kind), tell)

    pending = [
        (number, kind, name)
        for number, (kind, name) in enumerate(itertools.product(config.networks, config.policies), 1)
        if not sources or not journal.is_finished(number)
    ]
    if not pending:
        return
    for _, kind, name in pending:
        _check_foresight(name, kind if sources else "a record alone")
    _, first_kind, _ = pending[0]
    apart = [item for item in pending if item[1] != first_kind and _allocating(item[2])]
    if apart:  # one network at a time is open
        with closing(network(*apart[0])) as other:
            _check_shares([name for _, _, name in apart], other.info)
    near = nearness(config, journal, sources.get(config.networks[0]))
    first = network(*pending[0])
    try:
        _check_shares([name for _, kind, name in pending if kind == first_kind], first.info)
        if "analytic" in config.networks:
            band_of(first.info)
        check_devices(config, len(first.info.devices))
        serving = serve()
        calibration = journal.calibration()
        _check_calibration(calibration, serving)
        fleet = fleet_of(config, serving.shape, len(first.info.devices), near, calibration)
        journal.describe_model(serving.model, serving.shape, serving.probabilities, serving.record)
    except BaseException:
        first.close()
        raise
    for number, kind, name in pending:
        with closing(first if number == pending[0][0] else network(number, kind, name)) as journaled:
            policy = make_policy(name, config.policy)
            variant = Variant(
                config, number, kind, name, policy, journal, journaled, serving, fleet, display, calibration
            )
            costs = variant.run(time.perf_counter() - began_s)
        if sources:
            journal.add_costs(number, costs, variant.decisions())
        if number < variant_count(config):
            display.follow()
        began_s = time.perf_counter()


def _allocating(policy: str) -> list[str]:
    """The steps of a policy that give shares of the band."""
    return [kind.name for kind in policy_kinds(policy) if kind.allocates]


def _check_shares(policies: Sequence[str], info: NetworkInfo) -> None:
    """Raise `RequestError` for a policy that gives shares of the band where the network takes none."""
    for policy in policies:
        if not info.takes_shares and (steps := _allocating(policy)):
            names = policy if steps == [policy] else f"{', '.join(steps)} of {policy}"
            reason = (
                f"{names} gives shares of the band, and {info.scenario} takes none; leave it out, or take nr or lte"
            )
            raise RequestError("policies", reason)


def _check_foresight(policy: str, kind: str) -> None:
    """Raise `RequestError` for a policy that knows what will come where nobody does."""
    seers = [step.name for step in policy_kinds(policy) if step.foresees]
    if seers and kind != WHAT_IF:
        reason = (
            f"{seers[0]} has to know what will come, which {kind} cannot tell; ask a run: cosim replay RUN --policy"
        )
        raise RequestError("policies", f"{reason} {policy}")


def _check_calibration(calibration: Calibration | None, serving: Serving) -> None:
    """Raise `NoTable` for a table of a model of another shape."""
    layers, experts = len(serving.shape.moe_layers), serving.shape.experts
    if calibration is not None and (calibration.layers, calibration.experts) != (layers, experts):
        of = f"{calibration.layers} layers of {calibration.experts} experts"
        raise NoTable(f"the calibration is of {of}, the model has {layers} of {experts}")


def serving_of(config: Config) -> Serving:
    """What answers the requests: recorded routing, or a model that runs here."""
    model, work = config.model, config.workload
    if model.routing:
        return RoutingReplay(RoutingTrace.read(Path(model.routing).expanduser()).first(work.requests), config.quality)
    loaded, element = loaded_of(config), config.exchange.element
    if work.tasks:
        from model_side.model.task_run import TaskRun  # noqa: PLC0415

        return TaskRun(loaded, work.tasks, work.items, seed_of(config, "prompts"), config.quality, element)
    if work.lm_eval:
        from model_side.model.harness import HarnessRun  # noqa: PLC0415

        return HarnessRun(loaded, work.lm_eval, work.items, config.quality, element)
    from model_side.model.model_run import ModelRun  # noqa: PLC0415

    return ModelRun(loaded, asked_of(config), config.quality, element)


def loaded_of(config: Config) -> "LoadedModel":
    """The model with experts, loaded as `config` says. Raises as `model_side.model.loading.load_model`."""
    from model_side.model.loaded_model import load_here  # noqa: PLC0415  (recorded routing needs no PyTorch)
    from model_side.model.loading import Place  # noqa: PLC0415

    model = config.model
    return load_here(model.path, model.dtype, model.threads, Place(model.device, model.experts))


def asked_of(config: Config) -> "Asked":
    """What a model is asked."""
    from model_side.model.model_run import Asked  # noqa: PLC0415
    from model_side.model.sampling import Sampling  # noqa: PLC0415

    work = config.workload
    sampling = Sampling(work.temperature, work.top_p, seed_of(config, "sampling"))
    sizes = (work.requests, work.prompt_tokens, work.new_tokens, seed_of(config, "prompts"))
    recorded = recorded_sizes(config)
    return Asked(*sizes, work.text, work.begin, work.stop_at_end, sampling, recorded)


def base_station_of(
    config: Config,
    network: Network,
    policy: Steps,
    fleet: Fleet,
    powers: Powers,
    on_exchange: Callable[[LayerExchange], None],
    calibration: Calibration | None = None,
    foresee: Foresee | None = None,
) -> BaseStation:
    """The base station of an experiment on `network`."""
    exchange = config.exchange
    return BaseStation(
        network,
        fleet.placement,
        fleet.compute,
        policy,
        PREDICTORS[config.prediction](len(network.info.devices)),
        fleet.wire,
        round(exchange.deadline_s * NS_PER_S),
        exchange.wait,
        Missing(exchange.missing, exchange.missing_top_n),
        round(exchange.decision_s * NS_PER_S),
        on_exchange,
        calibration,
        foresee,
        powers,
    )


class Variant:
    """One policy's pass over the workload, on a network of one kind."""

    def __init__(
        self,
        config: Config,
        number: int,
        kind: str,
        policy_name: str,
        policy: Steps,
        journal: Journal,
        network: JournaledNetwork,
        serving: Serving,
        fleet: Fleet,
        display: Display,
        calibration: Calibration | None,
    ):
        powers = powers_in(config, network.info)
        foresee = network.foresee if kind == WHAT_IF else None
        users, devices = config.arrivals.users, len(network.info.devices)
        self._on_air: OnAir | None = None
        if users:
            self._on_air = OnAir(
                network,
                arrivals_of(config, cast(Batched, serving).sizes, network.now_ns),
                range(devices - users, devices),
                config.arrivals.token_bytes,
                round(config.arrivals.late_s * NS_PER_S),
                self._called,
            )
        self.base_station = base_station_of(
            config, self._on_air or network, policy, fleet, powers, self._exchanged, calibration, foresee
        )
        held, sources = fleet.placement.held(), policy_sources(policy_name)
        if calibration is not None and any(step.needs_calibration for step in policy.steps):
            sources["calibration"] = calibration.sha256
        journal.add_variant(number, policy_name, kind, network.info, powers, held, sources)
        self._number = number
        count = variant_count(config)
        title = policy_name if config.networks == ["live"] else f"{policy_name} ({kind})"
        self._title = title if count == 1 else f"{title}, {number} of {count}"
        self._config = config
        self._journal = journal
        self._network = network
        self._serving = serving
        self._display = display
        self._exchanges = 0
        self._calls = 0
        self._decided_s = array("d")
        self._costs = dict.fromkeys(("set-up", "ns-3", "bridge", "policy", "model", "journal and display"), 0.0)

    def run(self, set_up_s: float) -> dict[str, float]:
        """Generate every request's answer; journal tokens and quality. Return the wall-clock seconds of each part."""
        layers = len(self._serving.shape.moe_layers)
        self._display.begin(self._title, self._network.info, self._serving.exchanges, layers, self._asked_for())
        began_s = time.perf_counter()
        passes: dict[int, list[Quality]] = {}
        for token in self._served():
            with self._cost("journal and display"):
                self._journal.add_token(self._number, token)
                if token.quality is not None:
                    passes.setdefault(token.request, []).append(token.quality)
                for item in token.items:
                    self._journal.add_item(self._number, item)
        for request, compared in passes.items():
            self._journal.add_quality(self._number, request, _metrics(compared))
        self._journal.hold_complete(self._number)
        self._display.end()
        spent_s = time.perf_counter() - began_s
        self._costs["set-up"] = set_up_s
        self._costs["model"] = spent_s - sum(
            self._costs[part] for part in ("ns-3", "bridge", "policy", "journal and display")
        )
        return self._costs

    def decisions(self) -> Decisions | None:
        """How long the policy's decisions took; None where there was none."""
        return Decisions.of(self._decided_s) if self._decided_s else None

    def _served(self) -> Iterator[TokenRecord]:
        """Each token as soon as it is there; what else there is to tell of a service is journaled in between."""
        if not is_service(self._config):
            yield from self._serving.serve(self.base_station)
            return
        batched = cast(Batched, self._serving)
        wired = Wired(arrivals_of(self._config, batched.sizes, self.base_station.ready_ns))
        coming: Coming = wired if self._on_air is None else Mixed(self._on_air, wired)
        scheduler = scheduler_of(self._config, self._serving.shape)
        layers = len(self._serving.shape.moe_layers)
        given: Counter[int] = Counter()
        for record in serve(self.base_station, coming, scheduler, batched.answers(self.base_station)):
            match record:
                case TokenRecord():
                    given[record.request] += 1
                    self._display.given(1)
                    yield record
                case PassRecord():
                    with self._cost("journal and display"):
                        self._journal.add((self._number, self._exchanges - layers + 1), pass_rows(record))
                case RequestRecord():
                    with self._cost("journal and display"):
                        self._journal.add((self._number, record.request), request_rows(record))
                        self._display.given(record.new_tokens - given.pop(record.request, 0))

    def _asked_for(self) -> int:
        """How many tokens the users of a service ask for; 0 where requests are served one by one."""
        if not is_service(self._config):
            return 0
        sizes = cast(Batched, self._serving).sizes
        return sum(arrival.new_tokens for arrival in arrivals_of(self._config, sizes, 0))

    def _exchanged(self, record: LayerExchange) -> None:
        busy_s = self._network.busy_ns / NS_PER_S
        self._costs["ns-3"] += busy_s
        self._costs["bridge"] += record.network_wall_s - busy_s
        self._costs["policy"] += record.policy_wall_s
        self._decided_s.append(record.policy_wall_s)
        with self._cost("journal and display"):
            self._exchanges += 1
            self._journal.add_exchange(self._number, self._exchanges, record, self._config.exchange.wait.value)
            self._display.exchanged(record)

    def _called(self, record: CallRecord) -> None:
        busy_s = self._network.busy_ns / NS_PER_S
        self._costs["ns-3"] += busy_s
        self._costs["bridge"] += record.wall_s - busy_s
        with self._cost("journal and display"):
            self._calls += 1
            self._journal.add((self._number, self._calls), call_rows(record, self._exchanges))

    @contextmanager
    def _cost(self, part: str) -> Iterator[None]:
        began_s = time.perf_counter()
        yield
        self._costs[part] += time.perf_counter() - began_s


def _metrics(passes: Sequence[Quality]) -> dict[str, float]:
    """The sums of quality, or of its proxy, over a request's passes, as the journal keeps them."""
    return {name: float(value) for name, value in asdict(summed(passes)).items()}
