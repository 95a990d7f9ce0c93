# SPDX-License-Identifier: Apache-2.0
"""Runs whose users are in the cell: of recorded routing, over a network of closed form."""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.network import NS_PER_S, RequestError
from cosim import config, experiment
from cosim.networks.ns3_side import Ns3Place
from cosim.record.journal import FILE_NAME, Journal
from cosim.results.service import ServiceSummary
from cosim.results.summary import summarise
from tests.support.fixed_network import FixedNetwork
from tests.support.routing_traces import make_rows, write_rows

DEVICES, USERS, LAYERS, REQUESTS, PROMPT, NEW = 5, 2, 3, 6, 7, 4
RATE_BPS = 1e8
ON_AIR = f"arrivals.users={USERS}"


class Side:
    """Stands in for `cosim.networks.ns3_side.Ns3Side`."""

    def __init__(self, make: Callable[[], FixedNetwork], *_: object):
        self._make = make

    def open(self, name: str) -> FixedNetwork:
        network = self._make()
        network.busy_ns = 0
        return network

    def abandon(self) -> None:
        """Nothing is lost."""

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(name="ran")
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    trace = write_rows(make_rows(REQUESTS, PROMPT, NEW), tmp_path / "trace.parquet")
    monkeypatch.setattr("cosim.experiment.check_scenario", lambda asked: None)  # ns-3 knows no such one

    def run(name: str, *settings: str, devices: int = DEVICES, **network: Any) -> Path:
        make = partial(FixedNetwork, devices, RATE_BPS, **network)
        monkeypatch.setattr("cosim.experiment.Ns3Side", partial(Side, make))
        plain = [f"model.routing={trace}", f"workload.requests={REQUESTS}", "radio.scenario=fixed"]
        asked = config.load(None, [*plain, "arrivals.process=poisson", "arrivals.rate_per_s=5", *settings], ["top-k"])
        return experiment.run(asked, out=tmp_path / name)

    return run


def rows(run: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(run / FILE_NAME)) as db:
        return db.execute(query).fetchall()


def service(run: Path) -> ServiceSummary:
    told = summarise(run)[0].service
    assert told is not None
    return told


def way_ns(request: int, size_bytes: int) -> int:
    """How long a message of a request takes that meets no other: user d has the rate of all over d + 1."""
    device = DEVICES - USERS + request % USERS
    return round(8 * size_bytes * NS_PER_S * (device + 1) / RATE_BPS)


def test_what_users_see_is_what_the_base_station_gives_and_both_ways_to_the_nanosecond(ran):
    """A run whose requests come from the wired side when the prompts of the other have come up is the same run."""
    size = 1000
    air = ran("air", ON_AIR, f"arrivals.token_bytes={size}")
    asked = dict(rows(air, "SELECT request, begin_ns FROM messages WHERE uplink AND position IS NULL"))
    heard = dict(rows(air, "SELECT request, arrival_ns FROM requests"))
    assert {r: heard[r] - asked[r] for r in asked} == {r: way_ns(r, PROMPT * size) for r in range(REQUESTS)}
    given = rows(air, "SELECT request, position, end_ns FROM tokens")
    came = dict(rows(air, "SELECT message, end_ns FROM deliveries WHERE status = 'done'"))
    sent = rows(air, "SELECT message, request, position, begin_ns, size_bytes, device FROM messages WHERE NOT uplink")
    assert sorted(row[1:4] for row in sent) == sorted(given)
    assert {row[4] for row in sent} == {size}
    assert all(row[5] == DEVICES - USERS + row[1] % USERS for row in sent)
    assert all(came[message] == begin_ns + way_ns(r, size) for message, r, _, begin_ns, *_ in sent)
    told = service(air)
    first = {r: min(row[2] for row in given if row[0] == r) for r in asked}
    up_down = [way_ns(r, PROMPT * size) + way_ns(r, size) for r in asked]
    assert told.ttft_s == pytest.approx([(first[r] - heard[r] + up_down[r]) / NS_PER_S for r in asked], rel=1e-12)
    assert summarise(air)[0].ttft_s == pytest.approx(told.ttft_s)
    assert told.on_air is not None
    assert (told.on_air.prompts, told.on_air.tokens) == ({"done": REQUESTS}, {"done": REQUESTS * NEW})


