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
    """Keeps what takes long to load: a recording, or a model as long as it is asked the same.

    Of recorded routing an episode has `workload.requests` requests, drawn without replacement by the seed of prompts;
    all of them, in their order, if there are no more.
    """

    def __init__(self) -> None:
        self._kept: tuple[tuple[object, ...], Serving] | None = None
        self._traces: dict[str, RoutingTrace] = {}

    def of(self, config: Config) -> Serving:
        """What answers those of an experiment. Raises as `cosim.variant.serving_of`."""
        if config.model.routing:
            trace = self._trace(config.model.routing)
            there = int(trace.request[-1]) + 1
            chance = np.random.default_rng(seed_of(config, "prompts"))
            drawn = chance.choice(there, min(config.workload.requests, there), replace=False)
            return RoutingReplay(trace.only(drawn), proxy=False)
        seeds = (seed_of(config, "prompts"), seed_of(config, "sampling"))
        asked = (config.model, config.workload, config.quality, config.exchange.element, *seeds)
        if self._kept is None or self._kept[0] != asked:
            self._kept = None  # two models may be more than there is room for
            self._kept = (asked, serving_of(config))
        return self._kept[1]

    def _trace(self, routing: str) -> RoutingTrace:
        path = str(Path(routing).expanduser().resolve())
        if path not in self._traces:
            self._traces[path] = RoutingTrace.read(Path(path))
        return self._traces[path]
