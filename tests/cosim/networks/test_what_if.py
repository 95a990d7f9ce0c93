# SPDX-License-Identifier: Apache-2.0
"""What would have been: asked of a recorded run, and held against runs that were."""

import json
from contextlib import closing

import msgspec
import numpy as np
import pytest

from bridge.network import LinkState, NetworkInfo, RequestError, Status, Transfer, Wait
from cosim import config
from cosim.experiment import replay, resume, run, what_if
from cosim.networks.fluid import Channel, undisturbed
from cosim.networks.link_model import LinkModel, fit
from cosim.networks.ns3_side import Ns3Place
from cosim.networks.recorded_channel import Record, read_record
from cosim.networks.what_if import WhatIfNetwork
from cosim.record.journal import Journal
from cosim.results.validation import device_errors, mean_layer_s, policy_errors, ranking
from tests.support.cosim_process import cosim

SMALL = [
    "quality=false",
    "workload.requests=1",
    "workload.prompt_tokens=12",
    "workload.new_tokens=4",
    "radio.devices=4",
]
WIRED = [*SMALL, "radio.rate_bps=20000000", "radio.delay_s=0.002"]


@pytest.fixture(scope="module")
def recorded(ns3_server, tmp_path_factory):
    """A run of `top-k` over cables of 20 Mb/s and 2 ms."""
    folder = tmp_path_factory.mktemp("runs") / "recorded"
    run(config.load(None, WIRED, ["top-k"], "wired"), out=folder, at=Ns3Place(ns3_server))
    return folder


@pytest.fixture(scope="module")
def asked(recorded):
    folder = recorded.with_name("asked")
    what_if(recorded, ["workload.prompt_tokens=30"], policies=["weight-to-latency", "top-k"], out=folder)
    return folder


def network(capacity_bps=(8e6, 8e6), loss=(0.0, 0.0), sinr_db=20.0, rows=None):
    """A what-if network of one device, whose record ends after a second."""
    first, begin, rates = (
        (np.array([0, 1, 2]), np.zeros(2), np.array(capacity_bps))
        if rows is None
        else (np.array([0, len(rows), len(rows) + 1]), *np.array([*rows, (0, 8e6)], dtype=float).T)
    )
    pool = np.repeat([0, 1], np.diff(first))
    channel = Channel(
        first, np.ascontiguousarray(begin), np.ascontiguousarray(rates), pool, np.zeros(len(begin)), 2, 1e9
    )
    constants = undisturbed(np.zeros(2), np.ones(2), np.zeros(2))
    model = LinkModel(1, Record(channel, np.full(len(begin), sinr_db)), constants, np.array(loss))
    return WhatIfNetwork(model, NetworkInfo("made", ("ue0",), 0, {}, {}), seed=1)


def test_cables_are_fitted_to_their_closed_form(recorded):
    """1472 bytes of payload in packets of 1502 bytes with PPP, the last one shorter; 2 ms each way."""
    with closing(Journal.open(recorded)) as journal:
        model = fit(journal)
        assert read_record(journal, 1).channel.capacity_bps == pytest.approx(np.full(8, 20e6))
    assert model.constants.efficiency == pytest.approx(np.full(8, 1472 / 1502), rel=0.01)
    assert model.constants.floor_ns == pytest.approx(np.full(8, 2e6), rel=0.05)
    assert model.loss_per_byte.tolist() == [0, 0]


def test_another_policy_and_load_come_out_as_they_would_live(recorded, asked, ns3_server):
    live = recorded.with_name("live")
    settings = [*WIRED, "workload.prompt_tokens=30"]
    run(config.load(None, settings, ["weight-to-latency", "top-k"], "wired"), out=live, at=Ns3Place(ns3_server))
    with closing(Journal.open(asked)) as predicted, closing(Journal.open(live)) as measured:
        errors = policy_errors(predicted, measured)
        assert list(errors) == ["weight-to-latency", "top-k"]
        for of_policy in errors.values():
            for error in of_policy:
                assert error.median < 0.02, error.what
                assert error.p95 < 0.05, error.what
        assert {error.what for error in errors["top-k"]} == {"layer, prefill", "layer, decode", "layer, all", "token"}
        assert [error.what for error in device_errors(predicted, measured)] == [f"device{i}" for i in range(4)]
        means = mean_layer_s(predicted), mean_layer_s(measured)
        assert ranking(*([mean[policy] for policy in errors] for mean in means)) == 1
        # What is asked of the network is the same to the byte: the model and the policies are the real ones.
        query = "SELECT exchange, device, downlink_bytes, compute_ns FROM transfers WHERE variant = 2 ORDER BY 1, 2"
        assert predicted.rows(query) == measured.rows(query)


