# SPDX-License-Identifier: Apache-2.0
"""The ns-3 side by itself: `cosim serve`, `cosim keys`, `cosim flags`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

KeysFolder = Annotated[
    Path | None, typer.Option("--keys", metavar="FOLDER", help="This side's keys, for tcp; `cosim keys` makes them.")
]
PlainTcp = Annotated[
    bool, typer.Option("--plain-tcp", help="tcp without keys: whoever can reach the address can use it.")
]


def serve(
    listen: Annotated[str, typer.Option(metavar="ENDPOINT", help="ipc://PATH or tcp://HOST:PORT")],
    keys: KeysFolder = None,
    plain_tcp: PlainTcp = False,
    once: Annotated[bool, typer.Option("--once", help="End after the first session.")] = False,
    scripts: Annotated[
        list[Path] | None,
        typer.Option(metavar="PLACE", help="A file or folder of scenario scripts that clients may name; repeatable."),
    ] = None,
) -> None:
    """Run the ns-3 side alone, for another terminal or host."""
    command = [sys.executable, "-m", "ns3_scenarios", "--listen", listen]
    command += ["--plain-tcp"] * plain_tcp + ["--once"] * once
    command += [] if keys is None else ["--keys", str(keys)]
    command += [word for place in scripts or [] for word in ("--scripts", str(place))]
    sys.stdout.flush()
    os.execv(sys.executable, command)


def keys(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write them.")],
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Those of a study's scheduler and workers instead (docs/runs/cluster.md).")
    ] = False,
) -> None:
    """Make the keys with which the two sides know each other over tcp (docs/inside/security.md)."""
    from bridge.keys import make_keys
    from cosim.cluster_keys import make_cluster_keys

    for path in make_cluster_keys(folder) if cluster else make_keys(folder):
        print(path)


def flags() -> None:
    """Print the C++ compiler's flags for an ns-3 module of your own (docs/scripts/contrib.md)."""
    command = [sys.executable, "-m", "ns3_scenarios.wheel.build", "--flags"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    print(done.stdout.decode(), end="")
    raise typer.Exit(done.returncode)
