# SPDX-License-Identifier: Apache-2.0
"""Expert selection: which experts are asked for a token, where, with what weight, and with what part of the band.

One file a policy; a new one is a file and a line here. Names joined by `+` are steps of one policy.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from bridge.names import meant, misfit
from bridge.network import RequestError
from model_side.policies.cost_prior import CostPrior
from model_side.policies.des import Des
from model_side.policies.equal import Equal
from model_side.policies.expected_weight import ExpectedWeight
from model_side.policies.fastest import Fastest
from model_side.policies.files import digest, installed, load_installed, load_policy, parts, told_by_line
from model_side.policies.layer_weighted import LayerWeighted
from model_side.policies.lookahead import Lookahead
from model_side.policies.min_max import MinMax
from model_side.policies.oracle import Oracle
from model_side.policies.piggyback import Piggyback
from model_side.policies.policy import Policy
from model_side.policies.proportional import Proportional
from model_side.policies.random import Random
from model_side.policies.ratio import Ratio
from model_side.policies.static import Static
from model_side.policies.steps import Steps
from model_side.policies.substitute import Substitute
from model_side.policies.top_k import TopK
from model_side.policies.top_n import TopN
from model_side.policies.top_p import TopP
from model_side.policies.wdmoe_cosine import WdmoeCosine
from model_side.policies.wdmoe_testbed import WdmoeTestbed
from model_side.policies.wdmoe_wlr import WdmoeWlr
from model_side.policies.weight_to_latency import WeightToLatency

__all__ = ["COMPOSITIONS", "POLICIES", "Policy", "Steps", "make_policy", "policy_kinds", "policy_sources"]

COMPOSITIONS: dict[str, str] = {"wdmoe": "wdmoe-cosine+min-max"}
"""Policies of several steps that have a name of their own."""

KINDS: tuple[type[Policy], ...] = (
    TopK,
    TopN,
    Random,
    Static,
    Ratio,
    TopP,
    Fastest,
    WeightToLatency,
    WdmoeCosine,
    WdmoeWlr,
    WdmoeTestbed,
    ExpectedWeight,
    LayerWeighted,
    Substitute,
    Des,
    CostPrior,
    Piggyback,
    Lookahead,
    Oracle,
    Equal,
    Proportional,
    MinMax,
)
POLICIES: dict[str, type[Policy]] = {kind.name: kind for kind in KINDS}


def policy_kinds(name: str) -> list[type[Policy]]:
    """The classes of the steps of a policy: built in, `FILE.py:CLASS` of a user's own, or of an installed package.

    Raises `RequestError` naming `policies` for one that nobody knows, and as `model_side.policies.files.load_policy`.
    """
    return [kind for step in name.split("+") for kind in _step(step)]


def policy_sources(name: str) -> dict[str, str]:
    """SHA-256 of the file of each step that is not built in, by the step's name."""
    return {kind.name: digest(kind) for kind in policy_kinds(name) if kind.file}


def _step(name: str) -> list[type[Policy]]:
    if name in COMPOSITIONS:
        return policy_kinds(COMPOSITIONS[name])
    if name in POLICIES:
        return [POLICIES[name]]
    if parts(name) is not None:
        return [load_policy(name)]
    others = installed()
    if name in others:
        return [load_installed(others[name])]
    there = [*POLICIES, *COMPOSITIONS, *others]
    raise RequestError("policies", f"nobody knows {name!r}; there are {', '.join(there)}{meant(name, there)}")


def make_policy(name: str, options: Mapping[str, Mapping[str, Any]] | None = None) -> Steps:
    """The policy `name`, each step with its own of `options`, which are by step.

    Raises `RequestError` as `policy_kinds`, and `policy.STEP` with the option for one that the step does not have or
    that has a wrong value.
    """
    return Steps([_make(kind, (options or {}).get(kind.name, {})) for kind in policy_kinds(name)])


def _make(kind: type[Policy], options: Mapping[str, Any]) -> Policy:
    try:
        with told_by_line(kind.file):
            return msgspec.convert(dict(options), kind)
    except msgspec.ValidationError as error:
        found = misfit(error, kind)
        has = ", ".join(kind.__struct_fields__) or "none"
        field = f"policy.{kind.name}{found.place}"
        if found.unknown is not None:
            reason = f"no such option; there are {has}{found.hint}"
            raise RequestError(f"{field}.{found.unknown}", reason) from None
        raise RequestError(field, f"{found.reason}{found.hint} (its options: {has})") from None
