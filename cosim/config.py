# SPDX-License-Identifier: Apache-2.0
"""What an experiment is made of, read from TOML and `--set`, checked before anything starts.

Every section refuses keys that it does not know. `[radio]`, or `[scenario]` by its other name, belongs to the
scenario, which checks it on the ns-3 side; only which scenario it is, is read here.
"""

import copy
import os.path
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from bridge.names import meant, misfit
from bridge.network import RequestError, Wait
from cosim.service_settings import Arrivals, Service, check_arrivals
from cosim.settings import hold_defaults, lay_over, merge_names, parsed, read
from model_side.element import Element
from model_side.prediction import PREDICTORS
from model_side.routing import Remainder

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Device = Annotated[int, Meta(ge=0)]
Power = Annotated[float, Meta(ge=0, le=1e6)]
ProfilePower = Power | Literal["profile"]
RadioPower = Power | Literal["unknown"]
Efficiency = Annotated[float, Meta(gt=0, le=1)] | Literal["included"]
Some = Meta(min_length=1)
Seed = Annotated[int, Meta(ge=1, lt=2**32)]

NETWORKS = ("live", "analytic")
"""The packets of ns-3, and Shannon's formula on the channel that ns-3 shows."""
NS3_SEEDS = ("radio", "movement", "life", "background")
"""Of the random choices, those of ns-3."""
WHAT_IF = "what-if"
"""The network of a run that was answered from the record of another; not to be asked for but by `changed`."""
NO_NETWORK, DENSE = "none", "dense"
"""Network and policy of a dense baseline, which the base station serves whole."""


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model that runs. `path`: `shipped` or the name of a shipped model, a local folder, or a hub id. `dtype`: the
    element type it computes in.

    `routing`: a Parquet file that tells how a model routed (docs/runs/routing.md); no model runs then.
    `wire_profile`: whose sizes count on the radio and in the hardware profiles, `own` for the model's.
    `threads`: CPU threads of PyTorch; their number can change the last bits of a sum, so it is not the machine's.
    `device`: where it computes, "cpu", "cuda", "cuda:N", or "auto" for all GPUs. `experts`: whether they lie in memory
    or on disk. `baseline`: a dense model beside it, which the base station serves whole, as `path`; "" for none.
    `baseline_profile`: whose sizes count for that, by default `own` beside `wire_profile = "own"`, else Llama 2 70B's.
    """

    path: str = "shipped"
    routing: str = ""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    wire_profile: str = "mixtral-8x7b"
    threads: Count = 1
    device: str = "cpu"
    experts: Literal["memory", "disk"] = "memory"
    baseline: str = ""
    baseline_profile: str = ""


class Placement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which device holds which expert (docs/model/placement.md).

    `experts`: a rule, or a list with the device of each expert, or with the list of the devices of its replicas.
    `layers`: such a list for each MoE layer. `replicas`: by a rule, on how many devices each expert is, where memory is
    left. `routing`: a Parquet file with recorded routing, by which `ranked` knows which experts matter; without it
    `model.routing`, and without that the model's calibration.
    """

    experts: Literal["round-robin", "memory", "ranked"] | list[Device | list[Device]] = "round-robin"
    layers: list[list[Device | list[Device]]] = field(default_factory=list)
    replicas: Count = 1
    routing: str = ""


class Devices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The devices' hardware: one profile for all, or a list of profiles taken in turn (`cosim devices` lists them).

    `weight_bits`: bits that a device stores an expert's weight in. `compute_w`: what a device draws while it computes,
    in W, or "profile". `receive_w`, `transmit_w`: what its radio draws while its downlink or its uplink is under way,
    or "unknown". `amplifier_efficiency`: what its power amplifier radiates of what it draws, or "included" where
    `transmit_w` has that in it. Each one for all, or a list taken in turn.
    """

    hardware: str | list[str] = field(
        default_factory=lambda: ["snapdragon-8-gen-3", "jetson-orin-nano-super", "jetson-agx-orin", "jetson-orin-nano"]
    )
    weight_bits: Literal[2, 3, 4, 8, 16, 32] = 4
    compute_w: ProfilePower | Annotated[list[ProfilePower], Some] = "profile"
    receive_w: RadioPower | Annotated[list[RadioPower], Some] = "unknown"
    transmit_w: RadioPower | Annotated[list[RadioPower], Some] = "unknown"
    amplifier_efficiency: Efficiency | Annotated[list[Efficiency], Some] = "included"


class BaseStation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base station's hardware, which computes attention, gate and language-model head.

    `boards`: how many of it there are, over which a dense baseline may be spread. `compute_w`, `amplifier_efficiency`:
    as of the devices. `transmit_w`: what its radio draws for a device while that one's downlink is under way.
    """

    hardware: str = "nvidia-l4"
    weight_bits: Literal[4, 8, 16, 32] = 16
    boards: Count = 1
    compute_w: ProfilePower = "profile"
    transmit_w: RadioPower = "unknown"
    amplifier_efficiency: Efficiency = "included"


