# SPDX-License-Identifier: Apache-2.0
"""`cosim eval`."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from bridge.network import RequestError
from cosim.networks.cli import KeysFolder, PlainTcp
from cosim.screen.output import AsJson, console

_WIDTH = 160

Tasks = Annotated[
    list[str] | None,
    typer.Option("--tasks", metavar="FILE_OR_NAME", help="cloze, held-out, FILE.jsonl or READER:FILE; repeatable."),
]


def evaluate(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG.toml]", help="Configuration; defaults without it.")
    ] = None,
    tasks: Tasks = None,
    lm_eval: Annotated[
        list[str] | None,
        typer.Option("--lm-eval", metavar="TASK", help="Of lm-evaluation-harness, or FILE.yaml; repeatable."),
    ] = None,
    items: Annotated[int | None, typer.Option(min=0, help="At most so many of each task, drawn; 0: all.")] = None,
    policy: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Expert selection; repeat to compare.")
    ] = None,
    network: Annotated[list[str] | None, typer.Option(metavar="NAME", help="live or analytic; repeatable.")] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="PATH", help="A dense model, asked the same whole at the BS.")
    ] = None,
    scenario: Annotated[str | None, typer.Option(metavar="NAME", help="The radio, as of cosim run.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Lay one value over it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Run folder; else a dated one under runs/.")
    ] = None,
    connect: Annotated[str | None, typer.Option(metavar="ENDPOINT", help="Use a running `cosim serve`.")] = None,
    keys: KeysFolder = None,
    plain_tcp: PlainTcp = False,
    or_resume: Annotated[bool, typer.Option("--or-resume", help="Go on with the same one if --out holds it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score a model on tasks with its experts behind simulated links (docs/runs/evaluation.md)."""
    from rich.console import Console

    from cosim import config as configuration
    from cosim.evaluation.evaluating import with_tasks
    from cosim.experiment import State, dated_folder, resume, run, state
    from cosim.networks.ns3_side import Ns3Place
    from cosim.screen.display import telling

    if or_resume and out is None:
        raise RequestError("--or-resume", "needs --out, the run's folder")
    laid = with_tasks(config, tasks or [], lm_eval or [], items, settings or [])
    experiment = configuration.load(config, laid, policy, scenario, network, baseline)
    folder = out or dated_folder(Path("runs"))
    at = Ns3Place(connect, None, keys, plain_tcp)
    begun = state(folder, experiment) if or_resume else State.NEW
    if begun is not State.FINISHED:
        with telling(folder, Console(stderr=True) if as_json else console()) as display:
            if begun is State.BEGUN:
                resume(folder, at=at, display=display)
            else:
                run(experiment, out=folder, at=at, display=display)
    _print(folder, as_json)


def _print(folder: Path, as_json: bool) -> None:
    from cosim.record.journal import Journal
    from cosim.results.summary import summarise
    from cosim.screen.as_json import print_json
    from cosim.screen.scores import print_scores

    if as_json:
        scores = [{"policy": each.policy, "network": each.network, "tasks": each.scores} for each in summarise(folder)]
        print_json({"run": folder, "scores": scores})
        return
    with closing(Journal.open(folder)) as journal:
        print_scores(summarise(journal), console(_WIDTH))
        for kind, message in journal.mishaps():
            print(f"{kind}: {message}")
        print(f"journal: {journal.path}, fingerprint {journal.fingerprint()[:16]}")
    print(f"latency, energy and what the experts did: cosim show {folder}")