def test_lte_within_the_bounds_that_are_promised(ns3_server, tmp_path):
    base = [*SMALL, "workload.prompt_tokens=40", "workload.new_tokens=8", "radio.scenario=lte"]
    record, answer, live = (tmp_path / name for name in ("record", "answer", "live"))
    run(config.load(None, base, ["top-k"]), out=record, at=Ns3Place(ns3_server))
    what_if(record, policies=["weight-to-latency"], out=answer)
    run(config.load(None, base, ["weight-to-latency"]), out=live, at=Ns3Place(ns3_server))
    with closing(Journal.open(answer)) as predicted, closing(Journal.open(live)) as measured:
        layers = next(
            error for error in policy_errors(predicted, measured)["weight-to-latency"] if error.what == "layer, all"
        )
        assert len(layers.relative) == 6 * 8
        assert layers.median < 0.05
        assert layers.p95 < 0.2


def test_the_answer_is_a_run_like_any_other(recorded, asked):
    with closing(Journal.open(asked)) as journal:
        assert journal.rows("SELECT policy, network, scenario FROM variants ORDER BY variant") == [
            ("weight-to-latency", "what-if", "wired"),
            ("top-k", "what-if", "wired"),
        ]
        assert journal.is_finished()
        assert journal.meta("record") == str(recorded.resolve())
        links = json.loads(journal.meta("links"))
        assert len(links["floor_ns"]) == 8
        with closing(Journal.open(recorded)) as record:
            assert journal.meta("record_fingerprint") == record.fingerprint()
        fingerprint = journal.fingerprint()
    replay(asked)
    again = asked.with_name("again")
    what_if(recorded, ["workload.prompt_tokens=30"], policies=["weight-to-latency", "top-k"], out=again)
    with closing(Journal.open(again)) as journal:
        assert journal.fingerprint() == fingerprint
    shown = cosim("show", asked)
    assert shown.returncode == 0
    assert "weight-to-latency (what-if)" in shown.stdout


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("seed=2", "seed"),
        ("seeds.radio=2", "seeds.radio"),
        ("seeds={life=2}", "seeds.life"),
        ("radio.devices=2", "radio.devices"),
        ("scenario.rate_bps=1", "radio.rate_bps"),
        ("networks=['live']", "networks"),
        ("policy.best.threshold=1", "policy.best"),
        ("workload.size=1", "workload.size"),
    ],
)
def test_what_the_record_cannot_answer_is_refused_by_name(recorded, tmp_path, setting, field):
    with pytest.raises(RequestError) as refused:
        what_if(recorded, [setting], policies=["top-k"], out=tmp_path / "out")
    assert refused.value.field == field
    assert not (tmp_path / "out").exists()


def test_a_policy_that_gives_shares_is_refused_live_where_there_are_none_and_answered_by_the_record(recorded, tmp_path):
    with pytest.raises(
        RequestError, match="equal of top-k\\+equal gives shares of the band, and wired takes none"
    ) as no:
        run(config.load(None, WIRED, ["top-k", "top-k+equal"], "wired"), out=tmp_path / "live")
    assert no.value.field == "policies"
    assert not (tmp_path / "live").exists()
    what_if(recorded, policies=["top-k", "top-k+equal", "min-max"], out=tmp_path / "asked")
    replay(tmp_path / "asked")
    with closing(Journal.open(tmp_path / "asked")) as journal:
        means = mean_layer_s(journal)
        assert means["top-k"] < means["min-max"] < means["top-k+equal"]  # a cable is there for one device alone
        (blob,) = journal.rows("SELECT shares FROM exchanges WHERE variant = 2 AND exchange = 1")[0]
        shares = np.frombuffer(blob, "<f8")
        assert shares.sum() == pytest.approx(1)
        assert len(shares) == 4


def test_a_what_if_is_no_record_and_needs_no_resuming(asked, tmp_path):
    with pytest.raises(RequestError, match="RUN: holds no exchange of a live network"):
        what_if(asked, policies=["top-k"], out=tmp_path / "out")
    with pytest.raises(RequestError, match=r"RUN: .* came to its end"):
        resume(asked)