class Exchange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the base station waits for the devices in a layer: at most `deadline_s`, and by `wait` less.

    `missing`: what becomes of the weight of experts that a policy leaves out or that do not come back: "shared" among
    the token's others, "kept" as it was, or "top-n": as if the router had normalised over its `missing_top_n` best.
    `decision_s`: virtual time that a policy takes in each layer. `element`: what hidden states and answers are rounded
    to on their way (docs/model/element.md).
    """

    deadline_s: Positive = 5.0
    wait: Wait = Wait.ALL
    missing: Remainder = Remainder.SHARED
    missing_top_n: Annotated[int, Meta(ge=0)] = 0
    decision_s: Annotated[float, Meta(ge=0, le=10)] = 0.0
    element: Element = Element.OWN


class Workload(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the model is asked: `requests` prompts of `prompt_tokens`, each answered with `new_tokens`.

    `text`: the shipped held-out text, a UTF-8 text file, or a file `.jsonl` of prompts that have lengths of their own.
    Of recorded routing the first `requests` are taken. `begin`: what stands before a text. `stop_at_end`: whether the
    model's end token ends an answer. `temperature` and `top_p`: how tokens are drawn, 0 for the likeliest.
    `tasks`: what it is evaluated on instead (docs/runs/evaluation.md), of each at most `items`, or all if that is 0.
    `lm_eval`: tasks of lm-evaluation-harness, by name or as a YAML file of one.
    """

    text: str = "shipped"
    requests: Count = 4
    prompt_tokens: Count = 64
    new_tokens: Count = 16
    begin: Literal["tokenizer", "bos", "none"] = "tokenizer"
    stop_at_end: bool = False
    temperature: Annotated[float, Meta(ge=0, le=100)] = 0.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    tasks: list[str] = field(default_factory=list)
    lm_eval: list[str] = field(default_factory=list)
    items: Annotated[int, Meta(ge=0)] = 0


class Seeds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a run's chance has a seed of its own, as if `seed` were that for it alone.

    `radio`: channel, fading, contention, losses, the scenario's own draws. `movement`, `life`, `background`: of
    `radio.movement` and so on. `prompts`: which are asked. `sampling`: which tokens are drawn. `losses`: which
    transfers a what-if loses. `arrivals`: when requests arrive, and how patient their users are.
    """

    radio: Seed | None = None
    movement: Seed | None = None
    life: Seed | None = None
    background: Seed | None = None
    prompts: Seed | None = None
    sampling: Seed | None = None
    losses: Seed | None = None
    arrivals: Seed | None = None


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One experiment. `policies` run one after another on the same `seed`, all of them on each of `networks`.

    `prediction`: how the base station foresees what its links take.
    """

    seed: Seed = 1
    seeds: Seeds = field(default_factory=Seeds)
    policies: Annotated[list[str], Meta(min_length=1)] = field(default_factory=lambda: ["top-k"])
    networks: Annotated[list[str], Meta(min_length=1)] = field(default_factory=lambda: ["live"])
    quality: bool = True
    radio: dict[str, Any] = field(default_factory=dict)
    model: Model = field(default_factory=Model)
    placement: Placement = field(default_factory=Placement)
    devices: Devices = field(default_factory=Devices)
    base_station: BaseStation = field(default_factory=BaseStation)
    exchange: Exchange = field(default_factory=Exchange)
    workload: Workload = field(default_factory=Workload)
    arrivals: Arrivals = field(default_factory=Arrivals)
    service: Service = field(default_factory=Service)
    prediction: str = "shared"
    policy: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def scenario(self) -> str:
        """The name of the radio scenario, or `FILE.py` or `FILE.py:CLASS` with the file's absolute path."""
        name = str(self.radio.get("scenario", "nr"))
        return os.path.abspath(name) if re.search(r"\.py(:\w+)?$", name) else name

    @property
    def script(self) -> Path | None:
        """The file of a scenario that is the user's own; None for a built-in one."""
        match = re.fullmatch(r"(.+\.py)(:\w+)?", self.scenario)
        return Path(match[1]) if match else None

    def seed_for(self, name: str) -> int:
        """What `[seeds]` says for a random choice, or else `seed`."""
        own: int | None = getattr(self.seeds, name)
        return own or self.seed

    @property
    def seeds_apart(self) -> dict[str, int]:
        """The seeds of what ns-3 draws by another than the radio's, by name."""
        radio, *others = ((name, self.seed_for(name)) for name in NS3_SEEDS)
        return {name: seed for name, seed in others if seed != radio[1]}

    @property
    def radio_parameters(self) -> dict[str, Any]:
        """The scenario's own parameters."""
        return {name: value for name, value in self.radio.items() if name != "scenario"}