def test_the_base_station_serves_them_as_it_serves_wired_users_who_ask_later(ran, tmp_path):
    air = ran("air", ON_AIR, "arrivals.token_bytes=1000")
    times = [each for (each,) in rows(air, "SELECT arrival_ns FROM requests ORDER BY request")]
    path = tmp_path / "later.csv"
    first, *_ = times
    path.write_text("time_s,prompt_tokens,new_tokens\n" + "".join(f"{(t - first) / 1e9:.9f},1,1\n" for t in times))
    later = ran(
        "wired", "arrivals.process=trace", f"arrivals.trace={path}", "arrivals.rate_per_s=1.0",
        "placement.experts=[0, 1, 2, 0, 1, 2, 0, 1]", now_ns=first,
    )  # fmt: skip
    for table in ("requests", "tokens", "passes", "pass_rows", "transfers", "routing"):
        assert rows(air, f"SELECT * FROM {table}") == rows(later, f"SELECT * FROM {table}"), table


def test_a_slow_link_delays_tokens_by_those_before(ran):
    """The tokens of a request wait for each other, the base station for none of them."""
    run = ran("run", ON_AIR, "arrivals.process=offline", "arrivals.rate_per_s=1.0", "arrivals.late_s=1000",
              "arrivals.token_bytes=1000000")  # fmt: skip
    rows_of = "SELECT m.device, m.begin_ns, m.size_bytes, d.end_ns FROM messages m JOIN deliveries d USING (message) "
    for uplink in (0, 1):
        for device in range(DEVICES - USERS, DEVICES):
            its = rows(run, f"{rows_of} WHERE uplink = {uplink} AND device = {device} ORDER BY message")
            free_ns = 0
            for _, begin_ns, size_bytes, end_ns in its:
                free_ns = max(begin_ns, free_ns) + round(8 * size_bytes * NS_PER_S * (device + 1) / RATE_BPS)
                assert end_ns == free_ns
    told = service(run)
    assert told.on_air is not None
    assert told.on_air.token_s.max() > 2 * told.on_air.token_s.min()
    (last,) = rows(run, "SELECT max(end_ns) FROM deliveries")
    assert last[0] > rows(run, "SELECT max(end_ns) FROM requests")[0][0]  # all of them were waited for


def test_what_does_not_arrive_is_told_apart(ran):
    whole = ran("whole", ON_AIR, "arrivals.token_bytes=1000")
    ((prompt,),) = rows(whole, "SELECT message FROM messages WHERE position IS NULL AND request = 2")
    run = ran("lost prompt", ON_AIR, "arrivals.token_bytes=1000", "arrivals.late_s=1", vanishing=prompt)
    ending, tokens = rows(run, "SELECT ending, (SELECT count(*) FROM tokens WHERE request = 2) FROM requests "
                               "WHERE request = 2")[0]  # fmt: skip
    assert (ending, tokens) == ("unheard", 0)
    assert service(run).endings["unheard"] == 1
    assert service(run).on_air.prompts == {"done": REQUESTS - 1, "lost": 1}
    ((token,),) = rows(whole, "SELECT message FROM messages WHERE position IS NOT NULL AND request = 1 LIMIT 1")
    run = ran("lost token", ON_AIR, "arrivals.token_bytes=1000", vanishing=token)
    told = service(run)
    assert told.on_air.tokens == {"done": REQUESTS * NEW - 1, "lost": 1}
    assert told.endings["done"] == REQUESTS
    assert len(told.end_to_end_s) == REQUESTS - 1  # that user has not the whole answer
    assert len(told.ttft_s) == REQUESTS
    late = service(ran("late", ON_AIR, "arrivals.token_bytes=100000", "arrivals.late_s=0.25"))
    assert late.on_air.prompts["late"] == late.endings["unheard"] > 0
    gone = service(ran("gone", ON_AIR, dead=DEVICES - 1))
    assert gone.on_air.prompts == {"done": REQUESTS / 2, "unreachable": REQUESTS / 2}


