# SPDX-License-Identifier: Apache-2.0
"""One run: the model here, ns-3 in its own process, policy after policy on the same seed, all of it journaled."""

import importlib.metadata
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch

from bridge.client import RemoteNetwork
from bridge.endpoint import check_endpoint, check_listen, private_ipc
from bridge.network import NS_PER_S, RequestError
from cosim.config import Config
from cosim.display import Display
from cosim.journal import Journal
from cosim.ns3_process import Ns3Process, ns3_process
from model_side.base_station import BaseStation, LayerExchange
from model_side.compute import RooflineTimes
from model_side.hardware import PROFILES, Hardware
from model_side.inference import Request, generate
from model_side.loading import load_model, load_tokenizer
from model_side.moe import SplitModel
from model_side.placement import place
from model_side.policies import Policy, make_policy
from model_side.quality import PassQuality
from model_side.shapes import ModelShape, shape_of, wire_shape
from model_side.workload import make_requests

_VERSIONED = ("wdmoe-cosim", "torch", "transformers", "tokenizers", "numpy", "pyzmq", "msgspec")


@dataclass(frozen=True)
class Place:
    """Where the ns-3 side is: `connect` to one that runs, or start one that listens at `listen` (None: private ipc)."""

    connect: str | None = None
    listen: str | None = None


def run(config: Config, folder: Path, place_: Place, display: Display) -> None:
    """Run every policy of `config` and journal it in `folder`, which is made.

    Raises `RequestError` for bad input, `PartnerLost` if the ns-3 side goes. What was recorded by then stays
    readable; a new folder in which nothing was recorded is removed.
    """
    policies = {name: make_policy(name, config.policy.get(name)) for name in config.policies}
    for name in config.policy:
        if name not in config.policies:
            raise RequestError(f"policy.{name}", f"has options, but only {', '.join(config.policies)} run")
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    recorded = False
    try:
        with _recorded(Journal.create(folder, config, _versions())) as journal:
            try:
                _run(config, policies, journal, place_, display)
            finally:
                recorded = bool(journal.rows("SELECT 1 FROM exchanges LIMIT 1"))
    finally:
        if made and not recorded:
            shutil.rmtree(folder)


def dated_folder(parent: Path) -> Path:
    """A new folder name under `parent` that begins with the date and time."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H%M%S")
    names = [stamp, *(f"{stamp}-{number}" for number in range(2, 100))]
    return next(parent / name for name in names if not (parent / name).exists())


@contextmanager
def _recorded(journal: Journal) -> Iterator[Journal]:
    """Close the journal whatever happens, with the mishap in it."""
    try:
        yield journal
        journal.add_event(None, "finished", "all variants ran to their end")
    except KeyboardInterrupt:
        journal.add_event(None, "interrupted", "the user stopped the run")
        raise
    except Exception as error:
        journal.add_event(None, type(error).__name__, str(error))
        raise
    finally:
        journal.close()


def _run(config: Config, policies: dict[str, Policy], journal: Journal, place_: Place, display: Display) -> None:
    with ExitStack() as stack:
        display.say("starting ns-3 and loading the model")
        began_s = time.perf_counter()
        endpoint, check = _ns3_side(stack, place_, journal.path.with_name("ns3.log"), config.script)

        def opened() -> RemoteNetwork:
            network = RemoteNetwork(
                endpoint,
                config.scenario,
                config.radio_parameters,
                config.seed,
                folder=journal.path.parent / "ns3" / name,
                check_partner=check,
            )
            stack.callback(network.close)
            return network

        network = opened()  # what the scenario refuses is said before a model is loaded
        torch.set_num_threads(config.model.threads)
        split = load_model(config.model.path, config.model.dtype)
        requests = _requests(config, split)
        shape = wire_shape(config.model.wire_profile, shape_of(split))
        for number, (name, policy) in enumerate(policies.items()):
            network = network if number == 0 else opened()
            variant = _Variant(config, name, policy, journal, network, shape, split, display)
            variant.run(requests, time.perf_counter() - began_s)
            network.close()
            began_s = time.perf_counter()


def _ns3_side(stack: ExitStack, place_: Place, log: Path, script: Path | None) -> tuple[str, Callable[[], None]]:
    """The endpoint of the ns-3 side, and how to ask whether it lives."""
    if place_.connect is not None:
        check_endpoint(place_.connect, "--connect")
        return place_.connect, lambda: None
    if place_.listen is not None:
        check_listen(place_.listen, allow_remote=False)
    endpoint = place_.listen or stack.enter_context(private_ipc())
    process: Ns3Process = stack.enter_context(ns3_process(endpoint, log, script))
    return endpoint, process.check


def _requests(config: Config, split: SplitModel) -> list[Request]:
    work = config.workload
    tokenizer = load_tokenizer(config.model.path)
    return make_requests(split, tokenizer, work.requests, work.prompt_tokens, work.new_tokens, config.seed, work.text)


class _Variant:
    """One policy's pass over the workload, on one network."""

    def __init__(
        self,
        config: Config,
        policy_name: str,
        policy: Policy,
        journal: Journal,
        network: RemoteNetwork,
        shape: ModelShape,
        split: SplitModel,
        display: Display,
    ):
        devices = network.info.devices
        placement = place(split.num_experts, len(devices), config.placement.experts)
        named = config.devices.hardware
        names = [named] if isinstance(named, str) else named
        hardware = [names[device % len(names)] for device in range(len(devices))]
        compute = RooflineTimes(
            shape,
            _hardware(config.base_station.hardware, "base_station.hardware"),
            [_hardware(name, "devices.hardware") for name in hardware],
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
        self._number = journal.add_variant(policy_name, "live", network.info, hardware, experts)
        self._policy_name = policy_name
        self._config = config
        self._journal = journal
        self._network = network
        self._split = split
        self._display = display
        self._exchanges = 0
        self._costs = dict.fromkeys(("set-up", "ns-3", "bridge", "model", "journal and display"), 0.0)

    def run(self, requests: list[Request], set_up_s: float) -> None:
        """Generate every request's answer; journal tokens, quality and costs."""
        layers = len(self._split.blocks)
        total = layers * sum(request.new_tokens for request in requests)
        self._display.begin(self._policy_name, self._network.info, total, layers)
        began_s = time.perf_counter()
        passes: dict[int, list[PassQuality]] = {}
        for token in generate(self._split, self.base_station, requests, self._config.quality):
            with self._cost("journal and display"):
                self._journal.add_token(self._number, token)
                if token.quality is not None:
                    passes.setdefault(token.request, []).append(token.quality)
        for request, compared in passes.items():
            self._journal.add_quality(self._number, request, _metrics(compared))
        self._display.end()
        spent_s = time.perf_counter() - began_s
        self._costs["set-up"] = set_up_s
        self._costs["model"] = spent_s - sum(self._costs[part] for part in ("ns-3", "bridge", "journal and display"))
        self._journal.add_costs(self._number, self._costs)

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


def _hardware(name: str, field: str) -> Hardware:
    if name not in PROFILES:
        raise RequestError(field, f"nobody knows {name!r}; there are {', '.join(PROFILES)}")
    return PROFILES[name]


def _metrics(passes: list[PassQuality]) -> dict[str, float]:
    """The sums of `PassQuality` over a request's passes, as the journal keeps them."""
    names = PassQuality.__dataclass_fields__
    return {name: float(sum(getattr(part, name) for part in passes)) for name in names}


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _VERSIONED}
