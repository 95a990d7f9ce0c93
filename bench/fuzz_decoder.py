# SPDX-License-Identifier: Apache-2.0
"""Mutated messages against the decoder: `python -m bench.fuzz_decoder [--seconds 3600] [--seed 1]`.

Needs atheris (`pip install atheris`), libFuzzer for Python. The seeds are messages of every kind. A mutation is
libFuzzer's own, of bytes, or one of ours, of the msgpack tree: what libFuzzer would need long to find, since msgspec
is C without its instrumentation, so that its coverage sees our Python alone.

Of each input, by both decoders: it is a message, or `Garbage`, or `WrongVersion`, and nothing else is raised; a
message encodes to a frame that decodes to one with the same frame. libFuzzer stops at an input that takes longer than
`TIMEOUT_S`, or when the process holds more than `MEMORY_MB`. `--seconds` are of CPU. Exit code 0 if it
found nothing, 2 without atheris.
"""

import argparse
import os
import random
import resource
import sys
import time
from collections import Counter
from typing import Any

import msgspec

from bridge.messages import (
    MAGIC,
    MAX_TO_SERVER_BYTES,
    PROTOCOL_VERSION,
    Beat,
    Convey,
    Conveyance,
    Garbage,
    Goodbye,
    Hello,
    Pulse,
    Refused,
    Reply,
    Request,
    ToClient,
    ToServer,
    Welcome,
    WrongVersion,
    decode,
    encode,
    to_client,
    to_server,
)
from bridge.network import (
    Conveyed,
    Delivery,
    LinkState,
    Message,
    NetworkInfo,
    Outcome,
    Status,
    Transfer,
    TransferOutcome,
    Wait,
)

TIMEOUT_S = 2
MEMORY_MB = 1024
HEADER = MAGIC + bytes([PROTOCOL_VERSION])

_DONE = TransferOutcome(0, Status.DONE, 1, 2, 3, 4)
_LATE = TransferOutcome(3, Status.LATE, 1, 2, None, None)
SEEDS: tuple[ToServer | ToClient, ...] = (
    Hello(
        "s",
        "host:1",
        "lte",
        {"devices": 8, "distances_m": [1.5, 2.5], "name": "x", "deep": {"a": None}},
        1,
        {"life": 2},
        "/x",
    ),
    Request("s", 1, (Transfer(0, 1000, 5, 1000), Transfer(2**40, 2**62, 0, 1)), 5, 2**62, Wait.ALL, (0.25, 0.75)),
    Request("s", 2**63 - 1, (), 0, 0, Wait.ANY, None),
    Convey("s", 2, (Message(0, 7, True, 256, 1, 2**62), Message(2**31 - 1, 0, False, 4, 2, 3)), 2**62),
    Convey("s", 3, (), 0),
    Goodbye("s"),
    Beat(""),
    Welcome("s", NetworkInfo("lte", ("ue0", "ue1"), 7, {"devices": 2}, {"ns3": "3"})),
    Refused("s", 0, "session", "busy", final=False),
    Reply("s", 1, Outcome(9, (_DONE, _LATE), (LinkState(0, True, downlink_rate_bps=1e8), LinkState(1, False))), 77),
    Conveyance("s", 2, Conveyed(5, (Delivery(0, Status.DONE, 4), Delivery(1, Status.LOST, 5))), 77),
    Pulse(True, 1, 2, 3),
)
LEAVES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63 - 1, 2**64 - 1, -(2**63), 0.0, -0.0, 1e308, float("inf"), float("nan"),
    "", "s", "all", "done", "hello", "request", "\x00", "x" * 65, "\U0001f4a9", b"", b"\xff", b"x" * 300, [], {}, [[]],
    msgspec.msgpack.Ext(5, b"e"), msgspec.msgpack.Ext(-1, b"\xff" * 12),
)  # fmt: skip
BYTES = (
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x05",
    b"\xc1",
)