def test_patience_runs_from_the_asking(ran):
    settings = ["arrivals.token_bytes=100000", "arrivals.late_s=100", "arrivals.patience_s=0.6"]
    run = ran("run", ON_AIR, *settings)
    assert {"cancelled"} <= {ending for (ending,) in rows(run, "SELECT ending FROM requests")}
    with closing(Journal.open(run)) as journal:  # which looks at all of it
        assert journal.is_finished()


def test_it_is_replayed_exactly_and_resumed_to_the_same_journal(ran, tmp_path):
    settings = [ON_AIR, "arrivals.token_bytes=1000", "service.chunk_tokens=3"]
    whole = ran("whole", *settings)
    experiment.replay(whole)

    class Killed(Exception):
        pass

    add = Journal.add_exchange
    for at in (1, 20, REQUESTS * NEW):

        def killing(self: Journal, variant: int, number: int, *given: Any, at: int = at) -> None:
            if number == at:
                raise Killed
            add(self, variant, number, *given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Journal, "add_exchange", killing)
            with pytest.raises(Killed):
                ran(f"killed-{at}", *settings)
        if at > 1:  # nothing was recorded before
            experiment.resume(tmp_path / f"killed-{at}")
            with closing(Journal.open(whole)) as one, closing(Journal.open(tmp_path / f"killed-{at}")) as other:
                assert one.fingerprint() == other.fingerprint()
    with sqlite3.connect(whole / FILE_NAME) as db:
        db.execute("UPDATE messages SET size_bytes = size_bytes + 1 WHERE message = 9")
    with pytest.raises(experiment.Diverged, match="call"):
        experiment.replay(whole)


def wired_of(run: Path) -> set[int]:
    """The requests of which neither the prompt nor a token was on the air; all of the others were, whole."""
    on_air = Counter(request for (request,) in rows(run, "SELECT request FROM messages"))
    assert set(on_air.values()) <= {1 + NEW}
    return {*range(REQUESTS)} - {*on_air}


def test_a_share_of_the_requests_comes_from_the_wired_side_by_chance(ran, tmp_path):
    mixed = [ON_AIR, "arrivals.token_bytes=1000", "arrivals.wired_share=0.5"]
    run = ran("mixed", *mixed, "arrivals.process=offline", "arrivals.rate_per_s=1.0")
    wired = wired_of(run)
    assert 0 < len(wired) < REQUESTS
    heard = dict(rows(run, "SELECT request, arrival_ns FROM requests"))
    for user in range(USERS):  # whose prompts wait for each other
        its = [r for r in range(REQUESTS) if r % USERS == user and r not in wired]
        assert [heard[r] for r in its] == [(n + 1) * way_ns(r, PROMPT * 1000) for n, r in enumerate(its)]
    assert {heard[r] for r in wired} == {0}
    told, ends = service(run), dict(rows(run, "SELECT request, min(end_ns) FROM tokens GROUP BY request"))
    for r in range(REQUESTS):
        way_s = told.ttft_s[r] - ends[r] / NS_PER_S  # of a token that may wait for another one's
        assert way_s == pytest.approx(0, abs=1e-12) if r in wired else way_s > 0.99 * way_ns(r, 1000) / NS_PER_S
    assert told.on_air is not None
    assert told.on_air.tokens == {"done": (REQUESTS - len(wired)) * NEW}
    poisson = ran("poisson", *mixed)
    assert wired_of(poisson) == wired  # by the seed, whenever they arrive
    assert wired_of(ran("other", *mixed, "seeds.arrivals=3")) != wired
    experiment.replay(poisson)

    class Killed(Exception):
        pass

    add = Journal.add_exchange

    def killing(self: Journal, variant: int, number: int, *given: Any) -> None:
        if number == 20:
            raise Killed
        add(self, variant, number, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "add_exchange", killing)
        with pytest.raises(Killed):
            ran("killed", *mixed)
    experiment.resume(tmp_path / "killed")
    with closing(Journal.open(poisson)) as one, closing(Journal.open(tmp_path / "killed")) as other:
        assert one.fingerprint() == other.fingerprint()


