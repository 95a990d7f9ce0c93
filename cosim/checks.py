# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with an experiment, as far as that can be told within a second: before anything is loaded.

Loading a model and building a network find the rest, and check again what they need.
"""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from bridge.names import meant
from bridge.network import RequestError
from cosim.config import Config, Workload
from cosim.networks.catalogue import device_count
from cosim.powers import powers_of
from cosim.service import recorded
from model_side.hardware.profiles import PROFILES
from model_side.hardware.whole import whole_memory
from model_side.model.model_folder import (
    SHIPPED,
    SHIPPED_PROMPTS,
    Described,
    ModelError,
    check_model,
    check_tokenizer,
    folder_of,
    token_counter,
)
from model_side.model.prompt_file import is_prompt_file, read_prompt_file
from model_side.placement import place, place_layers
from model_side.policies import Steps, make_policy, policy_kinds
from model_side.service.arrivals import Process
from model_side.tasks.reading import read_tasks
from model_side.wire_profiles import DENSE_PROFILES, OWN, check_baseline_profile, check_wire_profile, dense_profile

_CHARACTERS_A_TOKEN = 16
"""More than any text needs; a text that is so long need not be counted."""
_ANY_DEVICE = 1 << 16
"""More devices than a network has."""
_COUNTED = 500_000
"""Characters that are counted in less than a second."""


def check(config: Config) -> None:
    """Raise `RequestError` naming the field that cannot be: of policies, hardware, model or routing, and workload."""
    made = check_policies(config)
    check_hardware(config)
    for step in (step for policy in made for step in policy.steps if step.needs_joules):
        _check_powers(config, step.name)
    if config.model.wire_profile != OWN:
        check_wire_profile(config.model.wire_profile)
    if config.model.baseline_profile:
        check_baseline_profile(config.model.baseline_profile)
    if config.model.baseline:
        _check_baseline(config)
    _check_trace(config)
    if config.arrivals.users:
        _check_users(config)
    described = _check_routing(config) if config.model.routing else _check_model(config)
    _check_placement(config, described.experts)


def check_policies(config: Config) -> list[Steps]:
    """The policies that run. Raises `RequestError` naming one, or an option, that cannot be."""
    steps = {kind.name: kind for policy in config.policies for kind in policy_kinds(policy)}
    for name in config.policy:
        if name not in steps:
            raise RequestError(f"policy.{name}", f"has options, but only {', '.join(steps)} run{meant(name, steps)}")
    return [make_policy(policy, config.policy) for policy in config.policies]


def _check_trace(config: Config) -> None:
    if config.arrivals.process is Process.TRACE:
        there = sum(1 for _ in recorded(config))
        if there < config.workload.requests:
            reason = f"{config.workload.requests} is more than the {there} requests of {config.arrivals.trace}"
            raise RequestError("workload.requests", reason)


def _check_users(config: Config) -> None:
    """Refuse what users on the air cannot be beside."""
    for policy in config.policies:
        for kind in policy_kinds(policy):
            if kind.allocates:
                reason = f"{kind.name} shares the band among devices that are asked, and leaves users on the air none"
                raise RequestError("policies", f"{reason}; leave it out, or arrivals.users")


def check_scenario(config: Config) -> None:
    """Raise `RequestError` for a scenario or parameters that nobody knows, or a placement beyond its devices.

    A script has to be there; it is not run for it, and refused by the ns-3 side when that runs it.
    """
    if config.script is not None and not config.script.is_file():
        raise RequestError("radio.scenario", f"{config.script} does not exist")
    if config.script is None:
        devices = device_count(config)
        if devices is not None:
            check_devices(config, devices)


def check_devices(config: Config, devices: int) -> None:
    """Raise `RequestError` if experts are placed on more than so many devices, less those of users."""
    where, users = config.placement, config.arrivals.users
    if users >= devices:
        reason = f"{users} of {devices} devices leave none for experts; take fewer, or more radio.devices"
        raise RequestError("arrivals.users", reason)
    devices -= users
    if where.layers:
        place_layers(len(where.layers), len(where.layers[0]), devices, where.layers)
    elif not isinstance(where.experts, str):
        place(1, len(where.experts), devices, where.experts)


def _check_placement(config: Config, experts: int | None) -> None:
    """As far as experts are known: that each has a device."""
    where = config.placement
    if where.routing and not Path(where.routing).expanduser().is_file():
        raise RequestError("placement.routing", f"{where.routing} does not exist")
    if experts is None:
        return
    if where.layers:
        place_layers(len(where.layers), experts, _ANY_DEVICE, where.layers)
    elif not isinstance(where.experts, str):
        place(1, experts, _ANY_DEVICE, where.experts)


def check_hardware(config: Config) -> None:
    """Raise `RequestError` for a hardware profile that nobody knows."""
    named = config.devices.hardware
    names = [named] if isinstance(named, str) else named
    if not names:
        raise RequestError("devices.hardware", f"is empty; name a profile, one of {', '.join(PROFILES)}")
    for field, name in [("base_station.hardware", config.base_station.hardware)] + [
        ("devices.hardware", name) for name in names
    ]:
        if name not in PROFILES:
            reason = f"nobody knows {name!r}; there are {', '.join(PROFILES)}{meant(name, PROFILES)}"
            raise RequestError(field, reason)


def _check_powers(config: Config, policy: str) -> None:
    """Refuse a policy that asks for joules where powers are missing; what is radiated the network will tell."""
    devices = device_count(config) if config.script is None else None
    if devices is not None:
        powers_of(config, devices).require(np.ones((2, devices), dtype=bool), f"policy.{policy}")


def _check_routing(config: Config) -> Described:
    from model_side.routing_trace import RoutingTrace  # noqa: PLC0415  (pyarrow is only for who replays routing)

    _, shape = RoutingTrace.describe(Path(config.model.routing).expanduser())
    return Described(shape.experts)


def _check_baseline(config: Config) -> None:
    path, model, base_station = config.model.baseline, config.model, config.base_station
    profile = dense_profile(model.baseline_profile, model.wire_profile)
    if profile != OWN:
        work = config.workload
        is_known = not (work.tasks or is_prompt_file(work.text))
        tokens = work.prompt_tokens + work.new_tokens if is_known else 1
        hardware = PROFILES[base_station.hardware]
        whole_memory(DENSE_PROFILES[profile], hardware, base_station.weight_bits, tokens, base_station.boards)
    folder = folder_of(path)
    if folder is None:
        return
    try:
        described = check_model(folder, dense=True)
        check_tokenizer(folder)
    except ModelError as error:
        raise RequestError("model.baseline", error.reason) from None
    if described.experts is not None and described.experts > 1:
        raise RequestError("model.baseline", f"{path} has experts; a baseline is a dense model, which is served whole")


def _check_model(config: Config) -> Described:
    work = config.workload
    folder = folder_of(config.model.path)
    described = Described()  # of the hub nothing is known before it is asked
    if folder is not None:
        described = check_model(folder)
        check_tokenizer(folder)
    if work.lm_eval and find_spec("lm_eval") is None:
        raise RequestError("workload.lm_eval", "needs lm_eval; pip install 'wdmoe-cosim[eval]'")
    if work.tasks or work.lm_eval:
        read_tasks(work.tasks)
        return described
    if config.arrivals.process is Process.TRACE:  # whose lengths are held against the model when it is loaded
        return described
    if described.context_tokens is not None and work.prompt_tokens + work.new_tokens > described.context_tokens:
        asked = f"{work.prompt_tokens} and {work.new_tokens} new tokens"
        reason = f"{asked} are more than the model's context of {described.context_tokens}"
        raise RequestError("workload.prompt_tokens", reason)
    count = None if folder is None else token_counter(folder)
    if work.text == SHIPPED:
        _check_shipped_text(work, count)
    elif is_prompt_file(work.text):
        there = len(read_prompt_file(Path(work.text).expanduser()))
        if work.requests > there:
            raise RequestError("workload.requests", f"{work.requests} is more than the {there} prompts of {work.text}")
    else:
        _check_text(Path(work.text).expanduser(), work, count)
    return described


def _check_shipped_text(work: Workload, count: Callable[[str], int] | None) -> None:
    passages = SHIPPED_PROMPTS.read_text(encoding="utf-8").splitlines()
    if work.requests > len(passages):
        reason = f"{work.requests} is more than the {len(passages)} shipped passages; ask for less, or name a text"
        raise RequestError("workload.requests", reason)
    least = work.prompt_tokens - 1  # the first may be a begin token
    if count and not any(count(json.loads(passage)["text"]) >= least for passage in passages):
        reason = f"no shipped passage has {work.prompt_tokens} tokens; ask for less, or name a text"
        raise RequestError("workload.prompt_tokens", reason)


def _check_text(path: Path, work: Workload, count: Callable[[str], int] | None) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError("workload.text", f"{path} is not readable as UTF-8 text: {error}") from None
    least = work.requests * (work.prompt_tokens - 1)
    if count is None or len(text) > _CHARACTERS_A_TOKEN * least:
        return
    if len(text) < _COUNTED and (tokens := count(text)) < least:
        prompts = tokens // work.prompt_tokens
        reason = f"{path} has {tokens} tokens: enough for {prompts} prompts, not for {work.requests}"
        raise RequestError("workload.text", reason)
