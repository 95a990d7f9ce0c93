# SPDX-License-Identifier: Apache-2.0
"""The sections of a configuration that say when requests arrive, and how the base station serves many of them."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from bridge.network import RequestError
from cosim.settings import hold_defaults
from model_side.service.arrivals import Process
from model_side.service.scheduler import Order, Prefill

_Positive = Annotated[float, Meta(gt=0)]
_Bound = Annotated[int, Meta(ge=0)]
_Seconds = Annotated[float, Meta(ge=0, le=1e6)]


class Arrivals(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When requests arrive (docs/runs/serving.md), `workload.requests` of them.

    `process`: "one-by-one", each when the one before has its answer; "offline", all at once; "poisson"; "gamma", in
    bursts; or "trace". `rate_per_s`: how many arrive in the mean. `variation`: of "gamma", the coefficient of variation
    of the times between them. `trace`: a CSV of time, prompt tokens and new tokens. `patience_s`: how long users wait
    for the whole answer in the mean before they leave, 0 for ever.
    `users`: how many of the radio's devices, the last ones, hold no experts and are where requests come from, in turn;
    0: all come from the wired side. `wired_share`: how many of the requests come from the wired side all the same, by
    chance. `token_bytes`: what a token takes on its way, of a prompt up or of an answer down. `late_s`: after which a
    prompt or token that is under way is given up.
    """

    process: Process = Process.ONE_BY_ONE
    rate_per_s: _Positive = 1.0
    variation: _Positive = 2.0
    trace: str = ""
    patience_s: _Seconds = 0.0
    users: _Bound = 0
    wired_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    token_bytes: Annotated[int, Meta(ge=1, le=1 << 20)] = 4
    late_s: Annotated[float, Meta(gt=0, le=1e6)] = 5.0


class Service(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the base station serves requests that arrive (docs/runs/serving.md); 0 is no bound.

    `requests`: how many run at a time. `cache_bytes`: how much their KV caches may take together, or "memory", what the
    base station's weights leave of its memory. `queue`: how many may wait. `order`: which of those that wait comes
    next. `prefill`: whether a pass that reads prompts also carries the next tokens of others. `chunk_tokens`: how many
    tokens of prompts a pass reads. `timeout_s`: when a request is given up. `ttft_s`, `tpot_s`: within which a request
    counts for the goodput.
    """

    requests: _Bound = 16
    cache_bytes: _Bound | Literal["memory"] = "memory"
    queue: _Bound = 0
    order: Order = Order.FIRST_COME_FIRST_SERVED
    prefill: Prefill = Prefill.TOGETHER
    chunk_tokens: _Bound = 0
    timeout_s: _Seconds = 0.0
    ttft_s: _Seconds = 0.0
    tpot_s: _Seconds = 0.0


def check_arrivals(arrivals: Arrivals, service: Service, workload: Any, model: Any) -> None:
    """Raise `RequestError` for what has no meaning where requests do not arrive, or arrive in another way."""
    process = arrivals.process
    if process is Process.ONE_BY_ONE:
        reason = 'is for requests that arrive; say how in arrivals.process, "poisson" for example'
        hold_defaults(arrivals, "arrivals", Arrivals.__struct_fields__, reason)
        hold_defaults(service, "service", Service.__struct_fields__, reason)
        return
    if process is not Process.GAMMA:
        hold_defaults(arrivals, "arrivals", ["variation"], 'belongs to arrivals.process = "gamma"')
    if process not in (Process.POISSON, Process.GAMMA):
        hold_defaults(arrivals, "arrivals", ["rate_per_s"], f'says nothing beside arrivals.process = "{process}"')
    if bool(arrivals.trace) != (process is Process.TRACE):
        raise RequestError("arrivals.trace", 'belongs to arrivals.process = "trace"; give both or neither')
    one_by_one = {
        "workload.tasks": workload.tasks,
        "workload.lm_eval": workload.lm_eval,
        "model.baseline": model.baseline,
        "model.experts": model.experts == "disk",
    }
    for name, is_given in one_by_one.items():
        if is_given:
            raise RequestError(name, 'is for one request at a time; leave arrivals.process at "one-by-one"')
    if not arrivals.users:
        reason = "is for users on the air; say arrivals.users"
        hold_defaults(arrivals, "arrivals", ["wired_share", "token_bytes", "late_s"], reason)
    if process is Process.TRACE and not model.routing:
        hold_defaults(workload, "workload", ["prompt_tokens", "new_tokens"], "is what the trace says; leave it out")