def test_the_command_asks_validates_and_says_what_is_wrong(recorded, tmp_path):
    out = tmp_path / "asked"
    done = cosim("replay", recorded, "--policy", "top-k", "--policy", "weight-to-latency", "--validate", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "error of the what-if against the live run" in done.stdout
    assert "Kendall's tau 1.00" in done.stdout
    assert (out / "live" / "journal.sqlite").exists()
    for arguments, message in (
        (["--set", "seed=3"], "seed: is the recorded channel's"),
        (["--policy", "guess"], "policies: nobody knows 'guess'"),
        (["--out", tmp_path / "other"], "--out: an exact replay writes nothing"),
        (["--policy", "top-k", "--out", out], "--out: "),
    ):
        refused = cosim("replay", recorded, *arguments)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr
    assert cosim("run", "--network", "what-if").returncode == 2


def test_exchange_by_the_model():
    made = network()
    outcome = made.exchange([Transfer(0, 1000, 500_000, 2000)], 10, 10**9)
    (transfer,) = outcome.transfers
    assert transfer.status is Status.DONE
    assert msgspec.structs.astuple(transfer)[2:6] == (10, 1_000_010, 1_500_010, 3_500_010)
    assert made.now_ns == outcome.now_ns == 3_500_010
    assert outcome.links == (
        LinkState(0, True, downlink_sinr_db=20.0, uplink_sinr_db=20.0, downlink_rate_bps=8e6, uplink_rate_bps=8e6),
    )
    late = made.exchange([Transfer(0, 10**6, 0, 1)], made.now_ns, made.now_ns + 10**6)
    assert late.transfers[0].status is Status.LATE
    assert made.exchange([], made.now_ns + 5, made.now_ns + 9, Wait.DEADLINE).now_ns == made.now_ns


def test_a_share_is_that_part_of_the_rate_for_one_exchange():
    made = network()
    assert made.info.takes_shares
    half = made.exchange([Transfer(0, 1000, 500_000, 2000)], 0, 10**9, bandwidth_shares=[0.5])
    assert msgspec.structs.astuple(half.transfers[0])[3:6] == (2_000_000, 2_500_000, 6_500_000)
    begin_ns = made.now_ns
    whole = made.exchange([Transfer(0, 1000, 500_000, 2000)], begin_ns, 10**9)
    assert whole.now_ns - begin_ns == 3_500_000


def test_what_no_network_could_serve_is_refused():
    made = network()
    for shares in ([1.5], [-0.1], [0.5, 0.5]):
        with pytest.raises(RequestError, match="bandwidth_shares"):
            made.exchange([Transfer(0, 1, 0, 1)], 0, 10, bandwidth_shares=shares)
    with pytest.raises(RequestError, match=r"transfers\.device"):
        made.exchange([Transfer(1, 1, 0, 1)], 0, 10)
    assert made.now_ns == 0


def test_the_record_begins_again_where_it_ends():
    """8 Mb/s in the first half of each second and none in the second one."""
    made = network(rows=[(0, 8e6), (5e8, 0)])
    outcome = made.exchange([Transfer(0, 1000, 0, 1)], 3_700_000_000, 9 * 10**9)
    assert outcome.transfers[0].downlink_end_ns == 4_001_000_000


def test_a_far_time_costs_no_more_than_a_near_one():
    """A million seconds on, with a deadline a year later."""
    made = network(rows=[(0, 8e6), (5e8, 0)])
    outcome = made.exchange([Transfer(0, 1000, 0, 1)], 10**15 + 700_000_000, 3 * 10**16)
    assert outcome.transfers[0].downlink_end_ns == pytest.approx(10**15 + 1_001_000_000, abs=1)


def test_links_that_come_and_go():
    made = network(rows=[(0, 8e6), (10**6, -1), (3 * 10**6, 4e6)], sinr_db=float("nan"))
    gone = made.exchange([Transfer(0, 10**5, 0, 1)], 0, 10**8)
    assert gone.transfers[0].status is Status.UNREACHABLE
    assert gone.now_ns == 10**6
    assert gone.links == (LinkState(0, False, uplink_rate_bps=8e6),)
    back = made.exchange([Transfer(0, 100, 0, 1)], 4 * 10**6, 10**8)
    assert back.transfers[0].status is Status.DONE
    assert back.links[0].connected
    assert back.links[0].downlink_rate_bps == 4e6


def test_losses_are_drawn_by_the_seed_alone():
    def statuses():
        made = network(loss=(1e-3, 0.0))
        return [
            made.exchange([Transfer(0, 1000, 0, 1)], made.now_ns, made.now_ns + 10**7).transfers[0].status
            for _ in range(400)
        ]

    drawn = statuses()
    assert drawn == statuses()
    assert drawn.count(Status.LOST) / 400 == pytest.approx(1 - np.exp(-1), abs=0.08)
    assert set(drawn) == {Status.LOST, Status.DONE}
