# SPDX-License-Identifier: Apache-2.0
"""A run's own routing as a routing trace (docs/runs/routing.md), to be replayed without its model."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bridge.network import RequestError
from cosim.folders import told
from cosim.record.journal import Journal
from model_side.record_routing import GateArrays, RoutingWriter
from model_side.selection import Phase


class _Pass(NamedTuple):
    """A forward pass of one request: its choices in each layer."""

    request: int
    position: int
    phase: str
    gates: Sequence[GateArrays]


def write_routing(run: Path, path: Path) -> int:
    """Write the model's own choices in the first variant of a run; returns how many passes those are.

    Prompts are not in a journal, so their token ids are null. Where requests shared passes, each has passes of its own
    in the file: its prompt's, read at once, and one for each token after the first; who got no token is left out, and
    the others are numbered anew. Raises `RequestError` naming RUN for what is no journal or has nothing recorded, and
    FILE if it is there already or cannot be written.
    """
    if find_spec("pyarrow") is None:
        raise RequestError("routing", "needs pyarrow; pip install 'wdmoe-cosim[tables]'")
    if path.exists():
        raise RequestError("FILE", f"{path} exists already; choose another")
    with closing(Journal.open(run)) as journal:
        described = journal.rows("SELECT value FROM meta WHERE key = 'model'")
        tokens = {
            (request, position): token
            for request, position, token in journal.rows(
                "SELECT request, position, token FROM tokens WHERE variant = 1"
            )
        }
        if not tokens:
            raise RequestError("RUN", f"{run} has no whole forward pass on record")
        if not described:
            raise RequestError("RUN", f"{run} does not say which model ran; it was made before schema version 3")
        model = json.loads(described[0][0])
        table = journal.calibration()
        sha256 = "" if table is None else table.model
        layers = len(model["shape"]["moe_layers"])
        is_shared = bool(journal.rows("SELECT 1 FROM passes WHERE variant = 1 LIMIT 1"))
        given = Counter(request for request, _ in tokens)
        passes = _shared_passes(journal, layers, given) if is_shared else _own_passes(journal, layers)
        numbers: dict[int, int] = {}
        with (
            told(path, "FILE"),
            _removed_if_broken(path),
            RoutingWriter(path, model["name"], model["shape"], model["probabilities"], sha256) as writer,
        ):
            for _ in range(len(tokens)):
                pass_ = next(passes, None)
                counts = set() if pass_ is None else {len(gate.weights) for gate in pass_.gates}
                if pass_ is None or len(pass_.gates) < layers or len(counts) > 1:
                    raise RequestError("RUN", f"{run} is damaged: its tokens are not those of its exchanges")
                known = [tokens.get((pass_.request, pass_.position + step)) for step in range(counts.pop() + 1)]
                number = numbers.setdefault(pass_.request, len(numbers))
                writer.add(number, pass_.phase, pass_.position, known[:-1], known[1:], pass_.gates)
    return len(tokens)


def _own_passes(journal: Journal, layers: int) -> Iterator[_Pass]:
    """Those of requests that were served one by one, in the order in which they ran."""
    exchanges = journal.db.execute(
        "SELECT request, position, phase, e.tokens, experts, probabilities, gate_weights, gate_experts "
        "FROM exchanges e JOIN routing USING (variant, exchange) WHERE variant = 1 ORDER BY exchange"
    )
    while rows := list(islice(exchanges, layers)):
        request, position, phase, *_ = rows[0]
        yield _Pass(request, position, phase, [_gate(*row[3:]) for row in rows])


def _shared_passes(journal: Journal, layers: int, given: Mapping[int, int]) -> Iterator[_Pass]:
    """Those of each request that was `given` so many tokens, whoever else was in the passes that it shared."""
    parts = journal.rows(
        "SELECT request, phase, position, exchange, tokens, row FROM pass_rows WHERE variant = 1 "
        "ORDER BY request, exchange"
    )
    for request, own in groupby((part for part in parts if part[0] in given), key=lambda part: part[0]):
        gates = [(phase, position, _part(journal, layers, *where)) for _, phase, position, *where in own]
        chunks = [gate for phase, _, gate in gates if phase == Phase.PREFILL]
        whole = [_joined(layer) for layer in zip(*chunks, strict=True)]
        passes = [_Pass(request, 0, Phase.PREFILL, whole)]
        passes += [_Pass(request, position, phase, gate) for phase, position, gate in gates if phase == Phase.DECODE]
        yield from passes[: given[request]]  # of a run that was killed, a pass may be on record without its tokens


def _part(journal: Journal, layers: int, first: int, tokens: int, row: int) -> list[GateArrays]:
    """Of the pass that begins with an exchange, so many of its rows from `row` on in each layer."""
    exchanges = journal.rows(
        "SELECT experts, substr(probabilities, 1 + 4 * experts * ?1, 4 * experts * ?2), "
        "substr(gate_weights, 1 + 4 * top_k * ?1, 4 * top_k * ?2), "
        "substr(gate_experts, 1 + 2 * top_k * ?1, 2 * top_k * ?2) "
        "FROM routing WHERE variant = 1 AND exchange >= ?3 AND exchange < ?3 + ?4 ORDER BY exchange",
        row,
        tokens,
        first,
        layers,
    )
    return [_gate(tokens, *columns) for columns in exchanges]


def _joined(chunks: Sequence[GateArrays]) -> GateArrays:
    """The chunks of a prompt in one layer as one."""
    probabilities = [chunk.probabilities for chunk in chunks if chunk.probabilities is not None]
    return GateArrays(
        np.concatenate(probabilities) if probabilities else None,
        np.concatenate([chunk.weights for chunk in chunks]),
        np.concatenate([chunk.indices for chunk in chunks]),
    )


@contextmanager
def _removed_if_broken(path: Path) -> Iterator[None]:
    """A file that is written inside is whole or not there."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _gate(tokens: int, experts: int, probabilities: bytes | None, weights: bytes, indices: bytes) -> GateArrays:
    router = None if probabilities is None else np.frombuffer(probabilities, "<f4").reshape(tokens, experts)
    chosen = np.frombuffer(indices, "<i2").astype(np.int64)
    return GateArrays(router, np.frombuffer(weights, "<f4").reshape(tokens, -1), chosen.reshape(tokens, -1))
