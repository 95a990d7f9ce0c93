# SPDX-License-Identifier: Apache-2.0
"""The `cosim` command."""

import gc
import os
import signal
import sys
from contextlib import suppress
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
from cosim.offered import cli as offered
from cosim.reporting.cli import compare, report, timeline
from cosim.running import cli as running
from cosim.runs import cli as runs
from cosim.screen.output import CLOSED_PIPE, OutputLost, guard
from cosim.sizing.cli import capacity
from cosim.studies.cli import sweep
from cosim.tuning.cli import tune

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

EXAMPLES = {
    "run": (
        "cosim run --scenario lte --set radio.devices=8 --policy top-k --policy weight-to-latency",
        "cosim run my.toml --network live --network analytic --out runs/first",
        "cosim run my.toml --dry-run",
    ),
    "replay": (
        "cosim replay runs/first",
        "cosim replay runs/first --policy wdmoe --set devices.weight_bits=8",
        "cosim replay runs/first --policy wdmoe --validate",
    ),
    "report": (
        "cosim report runs/first",
        "cosim report runs/seed-1 runs/seed-2 --out report",
        "cosim report runs/first --figure latency-cdf",
    ),
    "sweep": (
        "cosim sweep power.toml --plan",
        "cosim sweep power.toml --workers 4 --budget 8",
        "cosim sweep power.toml --scheduler tls://head:8786 --keys keys",
    ),
    "tune": ("cosim tune front.toml", "cosim tune front.toml --scheduler tls://head:8786 --keys keys"),
    "capacity": (
        "cosim capacity service.toml --policy top-k --policy lookahead",
        "cosim capacity --record runs/first --set arrivals.process=poisson --set service.ttft_s=4 --share 0.95",
    ),
    "eval": (
        "cosim eval --items 20 --policy top-k --policy weight-to-latency",
        "cosim eval --tasks arc:ARC-Easy-Test.jsonl --out runs/arc",
    ),
}
"""What each of these commands shows below its help."""

for name, command in (
    *(("run", running.run), ("policies", offered.policies), ("resume", running.resume), ("replay", running.replay)),
    *(("show", runs.show), ("list", runs.list_runs), ("migrate", runs.migrate), ("export", runs.export)),
    *(("traces", runs.traces), ("routing", runs.routing), ("scenarios", offered.scenarios)),
    *(("devices", offered.devices), ("calibrate", calibrate), ("models", models), ("doctor", doctor)),
    *(
        ("report", report),
        ("timeline", timeline),
        ("compare", compare),
        ("serve", ns3_side.serve),
        ("keys", ns3_side.keys),
    ),
    *(("flags", ns3_side.flags), ("eval", evaluate), ("sweep", sweep), ("tune", tune)),
    ("capacity", capacity),
):
    examples = "\n\n".join(EXAMPLES.get(name, ()))
    app.command(name, epilog=f"For example:\n\n{examples}" if examples else None)(command)


def main() -> NoReturn:
    """Entry point: exit code 2 for bad input, 1 for a lost partner, 130 after Ctrl-C; never a traceback for these."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    gc.set_threshold(50_000)  # to look for garbage among PyTorch's many objects takes a sixth of a start
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