_RECORDED = "is the recorded channel's, which a what-if cannot change; record another run"


def load(
    source: Config | Mapping[str, Any] | Path | str | None,
    settings: Sequence[str] = (),
    policies: Sequence[str] | None = None,
    scenario: str | None = None,
    networks: Sequence[str] | None = None,
    baseline: str | None = None,
) -> Config:
    """The configuration in a TOML file (None: all defaults), with `--set KEY=VALUE` settings laid over it.

    What a TOML file would give may be given as it is, and a `Config` likewise. A setting's value is read as TOML, or
    as a string if it is none. `policies`, the radio's `scenario`, `networks` and the model's `baseline` go over both.
    Raises `RequestError` naming the field.
    """
    values = _plain(source)
    merge_names(values)
    for setting in settings:
        lay_over(values, *parsed(setting))
    if policies:
        values["policies"] = list(policies)
    if networks:
        values["networks"] = list(networks)
    if scenario is not None:
        lay_over(values, "radio.scenario", scenario)
    if baseline is not None:
        lay_over(values, "model.baseline", baseline)
    config = convert(values)
    if WHAT_IF in config.networks:
        raise RequestError("networks", "a what-if is asked of a recorded run: cosim replay RUN --policy …")
    return config


def changed(recorded: dict[str, Any], pairs: Sequence[tuple[str, Any]], policies: Sequence[str] | None) -> Config:
    """A recorded configuration as a what-if: with values, by their whole names, and policies laid over it.

    Raises `RequestError` naming the field, also for what the record is the answer of: seed, radio and networks. What
    ns-3 does not draw may have another seed.
    """
    values = copy.deepcopy(recorded)
    for name, value in pairs:
        if name.split(".")[0] in ("seed", "radio", "networks"):
            raise RequestError(name, _RECORDED)
        lay_over(values, name, value)
    if policies:
        values["policies"] = list(policies)
    asked = {name.split(".")[1] for name, _ in pairs if name.startswith("policy.")}
    options = values["policy"]
    values["policy"] = {name: options[name] for name in options if name in values["policies"] or name in asked}
    values["networks"] = [WHAT_IF]
    config, before = convert(values), convert(recorded)
    for name in NS3_SEEDS:
        if config.seed_for(name) != before.seed_for(name):
            raise RequestError(f"seeds.{name}", _RECORDED)
    return config


def convert(values: dict[str, Any]) -> Config:
    """A `Config` from plain values. Raises `RequestError` naming the field."""
    try:
        config = msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        raise _named(error) from None
    for what, names in (("policies", config.policies), ("networks", config.networks)):
        if len(set(names)) < len(names):
            raise RequestError(what, "each can be named once")
    for name in config.networks:
        if name not in (*NETWORKS, WHAT_IF):
            there = ", ".join(NETWORKS)
            raise RequestError("networks", f"nobody knows {name!r}; there are {there}{meant(name, NETWORKS)}")
    if (config.exchange.missing is Remainder.TOP_N) != (config.exchange.missing_top_n > 0):
        raise RequestError("exchange.missing_top_n", 'belongs to exchange.missing = "top-n"; give both or neither')
    if config.prediction not in PREDICTORS:
        there = f"there are {', '.join(PREDICTORS)}{meant(config.prediction, PREDICTORS)}"
        raise RequestError("prediction", f"nobody knows {config.prediction!r}; {there}")
    _check_placement(config)
    if config.model.routing:
        _check_routing(config)
    if not re.fullmatch(r"cpu|auto|cuda(:\d+)?", config.model.device):
        raise RequestError("model.device", f"{config.model.device!r} is none of cpu, auto, cuda and cuda:N")
    _check_workload(config)
    return config


