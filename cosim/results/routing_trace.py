# SPDX-License-Identifier: Apache-2.0
"""A run's own routing as a routing trace (docs/runs/routing.md), to be replayed without its model."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np

from bridge.network import RequestError
from cosim.folders import told
from cosim.record.journal import Journal
from cosim.results.service import refuse_service
from model_side.record_routing import GateArrays, RoutingWriter


def write_routing(run: Path, path: Path) -> int:
    """Write the model's own choices in the first variant of a run; returns how many passes those are.

    Prompts are not in a journal, so their token ids are null. Raises `RequestError` naming RUN for what is no journal
    or has nothing recorded, and FILE if it is there already or cannot be written.
    """
    if find_spec("pyarrow") is None:
        raise RequestError("routing", "needs pyarrow; pip install 'wdmoe-cosim[tables]'")
    if path.exists():
        raise RequestError("FILE", f"{path} exists already; choose another")
    with closing(Journal.open(run)) as journal:
        refuse_service(journal, "a routing trace")
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
        exchanges = journal.db.execute(
            "SELECT request, position, phase, e.tokens, experts, probabilities, gate_weights, gate_experts "
            "FROM exchanges e JOIN routing USING (variant, exchange) WHERE variant = 1 ORDER BY exchange"
        )
        with (
            told(path, "FILE"),
            _removed_if_broken(path),
            RoutingWriter(path, model["name"], model["shape"], model["probabilities"], sha256) as writer,
        ):
            for _ in range(len(tokens)):
                pass_ = list(islice(exchanges, layers))
                if len(pass_) < layers or len({row[3] for row in pass_}) > 1:
                    raise RequestError("RUN", f"{run} is damaged: its tokens are not those of its exchanges")
                request, position, phase, count, *_ = pass_[0]
                known = [tokens.get((request, position + step)) for step in range(count + 1)]
                writer.add(request, phase, position, known[:-1], known[1:], [_gate(*row[3:]) for row in pass_])
    return len(tokens)


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
