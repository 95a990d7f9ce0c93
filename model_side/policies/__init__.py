# SPDX-License-Identifier: Apache-2.0
"""Expert selection: which experts are asked for a token, where, with what weight, and with what part of the band.

One file a policy; a new one is a file and a line here. Names joined by `+` are steps of one policy.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from bridge.names import meant, misfit
from bridge.network import RequestError
from model_side.policies.equal import Equal
from model_side.policies.min_max import MinMax
from model_side.policies.policy import Policy, Steps
from model_side.policies.proportional import Proportional
from model_side.policies.top_k import TopK
from model_side.policies.weight_to_latency import WeightToLatency

__all__ = ["POLICIES", "Policy", "Steps", "make_policy", "policy_kinds"]

POLICIES: dict[str, type[Policy]] = {kind.name: kind for kind in (TopK, WeightToLatency, Equal, Proportional, MinMax)}


def policy_kinds(name: str) -> list[type[Policy]]:
    """The classes of the steps of a policy. Raises `RequestError` naming `policies` for one that nobody knows."""
    kinds = []
    for step in name.split("+"):
        if step not in POLICIES:
            reason = f"nobody knows {step!r}; there are {', '.join(POLICIES)}{meant(step, POLICIES)}"
            raise RequestError("policies", reason)
        kinds.append(POLICIES[step])
    return kinds


def make_policy(name: str, options: Mapping[str, Mapping[str, Any]] | None = None) -> Steps:
    """The policy `name`, each step with its own of `options`, which are by step.

    Raises `RequestError` as `policy_kinds`, and `policy.STEP` with the option for one that the step does not have or
    that has a wrong value.
    """
    return Steps([_make(kind, (options or {}).get(kind.name, {})) for kind in policy_kinds(name)])


def _make(kind: type[Policy], options: Mapping[str, Any]) -> Policy:
    try:
        return msgspec.convert(dict(options), kind)
    except msgspec.ValidationError as error:
        found = misfit(error, kind)
        has = ", ".join(kind.__struct_fields__) or "none"
        field = f"policy.{kind.name}{found.place}"
        if found.unknown is not None:
            reason = f"no such option; there are {has}{found.hint}"
            raise RequestError(f"{field}.{found.unknown}", reason) from None
        raise RequestError(field, f"{found.reason}{found.hint} (its options: {has})") from None
