# SPDX-License-Identifier: Apache-2.0
"""Expert selection: which of a token's experts are asked, and with what weight.

A policy is a small struct of options that is called with a `LayerRouting` and returns weights and indices
[N, k]; index E with weight 0 leaves a slot out. One file a policy; a new one is a file and a line in
`POLICIES`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from bridge.names import meant, misfit
from bridge.network import RequestError
from model_side.policies.top_k import TopK
from model_side.policies.wdmoe import WdMoe
from model_side.routing import Indices, LayerRouting, Weights

Policy = Callable[[LayerRouting], tuple[Weights, Indices]]

POLICIES: dict[str, type[Any]] = {"top-k": TopK, "wdmoe": WdMoe}


def make_policy(name: str, options: Mapping[str, Any] | None = None) -> Policy:
    """The policy `name` with its options set.

    Raises `RequestError` naming `policies` for a name that nobody knows, and `policy.NAME` with the option
    for one that the policy does not have or that has a wrong value.
    """
    if name not in POLICIES:
        raise RequestError("policies", f"nobody knows {name!r}; there are {', '.join(POLICIES)}{meant(name, POLICIES)}")
    kind = POLICIES[name]
    try:
        policy: Policy = msgspec.convert(dict(options or {}), kind)
    except msgspec.ValidationError as error:
        found = misfit(error, kind)
        has = ", ".join(kind.__struct_fields__) or "none"
        field = f"policy.{name}{found.place}"
        if found.unknown is not None:
            reason = f"no such option; there are {has}{found.hint}"
            raise RequestError(f"{field}.{found.unknown}", reason) from None
        raise RequestError(field, f"{found.reason}{found.hint} (its options: {has})") from None
    return policy
