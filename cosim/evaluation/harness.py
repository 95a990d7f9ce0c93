# SPDX-License-Identifier: Apache-2.0
"""A run of lm-evaluation-harness of one's own, over links."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosim.config import Config
from cosim.experiment import run
from cosim.variant import loaded_of

if TYPE_CHECKING:
    from model_side.model.harness import HarnessCalls, RoutedLM


def run_harness(
    ask: "Callable[[RoutedLM], Any]", config: Config | Mapping[str, Any] | Path | str, **options: Any
) -> tuple[Path, list[Any]]:
    """Have `ask` called with an `LM` for each policy on each network; the run's folder, and what `ask` returned.

    `config` and `options`: as of `cosim.run`, but that no workload counts. Raises as that, and what `ask` raises.
    """
    made: list[HarnessCalls] = []

    def serve(asked: Config) -> "HarnessCalls":
        from model_side.model.harness import HarnessCalls  # noqa: PLC0415  (it takes seconds)

        made.append(HarnessCalls(loaded_of(asked), ask, asked.exchange.element))
        return made[0]

    folder = run(config, serve=serve, **options)
    return folder, made[0].results
