# SPDX-License-Identifier: Apache-2.0
"""A small run in this process: recorded routing over a network with a closed form, which keeps records of its own."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace as with_fields
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from bridge.network import CHANNEL_ROW, NS_PER_S, TRACK_ROW, Outcome, Site
from cosim import config
from cosim.config import Config
from cosim.experiment import run
from cosim.variant import serving_of
from model_side.base_station import BaseStation
from model_side.selection import Part
from model_side.service.serve import Answers, Batched
from model_side.serving import Serving, TokenRecord
from model_side.tasks.score import ItemScore
from tests.support.fixed_network import FixedNetwork
from tests.support.routing_traces import make_rows, write_rows

REQUESTS, NEW_TOKENS, DEVICES = 2, 2, 3
SERVICE = ("arrivals.process=offline", "service.requests=1", "arrivals.users=1")
"""What fills the tables of a service, with its user on the air."""
ARRIVING = 12
BURSTS = (
    *("arrivals.process=gamma", "arrivals.rate_per_s=40", "arrivals.patience_s=1", "service.requests=3"),
    *("service.queue=4", "service.chunk_tokens=4", "service.ttft_s=0.1", "service.tpot_s=0.05"),
)
"""How requests of `service_run` arrive, and are served."""


class ChannelNetwork(FixedNetwork):
    """A `FixedNetwork` that says what its links can carry, by how wide a band, and where users are.

    User u begins at x = 10 (u + 1), y = 0 and goes along y with u m/s; the last one is no device. In the second
    exchange the network says so again of device 1, from where that is at its end.
    """

    busy_ns = 0

    def __init__(self) -> None:
        super().__init__(devices=DEVICES)
        sites = (Site(0.0, 0.0, 10.0, (30.0, 150.0, 270.0)), Site(200.0, 0.0, 10.0, is_neighbour=True))
        self.info = replace(self.info, bandwidth_hz=(1e7, 2e7), others=("walker",), sites=sites)

    def exchange(self, *asked: Any) -> Outcome:
        """As `FixedNetwork.exchange`, with the first outcome's rows of the channel record, and tracks."""
        number = self.exchanges
        rows = [
            CHANNEL_ROW.pack(0, device, direction, 0, 2 * device + direction, self.rate_bps(device), 20.0)
            for device in range(DEVICES)
            for direction in (0, 1)
        ]
        channel = b"" if self.exchanges else b"".join(rows)
        outcome = super().exchange(*asked)
        tracks = [track(user, 0) for user in range(DEVICES + 1)] if number == 0 else []
        tracks += [track(1, outcome.now_ns)] if number == 1 else []
        return replace(outcome, channel=channel, tracks=b"".join(tracks))


def track(user: int, time_ns: int) -> bytes:
    """The row of a user's track at a time."""
    return TRACK_ROW.pack(time_ns, user, *place_m(user, time_ns / NS_PER_S), 0.0, float(user), 0.0)


def place_m(user: int, time_s: float) -> tuple[float, float, float]:
    """Where a user is."""
    return 10.0 * (user + 1), user * time_s, 1.5


class Side:
    """Stands in for `cosim.networks.ns3_side.Ns3Side`."""

    def __init__(self, *_: object):
        pass

    def open(self, name: str) -> ChannelNetwork:
        return ChannelNetwork()

    def abandon(self) -> None:
        """Nothing is lost."""

    def close(self) -> None:
        """Nothing is held."""


class Scored:
    """Recorded routing whose requests count as items of a task, each one answered rightly."""

    def __init__(self, config: Config):
        self._replay: Serving = serving_of(config)
        self.model, self.shape = self._replay.model, self._replay.shape
        self.probabilities, self.exchanges = self._replay.probabilities, self._replay.exchanges
        self.record = {"tasks": {"task": "0" * 64}}

        self.sizes = cast(Batched, self._replay).sizes
        self._seen: set[int] = set()
        self.ends = ()

    def answers(self, base_station: BaseStation) -> Answers:
        """As of the replay, with an item for each first token."""
        self._seen.clear()
        self._answers = cast(Batched, self._replay).answers(base_station)
        return self

    def run(self, parts: Sequence[Part], gives: Collection[int]) -> list[TokenRecord]:
        return [self._with_item(token) for token in self._answers.run(parts, gives)]

    def drop(self, request: int) -> None:
        self._answers.drop(request)

    def serve(self, base_station: BaseStation) -> Iterator[TokenRecord]:
        """As of the replay, with an item for each first token."""
        self._seen.clear()
        yield from map(self._with_item, self._replay.serve(base_station))

    def _with_item(self, token: TokenRecord) -> TokenRecord:
        new = token.request not in self._seen
        self._seen.add(token.request)
        item = ItemScore(token.request, "task", "sums", 1, token.request, 1, "0", "0", "1", {"acc": (1.0, 0.0)})
        return with_fields(token, items=(item,)) if new else token


@contextmanager
def scored() -> Iterator[None]:
    """Inside, runs of recorded routing have items too, so that no table of the journal is empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cosim.experiment.serving_of", Scored)
        yield


def small_run(folder: Path, *settings: str) -> Path:
    """A finished run of two policies in `folder`/run, which reads `folder`/trace.parquet."""
    return _run(folder, REQUESTS, 4, NEW_TOKENS, settings)


def service_run(folder: Path, *settings: str) -> Path:
    """The same of requests that arrive in bursts, of which some are turned away or leave."""
    return _run(folder, ARRIVING, 5, 4, [*BURSTS, *settings])


def _run(folder: Path, requests: int, prompt: int, new: int, settings: Sequence[str]) -> Path:
    trace = write_rows(make_rows(requests, prompt, new), folder / "trace.parquet")
    asked = [f"model.routing={trace}", f"workload.requests={requests}", "radio.scenario=fixed", *settings]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cosim.experiment.Ns3Side", Side)
        patch.setattr("cosim.experiment.check_scenario", lambda asked: None)  # ns-3 knows no such one
        run(config.load(None, asked, ["top-k", "weight-to-latency"]), out=folder / "run")
    return folder / "run"
