# SPDX-License-Identifier: Apache-2.0
"""`cosim run`, `cosim resume`, `cosim replay`."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from bridge.network import RequestError
from cosim.networks.cli import KeysFolder, PlainTcp
from cosim.reporting.cli import Watch
from cosim.runs.cli import show
from cosim.screen.output import console

ConfigFile = Annotated[Path | None, typer.Argument(metavar="[CONFIG.toml]", help="Configuration; defaults without it.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Lay one value over it.")]
Scenario = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="A built-in scenario, nr if none (cosim scenarios), or FILE.py or FILE.py:CLASS."
    ),
]
Policies = Annotated[
    list[str] | None,
    typer.Option(
        "--policy", metavar="NAME", help="Expert selection, top-k if none; repeat to compare (cosim policies)."
    ),
]
Networks = Annotated[
    list[str] | None,
    typer.Option(
        "--network",
        metavar="NAME",
        help="live, which is the default: packets in ns-3; analytic: Shannon's formula on its channel. Repeatable.",
    ),
]


def run(
    config: ConfigFile = None,
    scenario: Scenario = None,
    settings: Settings = None,
    policy: Policies = None,
    network: Networks = None,
    baseline: Annotated[str | None, typer.Option(metavar="PATH", help="A dense model, served whole at the BS.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Run folder; else a dated one under runs/.")
    ] = None,
    connect: Annotated[str | None, typer.Option(metavar="ENDPOINT", help="Use a running `cosim serve`.")] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="ENDPOINT", help="Where the ns-3 side started here listens.")
    ] = None,
    keys: KeysFolder = None,
    plain_tcp: PlainTcp = False,
    or_resume: Annotated[
        bool, typer.Option("--or-resume", help="Go on with the same run if --out holds it; a finished one is shown.")
    ] = False,
    watch: Watch = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be run, with every default, as a CONFIG.toml.")
    ] = False,
) -> None:
    """Run a model over simulated radio links and print what came of it."""
    from cosim import config as configuration
    from cosim.experiment import State, dated_folder, state
    from cosim.experiment import run as run_experiment
    from cosim.networks.ns3_side import Ns3Place
    from cosim.reporting.live import watched
    from cosim.screen.display import telling

    if connect and listen:
        raise RequestError("--connect", "starts no ns-3 side; leave --listen away")
    if or_resume and (out is None or listen):
        raise RequestError("--or-resume", "needs --out, the run's folder" if out is None else "leave --listen away")
    terminal = console()
    experiment = configuration.load(config, settings or [], policy, scenario, network, baseline)
    if dry_run:
        from cosim.running.dry_run import lines

        print("\n".join(lines(experiment)))
        return
    folder = out or dated_folder(Path("runs"))
    if or_resume:
        match state(folder, experiment):
            case State.FINISHED:
                print(f"{folder} came to its end before; remove it to run it again")
                show(folder)
                return
            case State.BEGUN:
                resume(folder, connect, keys, plain_tcp)
                return
    with watched(folder, watch), telling(folder, terminal) as display:
        at = Ns3Place(connect, listen, keys, plain_tcp)
        run_experiment(experiment, out=folder, at=at, display=display)
    show(folder)
    print(f"to look at it: cosim report {folder}")


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run that did not come to its end.")],
    connect: Annotated[str | None, typer.Option(metavar="ENDPOINT", help="Use a running `cosim serve`.")] = None,
    keys: KeysFolder = None,
    plain_tcp: PlainTcp = False,
) -> None:
    """Go on with a run that was interrupted, however that was."""
    from cosim.experiment import resume as resume_run
    from cosim.networks.ns3_side import Ns3Place
    from cosim.screen.display import telling

    with telling(run, console()) as display:
        resume_run(run, at=Ns3Place(connect, None, keys, plain_tcp), display=display)
    show(run)


def replay(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    policy: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="What if this policy ran? (repeatable)")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="What if this were so? (repeatable)")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="A what-if's run folder; else runs/DATE.")] = None,
    validate: Annotated[
        bool, typer.Option("--validate", help="Run the what-if live as well, in its folder, and print its error.")
    ] = False,
) -> None:
    """Do a run again on its recorded outcomes and compare; with --policy or --set, ask it what would have been."""
    from cosim.experiment import dated_folder
    from cosim.experiment import replay as replay_run
    from cosim.record.journal import Journal
    from cosim.screen.display import make_display

    if policy or settings or validate:
        _what_if(run, policy, settings or [], out or dated_folder(Path("runs")), validate)
        return
    if out is not None:
        raise RequestError("--out", "an exact replay writes nothing; give --policy or --set with it")
    display = make_display(console())
    try:
        replay_run(run, display=display)
    finally:
        display.end()
    with closing(Journal.open(run)) as journal:
        exchanges, tokens = journal.counts()
        print(f"as recorded: {exchanges} exchanges, {tokens} tokens; fingerprint {journal.fingerprint()[:16]}")


def _what_if(run: Path, policies: list[str] | None, settings: list[str], folder: Path, validate: bool) -> None:
    from cosim.experiment import run as run_live
    from cosim.experiment import what_if
    from cosim.record.journal import Journal
    from cosim.screen.display import make_display, telling
    from cosim.screen.report import print_errors

    terminal = console()
    display = make_display(terminal)
    try:
        what_if(run, settings, policies=policies, out=folder, display=display)
    finally:
        display.end()
    show(folder)
    if validate:
        live = folder / "live"
        with closing(Journal.open(folder)) as predicted:
            with telling(live, terminal) as display:
                run_live(predicted.config, networks=["live"], out=live, display=display)
            show(live)
            with closing(Journal.open(live)) as measured:
                print_errors(predicted, measured, terminal)
