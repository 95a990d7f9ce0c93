# SPDX-License-Identifier: Apache-2.0
"""What answers the requests of episode after episode."""

from pathlib import Path

import numpy as np

from cosim.config import Config
from cosim.seeds import seed_of
from cosim.variant import serving_of
from model_side.routing_replay import RoutingReplay
from model_side.routing_trace import RoutingTrace
from model_side.serving import Serving


class Servings:
    """Keeps what takes long to load: a recording, or a model.

    Of recorded routing an episode has `workload.requests` requests, drawn without replacement by the seed of prompts;
    all of them, in their order, if there are no more.
    """

    def __init__(self) -> None:
        self._traces: dict[str, RoutingTrace] = {}

    def of(self, config: Config) -> Serving:
        """What answers those of an experiment. Raises as `cosim.variant.serving_of`."""
        if config.model.routing:
            trace = self._trace(config.model.routing)
            there = int(trace.request[-1]) + 1
            chance = np.random.default_rng(seed_of(config, "prompts"))
            drawn = chance.choice(there, min(config.workload.requests, there), replace=False)
            return RoutingReplay(trace.only(drawn), proxy=False)
        from model_side.model.loading import keep_loaded  # noqa: PLC0415  (recorded routing needs no PyTorch)

        keep_loaded()
        return serving_of(config)

    def _trace(self, routing: str) -> RoutingTrace:
        path = str(Path(routing).expanduser().resolve())
        if path not in self._traces:
            self._traces[path] = RoutingTrace.read(Path(path))
        return self._traces[path]
