# SPDX-License-Identifier: Apache-2.0
"""What a run would be: its configuration with every default, as TOML that loads back equal, and how much it is."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from cosim.checks import check, check_scenario
from cosim.config import Config
from cosim.networks.catalogue import described
from model_side.model.model_folder import check_model, folder_of
from model_side.policies import make_policy, policy_kinds


def lines(config: Config) -> Iterator[str]:
    """The lines to print. Raises `RequestError` for what a run would refuse before it loads anything.

    What TOML has no value for, and the parameters of the scenario that were not given, stand in comments: with these
    the configuration would be another one, whatever comes of it.
    """
    check_scenario(config)
    check(config)
    variants = [f"{policy} ({network})" for network, policy in itertools.product(config.networks, config.policies)]
    variants += [f"{config.model.baseline}, dense (baseline)"] * bool(config.model.baseline)
    yield f"# {len(variants)} variant{'s' * (len(variants) > 1)}: {', '.join(variants)}"
    yield f"# each of them {_amount(config)}"
    yield ""
    values = msgspec.to_builtins(config)
    radio = {"scenario": config.scenario, **values.pop("radio")}
    asked = config.radio.get("scenario")
    sections = {name: values.pop(name) for name in list(values) if isinstance(values[name], dict)}
    yield from _told(tomli_w.dumps(values))
    yield ""
    given = sections.pop("policy")
    for name, section in sections.items():
        yield from _section(name, section, [f"# {key} = seed" for key, value in section.items() if value is None])
    for kind in dict.fromkeys(kind for policy in config.policies for kind in policy_kinds(policy)):
        if kind.__struct_fields__:
            named = given.get(kind.name, {})
            options = msgspec.structs.asdict(make_policy(kind.name, given).steps[0])
            unsaid = [f"# {key} = {_toml(value)}" for key, value in options.items() if key not in named]
            heading = f"policy.{_key(kind.name)}"
            yield from _section(heading, named, unsaid) if kind.name in given else [f"# [{heading}]", *unsaid, ""]
    left = [f"# {line}" for line in _unsaid(config)]
    if asked is None:
        left.insert(0, f'# scenario = "{radio.pop("scenario")}"')
    yield from _section("radio", radio if asked is None else radio | {"scenario": asked}, left)


def _section(name: str, values: dict[str, Any], comments: list[str]) -> Iterator[str]:
    given = {key: value for key, value in values.items() if value is not None}
    plain = {key: value for key, value in given.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in given.items() if isinstance(value, dict)}
    if plain or comments or not tables:
        yield f"[{name}]"
        yield from _told(tomli_w.dumps(plain))
        yield from comments
        yield ""
    if tables:
        yield from _told(tomli_w.dumps({name: tables}))
        yield ""


def _key(name: str) -> str:
    """A key of a TOML table's heading."""
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else json.dumps(name)


def _toml(value: Any) -> str:
    plain = msgspec.to_builtins(value)
    return "unset" if plain is None else tomli_w.dumps({"x": plain}).removeprefix("x = ").strip().replace("\n", " ")


def _told(text: str) -> list[str]:
    return text.rstrip("\n").splitlines()


def _unsaid(config: Config) -> list[str]:
    """The scenario's parameters that were not given, with their defaults."""
    told = described(config.scenario, config.radio_parameters)
    left = [each for each in told["parameters"] if each["name"] not in config.radio]
    return [f"{each['name']} = {each['default']}" + (f" ({each['unit']})" if each["unit"] else "") for each in left]


def _amount(config: Config) -> str:
    """Tokens and exchanges of a variant, as far as they are known before a model is loaded."""
    work = config.workload
    if config.model.routing:
        from model_side.routing_trace import RoutingTrace  # noqa: PLC0415  (pyarrow is only for who replays routing)

        trace = RoutingTrace.read(Path(config.model.routing).expanduser()).first(work.requests)
        return f"{len(trace.request)} tokens in {len(trace.begin) - 1} exchanges"
    if config.arrivals.trace:
        return f"as many tokens as the requests of {config.arrivals.trace} ask"
    if work.tasks or work.lm_eval:
        return "as many tokens as the tasks ask"
    if work.text.endswith(".jsonl"):
        return f"as many tokens as the prompts of {work.text} ask"
    tokens = work.requests * work.new_tokens
    most = "at most " if work.stop_at_end else ""
    folder = folder_of(config.model.path)
    layers = None if folder is None else check_model(folder).layers
    if layers is None:
        return f"{most}{tokens} tokens, with an exchange for each of them and layer with experts"
    return f"{most}{tokens} tokens in at most {tokens * layers} exchanges, one for each of them and layer with experts"
