# SPDX-License-Identifier: Apache-2.0
"""What a run shows while it goes, on a terminal and elsewhere."""

import io
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from bridge.network import Transfer
from cosim.screen.display import LiveDisplay, PlainDisplay, make_display
from model_side.exchange import LayerExchange
from model_side.prediction import Prediction
from model_side.routing import Gate
from model_side.selection import DeviceWork, Part, Phase, Selection
from tests.support.fixed_network import FixedNetwork
from tests.support.layers import one_each

MS = 1_000_000


def records(network: FixedNetwork, exchanges: int) -> list[LayerExchange]:
    """Exchanges of one token with devices 0 and 2, in three layers a token."""
    made = []
    for number in range(exchanges):
        depart_ns = network.now_ns + MS
        transfers = (Transfer(0, 8192, 0, 8192), Transfer(2, 8192, 0, 8192))
        outcome = network.exchange(transfers, depart_ns, depart_ns + 1000 * MS)
        nothing, none = np.zeros((1, 2)), np.zeros(4)
        made.append(
            LayerExchange(
                phase=Phase.DECODE,
                request=1,
                position=40 + number // 3,
                layer=number % 3,
                tokens=1,
                depart_ns=depart_ns,
                deadline_ns=depart_ns + 1000 * MS,
                bs_compute_ns=MS,
                gate=Gate(number % 3, 2, nothing, nothing, nothing),
                placement=one_each(4),
                selection=Selection(nothing, nothing),
                slot_devices=nothing,
                delivered=nothing,
                transfers=transfers,
                work=DeviceWork(none, none),
                prediction=Prediction(none, none, none, none, none),
                outcome=outcome,
                network_wall_s=0.0,
                policy_wall_s=0.0,
            )
        )
    return made


def shown_by(kind: type, network: FixedNetwork, exchanges: int, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    display = make_display(console)
    assert isinstance(display, kind)
    display.say("a line that stays")
    display.begin("weight-to-latency", network.info, exchanges, 3)
    for record in records(network, exchanges):
        display.exchanged(record)
    display.end()
    display.end()
    return console.file.getvalue()


def test_plain_lines_say_where_the_run_is():
    network = FixedNetwork(devices=4, dead=3)
    lines = shown_by(PlainDisplay, network, 6, terminal=False).splitlines()
    assert lines[:2] == ["a line that stays", "weight-to-latency: 6 exchanges with 4 devices on fixed"]
    assert lines[-1].startswith(
        f"weight-to-latency: 6/6, virtual time {network.now_ns / 1e9:.3f} s, request 2, decode at token 41"
    )
    assert "layer 2" in lines[-1]
    latency_ms = 1 + 2 * 8 * 8192 / (network.rate_bps(2) / 1000)
    assert f"{latency_ms:.1f} ms" in lines[-1]
    assert "3 of 4 links up" in lines[-1]
    assert "\x1b" not in "".join(lines)


def test_a_terminal_shows_every_device_and_how_far_the_run_is():
    network = FixedNetwork(devices=20, dead=1)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown_by(LiveDisplay, network, 4, terminal=True))
    assert "4/4" in text
    for row in (r"device-0 .*100\.0 Mb/s +100\.0 Mb/s +done", r"device-1 .*no link", r"device-2 .*done", "and 4 more"):
        assert re.search(row, text), row
    assert re.search(r"device-4 .*idle", text)


LATE_S = 7300.0
"""Of the first exchange in each layer: the policy is compiled in it."""


def at(times_s: Sequence[float], monkeypatch) -> None:
    """A display that is made after this sees the clock at these times: made, begun, each exchange."""
    clock = iter([0.0, *times_s])
    monkeypatch.setattr("cosim.screen.pace.time", SimpleNamespace(monotonic=lambda: next(clock)))  # rich has another


def test_how_long_it_will_take_is_told_from_what_is_done(monkeypatch):
    """By the mean of all exchanges but the first in each layer, in seconds, minutes, or not at all below 2 s."""
    firsts_s = [100.0, 100.0 + LATE_S, 100.0 + 2 * LATE_S, 100.0 + 3 * LATE_S]
    at([*firsts_s, *(firsts_s[-1] + second for second in (40.0, 40.5, 60.0, 64.0, 68.0, 69.0))], monkeypatch)
    network = FixedNetwork(devices=4)
    console = Console(file=io.StringIO(), width=200)
    display = PlainDisplay(console)
    display.begin("top-k", network.info, 9, 3)
    for record in records(network, 9):
        display.exchanged(record)
    lines = console.file.getvalue().splitlines()[1:]  # the fifth comes too soon behind the fourth
    assert [line.partition(", virtual")[0] for line in lines] == [
        "top-k: 1/9",
        "top-k: 2/9",
        "top-k: 3/9",
        "top-k: 4/9, 3 min left",
        "top-k: 6/9, 60 s left",
        "top-k: 7/9, 32 s left",
        "top-k: 8/9, 14 s left",
        "top-k: 9/9",
    ]