def test_with_all_of_them_wired_users_only_hold_no_experts(ran):
    run = ran("none", ON_AIR, "arrivals.wired_share=1")
    wired = ran("wired", "placement.experts=[0, 1, 2, 0, 1, 2, 0, 1]")
    assert rows(run, "SELECT * FROM messages") == []
    assert service(run).on_air is None
    for table in ("requests", "tokens", "passes", "pass_rows", "transfers", "routing"):
        assert rows(run, f"SELECT * FROM {table}") == rows(wired, f"SELECT * FROM {table}"), table


@pytest.mark.parametrize("rule", ["round-robin", "memory", "ranked"])
def test_experts_are_on_the_devices_that_are_no_users(ran, rule):
    run = ran("run", ON_AIR, f"placement.experts={rule}")
    held = [
        "0" in re.sub(r"\d", "0", experts) for (experts,) in rows(run, "SELECT experts FROM devices ORDER BY device")
    ]
    assert held[DEVICES - USERS :] == [False] * USERS
    assert any(held[: DEVICES - USERS])
    assert rows(run, f"SELECT * FROM transfers WHERE device >= {DEVICES - USERS}") == []


def test_on_lte_what_users_are_told_delays_the_hidden_states_of_the_passes_that_follow(tmp_path, ns3_server):
    """Megabytes for each token go down beside the next pass's exchanges, which are the same but for that."""
    trace = write_rows(make_rows(1, 4, 4), tmp_path / "trace.parquet")
    plain = [f"model.routing={trace}", "workload.requests=1", "radio.scenario=lte", "radio.distances_m=[30, 40, 50]",
             "arrivals.process=offline", "arrivals.users=1", "arrivals.late_s=60"]  # fmt: skip
    took_s = []
    for size in (4, 1_000_000):
        asked = config.load(None, [*plain, f"arrivals.token_bytes={size}"], ["top-k"])
        run = experiment.run(asked, out=tmp_path / str(size), at=Ns3Place(connect=ns3_server))
        experiment.replay(run)
        told = service(run)
        assert told.on_air is not None
        assert (told.on_air.prompts, told.on_air.tokens) == ({"done": 1}, {"done": 4})
        exchanges = rows(run, "SELECT phase, sum(end_ns - depart_ns), sum(tokens) FROM exchanges GROUP BY phase")
        assert [row[2] for row in exchanges] == [3 * LAYERS, 4 * LAYERS]
        took_s.append({phase: ns / NS_PER_S for phase, ns, _ in exchanges})
    assert took_s[1]["prefill"] == pytest.approx(took_s[0]["prefill"], rel=0.2)  # with no token under way
    assert took_s[1]["decode"] > 1.05 * took_s[0]["decode"]  # most of which is computing, and the wait for grants


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (["arrivals.users=2"], "arrivals.users"),
        (["arrivals.process=offline", "arrivals.token_bytes=2"], "arrivals.token_bytes"),
        (["arrivals.process=offline", "arrivals.late_s=2"], "arrivals.late_s"),
        (["arrivals.process=offline", "arrivals.wired_share=0.5"], "arrivals.wired_share"),
        (["arrivals.process=offline", "arrivals.users=1", "arrivals.wired_share=1.5"], "arrivals.wired_share"),
        (["arrivals.process=offline", "arrivals.users=1", "arrivals.token_bytes=0"], "arrivals.token_bytes"),
    ],
)
def test_what_has_no_meaning_is_refused_by_its_field(settings, field):
    with pytest.raises(RequestError) as refused:
        config.load(None, settings)
    assert refused.value.field == field


def test_what_users_on_the_air_cannot_be_beside_is_refused(ran):
    with pytest.raises(RequestError, match=r"arrivals\.users: 5 of 5 devices leave none for experts"):
        ran("none", "arrivals.users=5")
