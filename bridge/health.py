# SPDX-License-Identifier: Apache-2.0
"""Does a network's side answer? `python -m bridge.health ENDPOINT [--keys FOLDER | --plain-tcp]`, run beside it.

Asks the control channel for a pulse, with that side's own keys. Exit code 0 if one comes, 1 if not, 2 for bad input.
"""

import argparse
import sys
from pathlib import Path

import zmq

from bridge.endpoint import check_endpoint, control_endpoint
from bridge.keys import Keys, keys_for
from bridge.messages import MAX_CONTROL_BYTES, Beat, Garbage, Pulse, WrongVersion, decode, encode, to_client
from bridge.network import RequestError
from bridge.sockets import open_channel

PATIENCE_S = 3.0


def lives(endpoint: str, keys: Keys | None) -> bool:
    """Whether the server at `endpoint` answers a beat within `PATIENCE_S`. `keys`: that side's own."""
    with zmq.Context() as context, open_channel(context, zmq.DEALER, MAX_CONTROL_BYTES) as channel:
        channel.setsockopt(zmq.LINGER, 0)
        if keys is not None:
            channel.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
            channel.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
            channel.setsockopt(zmq.CURVE_SERVERKEY, keys.public)
        channel.connect(control_endpoint(endpoint))
        channel.send(encode(Beat("")))
        if not channel.poll(round(1e3 * PATIENCE_S)):
            return False
        try:
            return isinstance(decode(channel.recv(), to_client), Pulse)
        except (Garbage, WrongVersion):
            return False


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m bridge.health", description="Ask a network's side for a pulse.")
    parser.add_argument("endpoint", metavar="ENDPOINT", help="where it listens: ipc://PATH or tcp://HOST:PORT")
    parser.add_argument("--keys", type=Path, metavar="FOLDER", help="that side's keys, for tcp")
    parser.add_argument("--plain-tcp", action="store_true", help="tcp without keys")
    arguments = parser.parse_args()
    try:
        check_endpoint(arguments.endpoint, "ENDPOINT")
        keys = keys_for(arguments.endpoint, "network", arguments.keys, arguments.plain_tcp)
    except RequestError as error:
        print(f"cosim: {error}", file=sys.stderr)
        return 2
    alive = lives(arguments.endpoint, keys)
    verdict = "answers" if alive else f"has been silent for {PATIENCE_S:g} s"
    print(f"the network's side at {arguments.endpoint} {verdict}")
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main())
