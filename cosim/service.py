# SPDX-License-Identifier: Apache-2.0
"""The service of a run, as its configuration says it: when requests arrive, and the scheduler that they come before."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from bridge.network import NS_PER_S, RequestError
from cosim.config import Config
from cosim.record.journal import Journal
from cosim.seeds import seed_of
from model_side.hardware.memory import stored_bytes
from model_side.hardware.profiles import PROFILES
from model_side.hardware.whole import cache_bytes
from model_side.service.arrivals import Process, askers, drawn, offline, patience
from model_side.service.request_trace import FIELD, RecordedRequest, read_trace
from model_side.service.scheduler import Arrival, Rules, Scheduler
from model_side.shapes import ModelShape
from model_side.wire_profiles import wire_shape

CACHE = "service.cache_bytes"
ARRIVALS = "arrivals"
"""The key of a journal's `meta`."""


def is_service(config: Config) -> bool:
    """Whether requests arrive, and are served in batches."""
    return config.arrivals.process is not Process.ONE_BY_ONE


def recorded(config: Config) -> Iterator[RecordedRequest]:
    """The requests of the trace, as many as are asked. Raises `RequestError` as `read_trace`."""
    return islice(read_trace(Path(config.arrivals.trace).expanduser()), config.workload.requests)


def recorded_sizes(config: Config) -> tuple[tuple[int, int, str], ...]:
    """Of each request of the trace the tokens of its prompt, its new ones, and where that stands; none without one."""
    if config.arrivals.process is not Process.TRACE:
        return ()
    return tuple((each.prompt_tokens, each.new_tokens, each.place) for each in recorded(config))


def arrivals_meta(config: Config) -> dict[str, str]:
    """What a journal's `meta` says of the trace by which requests arrive: its SHA-256; nothing without one.

    Raises `RequestError` naming `arrivals.trace` if it cannot be read.
    """
    if config.arrivals.process is not Process.TRACE:
        return {}
    try:
        with Path(config.arrivals.trace).expanduser().open("rb") as trace:
            return {ARRIVALS: hashlib.file_digest(trace, "sha256").hexdigest()}
    except OSError as error:
        raise RequestError(FIELD, f"{config.arrivals.trace} is not readable: {error}") from None


def hold_trace(config: Config, journal: Journal) -> None:
    """Raise `RequestError` naming `arrivals.trace` if that is another than a run was made with, as far as it says."""
    for key, now in arrivals_meta(config).items():
        for (was,) in journal.rows("SELECT value FROM meta WHERE key = ?", key):
            if was != now:
                reason = f"{config.arrivals.trace} has changed since the run was made: its SHA-256 was {was}, now {now}"
                raise RequestError(FIELD, f"{reason}; bring back the file of then")


def arrivals_of(config: Config, sizes: Sequence[tuple[int, int]], begin_ns: int) -> Iterator[Arrival]:
    """Requests with these prompts and new tokens as they arrive, from `begin_ns` on; a trace may have fewer."""
    asked, seed = config.arrivals, seed_of(config, "arrivals")
    match asked.process:
        case Process.POISSON:
            times = drawn(asked.rate_per_s, 1.0, seed)
        case Process.GAMMA:
            times = drawn(asked.rate_per_s, asked.variation, seed)
        case Process.TRACE:
            times = (each.at_ns for each in recorded(config))
        case _:
            times = offline()
    waits = patience(asked.patience_s, seed)
    users = askers(asked.users, asked.wired_share, seed)
    for number, (at_ns, (prompt, new), wait_ns, user) in enumerate(zip(times, sizes, waits, users, strict=False)):
        yield Arrival(number, begin_ns + at_ns, prompt, new, wait_ns, user)


def scheduler_of(config: Config, own: ModelShape) -> Scheduler:
    """The scheduler in front of a model of the sizes `own`. Raises `RequestError` if there is no room for a cache."""
    asked, shape = config.service, wire_shape(config.model.wire_profile, own)
    bound = room_bytes(config, shape) if asked.cache_bytes == "memory" else asked.cache_bytes
    rules = Rules(
        asked.requests,
        bound,
        asked.queue,
        asked.order,
        asked.prefill,
        asked.chunk_tokens,
        round(asked.timeout_s * NS_PER_S),
    )
    return Scheduler(rules, lambda tokens: cache_bytes(shape, tokens))


def room_bytes(config: Config, shape: ModelShape) -> int:
    """What the weights that the base station holds, all but the routed experts, leave of its memory."""
    base_station = config.base_station
    hardware = PROFILES[base_station.hardware]
    has = base_station.boards * hardware.memory_bytes
    takes = stored_bytes(shape.weights - shape.routed_weights, base_station.weight_bits)
    if takes >= has:
        reason = f"{hardware.name} has {has:,} bytes, and the weights that stay there take {takes:,}"
        mend = "take more base_station.boards, fewer base_station.weight_bits, or say how much it has, 0 for no bound"
        raise RequestError(CACHE, f"{reason}; {mend}")
    return has - takes