counts: Counter[str] = Counter()
DECODERS: tuple[tuple[str, msgspec.msgpack.Decoder[Any]], ...] = (("server", to_server), ("client", to_client))


def check(frame: bytes) -> None:
    """Raise whatever the decoder should not, or `AssertionError`."""
    counts["inputs"] += 1
    for side, decoder in DECODERS:
        try:
            message = decode(frame, decoder)
        except Garbage:
            continue
        except WrongVersion:
            counts["other versions"] += 1
            continue
        counts[f"messages to the {side}: {type(message).__name__}"] += 1
        again = encode(message)
        assert encode(decode(again, decoder)) == again


def mutate(frame: bytes, chance: random.Random) -> bytes:
    """A frame whose msgpack tree differs from this one's in a place or two, or whose bytes do."""
    try:
        tree = msgspec.msgpack.decode(frame[len(HEADER) :])
    except (msgspec.DecodeError, ValueError, RecursionError):
        tree = msgspec.msgpack.decode(encode(chance.choice(SEEDS))[len(HEADER) :])
    body = b""
    for _ in range(chance.randint(1, 3)):
        tree = _changed(tree, chance)
        try:
            body = msgspec.msgpack.encode(tree)
        except (msgspec.EncodeError, TypeError, ValueError, OverflowError, RecursionError):
            break
        if len(body) > MAX_TO_SERVER_BYTES:
            break
    what = chance.random()
    if what < 0.1:  # a length that the bytes do not keep, or a type that there is not
        place = chance.randrange(len(body) + 1)
        body = body[:place] + chance.choice(BYTES) + body[place:]
    elif what < 0.15:
        place, times = chance.randrange(len(body) + 1), chance.choice((2, 100, 1000, 5000, 60000))
        body = body[:place] + chance.choice((b"\x91", b"\x81\xa1a", b"\x81")) * times + body[place:]
    return HEADER + body


def _changed(tree: Any, chance: random.Random) -> Any:
    if isinstance(tree, list) and tree and chance.random() < 0.8:
        tree, place = list(tree), chance.randrange(len(tree))
        what = chance.random()
        if what < 0.6:
            tree[place] = _changed(tree[place], chance)
        elif what < 0.75:
            del tree[place]
        elif what < 0.9:
            tree.insert(place, chance.choice(tree))
        else:
            tree *= chance.choice((1, 2, 50))
        return tree
    if isinstance(tree, dict) and tree and chance.random() < 0.8:
        key = chance.choice(list(tree))
        return {**tree, key: _changed(tree[key], chance)}
    return chance.choice(LEAVES)


def main() -> int:
    """Fuzz, then print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz_decoder", description="Fuzz the decoder of messages.")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    try:
        import atheris  # noqa: PLC0415
    except ImportError:
        print("cosim: atheris is missing: pip install atheris", file=sys.stderr)
        return 2

    def custom(data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            data = encode(chance.choice(SEEDS))
        if chance.random() < 0.3:
            return bytes(atheris.Mutate(data, max_size))
        return mutate(data, chance)[:max_size]

    for message in SEEDS:
        check(encode(message))
    assert sum(counts.values()) == 2 * len(SEEDS), "a seed is not a message"
    end_s = time.process_time() + arguments.seconds

    def one(data: bytes) -> None:
        check(data)
        if time.process_time() >= end_s:
            report(arguments.seconds)
            os._exit(0)  # libFuzzer would take an exception for a finding

    atheris.instrument_func(decode)
    options = [
        f"-timeout={TIMEOUT_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={2 * MAX_TO_SERVER_BYTES}",
        f"-seed={arguments.seed}",
    ]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=custom)
    atheris.Fuzz()
    return 1


def report(cpu_s: float) -> None:
    """Print the counts."""
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{counts.pop('inputs')} inputs in {cpu_s:.0f} s of CPU, at most {memory_mb:.0f} MB; no finding", flush=True)
    for what, count in sorted(counts.items()):
        print(f"  {what}: {count}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
