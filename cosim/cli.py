# SPDX-License-Identifier: Apache-2.0
"""The `cosim` command."""

import json
import os
import signal
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bridge.network import PartnerLost, RequestError
from cosim.ahead import is_busy
from cosim.calibration.cli import calibrate
from cosim.doctor.cli import doctor
from cosim.errors import Diverged, JournalUnwritable
from cosim.evaluation.cli import evaluate
from cosim.importing.cli import app as importing
from cosim.models.cli import models
from cosim.networks import cli as ns3_side
from cosim.networks.cli import KeysFolder, PlainTcp
from cosim.report.cli import Watch, compare, report, timeline
from cosim.screen.output import CLOSED_PIPE, OutputLost, console, guard

app = typer.Typer(
    help="Co-simulation of a Mixture-of-Experts model whose experts live on devices behind an ns-3 radio.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(importing, name="import")


@app.callback(no_args_is_help=True, invoke_without_command=True)
def _start(
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version and end.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"wdmoe-cosim {installed('wdmoe-cosim')}")
        raise typer.Exit


_INTERRUPTED = 130  # what Typer makes of Ctrl-C
_REPORT_WIDTH = 160  # for every policy on a few networks side by side

ConfigFile = Annotated[Path | None, typer.Argument(metavar="[CONFIG.toml]", help="Configuration; defaults without it.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Lay one value over it.")]
Scenario = Annotated[
    str | None, typer.Option(metavar="NAME", help="A built-in scenario, or FILE.py or FILE.py:CLASS of your own.")
]
Policies = Annotated[list[str] | None, typer.Option("--policy", help="Expert selection; repeat to compare.")]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", help="live: packets in ns-3; analytic: Shannon's formula on its channel. Repeatable."),
]
PolicyName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="One of them, or FILE.py or FILE.py:CLASS of your own.")
]


@app.command()
def run(
    config: ConfigFile = None,
    scenario: Scenario = None,
    settings: Settings = None,
    policy: Policies = None,
    network: Networks = None,
    baseline: Annotated[str | None, typer.Option(metavar="PATH", help="A dense model, served whole at the BS.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; else a dated one under runs/.")] = None,
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
) -> None:
    """Run a model over simulated radio links and print what came of it."""
    from cosim import config as configuration
    from cosim.experiment import State, dated_folder, state
    from cosim.experiment import run as run_experiment
    from cosim.networks.ns3_side import Ns3Place
    from cosim.report.live import watched
    from cosim.screen.display import telling

    if connect and listen:
        raise RequestError("--connect", "starts no ns-3 side; leave --listen away")
    if or_resume and (out is None or listen):
        raise RequestError("--or-resume", "needs --out, the run's folder" if out is None else "leave --listen away")
    terminal = console()
    experiment = configuration.load(config, settings or [], policy, scenario, network, baseline)
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


@app.command()
def policies(
    name: PolicyName = None,
    template: Annotated[bool, typer.Option("--template", help="Print its source, to start one's own from.")] = False,
) -> None:
    """List the expert-selection policies, or describe one: its rule, where that is from, its options."""
    from cosim.screen.policies import print_list, print_policy, template_of

    if name is None:
        if template:
            raise RequestError("--template", "needs the name of a policy")
        print_list(console())
    elif template:
        print(template_of(name), end="")
    else:
        print_policy(name, console())


@app.command()
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


@app.command()
def replay(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    policy: Annotated[list[str] | None, typer.Option(help="What if this policy ran? (repeatable)")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="What if this were so? (repeatable)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A what-if's run folder; else runs/DATE.")] = None,
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


@app.command()
def show(run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]) -> None:
    """Print a run's tables again, from its journal."""
    from cosim.record.journal import UNDELIVERED, Journal
    from cosim.results.summary import summarise
    from cosim.screen.report import nothing_back, print_report, unused_weights

    with closing(Journal.open(run)) as journal:
        variants = summarise(journal)
        print_report(variants, console(_REPORT_WIDTH))
        if unused := unused_weights(journal):
            print(unused)
        mishaps = journal.mishaps()
        for kind, message in mishaps:
            print(f"{kind}: {message}")
        if changed := journal.changed_since_its_end():
            print(f"changed since the run came to its end: {', '.join(changed)}")
        print(f"journal: {journal.path}, fingerprint {journal.fingerprint()[:16]}")
    if verdict := nothing_back(variants, [message for kind, message in mishaps if kind == UNDELIVERED]):
        print(verdict)


