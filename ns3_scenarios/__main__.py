# SPDX-License-Identifier: GPL-2.0-only
"""The ns-3 side as a process of its own: `python -m ns3_scenarios --listen ENDPOINT`."""

import argparse
import faulthandler
import logging
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from bridge.keys import keys_for
from bridge.network import RequestError
from bridge.server import Server
from ns3_scenarios.scripts.said import Said
from ns3_scenarios.scripts.script import refuse_foreign
from ns3_scenarios.simulation import Simulation, open_network


def main() -> int:
    """Serve simulations until stopped. Exit code 0 after a clean stop, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="cosim serve", description="Serve ns-3 simulations to one client at a time.")
    parser.add_argument("--listen", required=True, metavar="ENDPOINT", help="ipc://PATH or tcp://HOST:PORT")
    parser.add_argument("--keys", type=Path, metavar="FOLDER", help="this side's keys, for tcp")
    parser.add_argument("--plain-tcp", action="store_true", help="tcp without keys, for whoever can reach it")
    parser.add_argument("--once", action="store_true", help="end after the first session")
    parser.add_argument(
        "--scripts",
        action="append",
        default=[],
        type=Path,
        metavar="PLACE",
        help="a file or folder of scenario scripts that clients may name; repeat for more",
    )
    parser.add_argument("--child", action="store_true", help="end when standard input ends")
    arguments = parser.parse_args()
    faulthandler.enable(2)  # where the script stood when ns-3 ended its process
    faulthandler.register(signal.SIGUSR1, 2)  # or stands, when whoever waits for it asks
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="ns-3 side: %(message)s")

    def open_allowed(
        scenario: str, parameters: dict[str, Any], seed: int, apart: dict[str, int], folder: str | None = None
    ) -> Simulation:
        refuse_foreign(scenario, arguments.scripts)
        return open_network(scenario, parameters, seed, apart, folder)

    try:
        server = Server(
            arguments.listen,
            open_allowed,
            once=arguments.once,
            keys=keys_for(arguments.listen, "network", arguments.keys, arguments.plain_tcp),
            plain_tcp=arguments.plain_tcp,
            parent_fd=sys.stdin.fileno() if arguments.child else None,
        )
    except RequestError as error:
        print(f"cosim: {error}", file=sys.stderr)
        return 2
    logging.info("listening at %s", server.endpoint)
    with Said(sys.stderr) as said, redirect_stdout(said), redirect_stderr(said):
        server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