def test_what_is_left_of_a_service_goes_by_the_tokens_that_users_ask_for(monkeypatch):
    """After each exchange; who leaves asks for no more. Of the first in each layer neither time nor tokens count."""
    at([0.0, LATE_S, 2 * LATE_S, 3 * LATE_S, *(3 * LATE_S + second for second in (20.0, 40.0, 60.0))], monkeypatch)
    network = FixedNetwork(devices=4)
    console = Console(file=io.StringIO(), width=200)
    display = PlainDisplay(console)
    display.begin("top-k", network.info, 12, 3, 12)
    parts = tuple(Part(Phase.DECODE, request, 40, 1) for request in range(3))
    for record, given in zip(records(network, 6), (0, 0, 4, 2, 3, 3), strict=True):
        display.exchanged(replace(record, parts=parts))
        display.given(given)
    lines = console.file.getvalue().splitlines()
    assert [line.partition(", virtual")[0] for line in lines] == [
        "top-k: 12 tokens with 4 devices on fixed",
        *("top-k: 0/12 tokens",) * 3,
        "top-k: 4/12 tokens",
        "top-k: 6/12 tokens, 2 min left",  # 40 s brought 2 of 8
        "top-k: 9/12 tokens, 36 s left",
    ]
    assert "s, decode of 3 requests, layer 0, " in lines[1]


def test_a_terminal_says_how_long_it_will_take_once_more_than_the_first_pass_is_done(monkeypatch):
    network = FixedNetwork(devices=4)
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    display = LiveDisplay(console)
    display.begin("top-k", network.info, 9, 3)
    now_s = time.monotonic()
    clock = iter([now_s + LATE_S * (number + 1) for number in range(3)] + [now_s + 3 * LATE_S + 10.0])
    monkeypatch.setattr("cosim.screen.pace.time", SimpleNamespace(monotonic=lambda: next(clock)))  # rich has another
    first, *more = records(network, 4)
    for record in (first, *more[:2]):
        display.exchanged(record)
    assert " left" not in console.file.getvalue()
    display.exchanged(more[2])
    assert "4/9 50 s left" in seen(console.file.getvalue())
    display.end()
    assert " left" not in seen(console.file.getvalue()).splitlines()[-1]


def test_a_terminal_counts_the_tokens_of_a_service():
    network = FixedNetwork(devices=4)
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    display = LiveDisplay(console)
    display.begin("top-k", network.info, 12, 3, 8)
    display.exchanged(records(network, 1)[0])
    display.given(5)
    display.end()
    assert re.search(r"top-k, tokens .*5/8", seen(console.file.getvalue()))


def test_where_it_is_not_known_how_many_there_will_be_no_number_is_shown():
    network = FixedNetwork(devices=4)
    console = Console(file=io.StringIO(), width=200)
    display = PlainDisplay(console)
    display.begin("top-k", network.info, 0, 3)
    display.exchanged(records(network, 1)[0])
    first, second = console.file.getvalue().splitlines()
    assert first == "top-k: exchanges with 4 devices on fixed"
    assert second.startswith("top-k: 1, virtual time")


def seen(output: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)


def test_while_nothing_happens_a_terminal_shows_that_the_run_lives():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    display = make_display(console)
    network = FixedNetwork(devices=2)
    for begin in (
        lambda: display.say("starting"),
        lambda: display.begin("top-k", network.info, 4, 3),
        lambda: (display.end(), display.follow()),
    ):
        begin()
        shown = len(console.file.getvalue())
        deadline_s = time.monotonic() + 60
        while len(set(re.findall("[\u2800-\u28ff]", console.file.getvalue()[shown:]))) < 2:  # it turns
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
    display.end()


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_narrow_terminal_cuts_nothing_that_it_shows(width):
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    display = make_display(console)
    network = FixedNetwork(devices=3)
    display.begin("top-k, 1 of 2", network.info, 4, 3)
    for record in records(network, 4):
        display.exchanged(record)
    display.end()
    text = seen(console.file.getvalue())
    assert re.search(r"device-0 .* done", text)
    assert "4/4" in text
    assert "1 of 2" in text
    assert "…" not in text