@app.command("list")
def list_runs(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where to look, at any depth.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """List the runs in a folder, and which of them can be gone on with."""
    from cosim.results.runs import runs_in
    from cosim.screen.runs import print_runs

    runs = list(runs_in(folder))
    if as_json:
        print(json.dumps([run._asdict() for run in runs], indent=1))
    elif runs:
        print_runs(runs, console(_REPORT_WIDTH))
    else:
        print(f"no runs in {folder}; cosim run makes one")


@app.command()
def migrate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that an older version wrote.")],
    new: Annotated[
        Path | None, typer.Argument(metavar="[NEW]", help="A new folder; else one beside RUN, named RUN-schema-N.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Change RUN itself; its old journal is kept beside the new one.")
    ] = False,
) -> None:
    """Make a run whose journal has an older schema into one that this version reads."""
    from cosim.record.migrations import migrate as migrate_run

    for path in migrate_run(run, new, in_place=in_place):
        print(path)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the files.")],
) -> None:
    """Write a run's tables as Parquet files."""
    try:
        from cosim.results import tables
    except ModuleNotFoundError as error:
        raise RequestError("export", f"needs {error.name}; pip install 'wdmoe-cosim[tables]'") from None

    for path in tables.export(run, folder):
        print(path)


@app.command()
def traces(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the files.")],
    variant: Annotated[int, typer.Option(help="Which of the run's variants, from 1.")] = 1,
) -> None:
    """Write what each device's link could have carried, CSV and Mahimahi, and recorded.toml to play it (cosim run)."""
    from cosim.results.rate_traces import CONFIG
    from cosim.results.rate_traces import export as export_traces

    paths = export_traces(run, folder, variant)
    for path in paths:
        print(path)
    if folder / CONFIG not in paths:
        print(f"no {CONFIG}: a device without files could never be reached, and no recording says so", file=sys.stderr)


@app.command()
def routing(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    file: Annotated[Path, typer.Argument(metavar="FILE.parquet", help="A new file.")],
) -> None:
    """Write how a run's model routed, to be replayed without it (model.routing)."""
    from cosim.results.routing_trace import write_routing

    print(f"{file}: {write_routing(run, file)} forward passes")


@app.command()
def scenarios(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A built-in scenario, or FILE.py or FILE.py:CLASS.")
    ] = None,
    parameter: Annotated[
        str | None, typer.Argument(metavar="[PARAMETER]", help="One of its parameters, to be shown whole.")
    ] = None,
    template: Annotated[bool, typer.Option("--template", help="Print its source, to start your own from.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Build it and send a probe to each device and back.")] = False,
    settings: Settings = None,
) -> None:
    """List the radio scenarios, or show the parameters of one."""
    from cosim import config as configuration
    from cosim.screen import scenarios as radio_scenarios

    if parameter is not None and (template or check):
        raise RequestError("PARAMETER", "--template and --check are about the whole scenario; leave it away")
    if template and (check or settings):
        other = "--check" if check else "--set"
        raise RequestError("--template", f"prints a source as it is; leave {other} away")
    if name is None:
        if template or check or settings:
            raise RequestError("NAME", "say which scenario; `cosim scenarios` lists them")
        radio_scenarios.print_list(console())
        return
    experiment = configuration.load(None, settings or [], scenario=name)
    if template:
        print(radio_scenarios.template(experiment.scenario), end="")
    elif check:
        if not radio_scenarios.check(experiment, console()):
            raise typer.Exit(1)
    else:
        radio_scenarios.print_parameters(experiment.scenario, parameter, console(), experiment.radio_parameters)


@app.command()
def devices() -> None:
    """Hold the devices' compute model against published measurements."""
    from model_side.hardware.check import main as check

    check()


for command in (calibrate, models, doctor, report, timeline, compare, ns3_side.serve, ns3_side.keys, ns3_side.flags):
    app.command()(command)
app.command("eval")(evaluate)


def main() -> NoReturn:
    """Entry point: exit code 2 for bad input, 1 for a lost partner, 130 after Ctrl-C; never a traceback for these."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's idle threads must not spin on ns-3's core
    guard()
    try:
        code = run_command()
        sys.stdout.flush()
    except OutputLost as error:
        code = CLOSED_PIPE if error.pipe else _say(str(error), 2)
    if is_busy() or "torch" in sys.modules:  # whose own end takes a second, and goes ill while it is being loaded
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run_command() -> int:
    """What `sys.argv` asks for; the exit code. What went wrong has been said, but for an output that is lost."""
    try:
        code = app(standalone_mode=False) or 0
    except RequestError as error:
        return _say(str(error), 2)
    except (PartnerLost, Diverged, JournalUnwritable) as error:
        return _say(str(error), 1)
    except typer.Exit as exit_:
        return exit_.exit_code
    except typer.TyperException as error:
        return _say(error.format_message(), error.exit_code)
    except OSError as error:  # of a file that we had no reason to doubt
        return _say(f"{error.filename or 'the system'}: {error.strerror or error}", 2)
    if code == _INTERRUPTED:
        _say("stopped by the user", code)
    return int(code)


def _say(message: str, code: int) -> int:
    if message:  # the help that answers no arguments says all by itself
        with suppress(OSError):
            print(f"cosim: {message}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    main()