def _plain(source: Config | Mapping[str, Any] | Path | str | None) -> dict[str, Any]:
    """What `load` is given, as plain values of its own."""
    if source is None:
        return {}
    if isinstance(source, str | Path):
        return read(Path(source))
    try:
        return dict(msgspec.to_builtins(source))
    except (TypeError, ValueError) as error:  # a kind of value that TOML does not know
        raise RequestError("CONFIG", f"is no plain values: {error}") from None


def _check_placement(config: Config) -> None:
    where = config.placement
    is_rule = isinstance(where.experts, str)
    if where.layers and where.experts != "round-robin":
        raise RequestError("placement.layers", "says where experts are, as does placement.experts; give one of them")
    if where.replicas > 1 and (where.layers or not is_rule):
        raise RequestError("placement.replicas", "belongs to a rule; a list names the devices of replicas itself")
    if where.routing and where.experts != "ranked":
        raise RequestError("placement.routing", 'is for placement.experts = "ranked"; leave it out')


def _check_workload(config: Config) -> None:
    work = config.workload
    if work.top_p < 1 and work.temperature == 0:
        raise RequestError("workload.top_p", "is for tokens that are drawn; give workload.temperature, too")
    if work.text.endswith(".jsonl") and work.prompt_tokens != Workload().prompt_tokens:
        raise RequestError("workload.prompt_tokens", f"each prompt of {work.text} has its own length; leave it out")
    if work.tasks or work.lm_eval:
        _check_tasks(config)
    elif work.items:
        raise RequestError("workload.items", "counts the items of tasks, and there are none; give workload.tasks, too")
    check_arrivals(config.arrivals, config.service, config.workload, config.model)


def _check_routing(config: Config) -> None:
    """Refuse what has no meaning where no model runs."""
    reason = "says how a model runs, but model.routing replays one that ran"
    hold_defaults(config.model, "model", ("path", "dtype", "threads", "device", "experts", "baseline"), reason)
    hold_defaults(
        config.workload, "workload", ("text", "prompt_tokens", "new_tokens", *_ANSWERED, "tasks", "lm_eval"), reason
    )


_ANSWERED = ("begin", "stop_at_end", "temperature", "top_p")
"""How a workload's prompts are begun and answered."""


def _check_tasks(config: Config) -> None:
    """Refuse what has no meaning where tasks say what is asked."""
    if config.workload.tasks and config.workload.lm_eval:
        raise RequestError("workload.lm_eval", "asks the harness's tasks, workload.tasks others; run them one by one")
    if config.workload.lm_eval and config.model.baseline:
        raise RequestError("model.baseline", "is asked prompts or workload.tasks; the harness asks one model alone")
    names = ("text", "requests", "prompt_tokens", "new_tokens", *_ANSWERED)
    hold_defaults(config.workload, "workload", names, "says what is asked, as the tasks do; leave one of them out")


def _named(error: msgspec.ValidationError) -> RequestError:
    """The field in front of what msgspec says is wrong with it."""
    found = misfit(error, Config)
    place = found.place.lstrip(".").replace("[...]", ".NAME")
    if place == "radio":
        return RequestError(place, "is a section; the scenario's name goes to --scenario or radio.scenario")
    if found.reason.startswith("expected a section"):
        return RequestError(place or "CONFIG", _section(place))
    if found.unknown is not None:
        field = f"{place}.{found.unknown}" if place else found.unknown
        return RequestError(field, f"is not known here, see docs/runs/configuration.md{found.hint}")
    return RequestError(place or "CONFIG", found.reason + found.hint)


def _section(name: str) -> str:
    """What to give where one value was given for a whole section."""
    kind = {field.name: field.type for field in msgspec.structs.fields(Config)}.get(name)
    keys = kind.__struct_fields__ if isinstance(kind, type) and issubclass(kind, Struct) else ()
    there = f", with the keys {', '.join(keys)}" if keys else ""
    other = {"devices": "; how many there are is radio.devices", "policy": "; which policies run is policies"}
    return f"is a section{there}{other.get(name, '')}"
