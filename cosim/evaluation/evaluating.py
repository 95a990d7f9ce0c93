# SPDX-License-Identifier: Apache-2.0
"""A model scored on tasks with its experts behind links: a run whose workload is tasks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cosim.config import Config, load
from cosim.experiment import run
from cosim.networks.ns3_side import Ns3Place
from cosim.screen.display import Display, Silence

DEFAULT = ("cloze", "held-out")
"""The shipped tasks, which are asked where none is named."""
_HERE = Ns3Place()
_SILENCE = Silence()


def evaluate(
    config: Config | Mapping[str, Any] | Path | str | None = None,
    tasks: Sequence[str] = (),
    *,
    lm_eval: Sequence[str] = (),
    items: int | None = None,
    policies: Sequence[str] | None = None,
    networks: Sequence[str] | None = None,
    out: Path | str | None = None,
    at: Ns3Place = _HERE,
    display: Display = _SILENCE,
) -> Path:
    """Score a model on tasks with its experts behind simulated links; the run's folder (docs/runs/evaluation.md).

    `config`, `policies`, `networks`, `out`, `at`, `display`: as of `cosim.run`; all defaults without `config`. `tasks`:
    cloze, held-out, FILE.jsonl or READER:FILE; without any, and none in `config`, the first two. `lm_eval`: tasks of
    lm-evaluation-harness instead. `items`: at most so many of each task, drawn; 0 for all. The scores are in
    `cosim.summarise(folder)`, each item in `cosim.load(folder)["items"]`. Raises as `cosim.run`.
    """
    asked = with_tasks(config, tasks, lm_eval, items)
    return run(load(config, asked), policies=policies, networks=networks, out=out, at=at, display=display)


def with_tasks(
    config: Config | Mapping[str, Any] | Path | str | None,
    tasks: Sequence[str],
    lm_eval: Sequence[str],
    items: int | None,
    settings: Sequence[str] = (),
) -> list[str]:
    """The settings that lay tasks over a configuration: those that are named, else its own, else the shipped ones."""
    laid = list(settings)
    if tasks:
        laid.append(f"workload.tasks={json.dumps(list(tasks))}")
    if lm_eval:
        laid.append(f"workload.lm_eval={json.dumps(list(lm_eval))}")
    if items is not None:
        laid.append(f"workload.items={items}")
    if any(setting.startswith(("workload.tasks=", "workload.lm_eval=")) for setting in laid):
        return laid
    work = load(config).workload
    return laid if work.tasks or work.lm_eval else [*laid, f"workload.tasks={json.dumps(DEFAULT)}"]
