# SPDX-License-Identifier: Apache-2.0
"""Runs on several networks, the analytic one with the channel of real ns-3."""

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

import cosim as library
from bridge.network import NS_PER_S
from cosim.record.journal import Journal
from tests.support.cosim_process import cosim
from tests.support.routing_traces import make_rows, write_rows

COSIM = [sys.executable, "-m", "cosim.cli"]
VARIANTS = ("--network", "analytic", "--network", "live", "--policy", "top-k", "--policy", "weight-to-latency")
DEVICES = 3


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> list[str]:
    """Options of a small run, with fading. Its routing was recorded: the networks do not know what it is of."""
    trace = write_rows(make_rows(2, 6, 4), tmp_path_factory.mktemp("recorded") / "trace.parquet")
    settings = [f"model.routing={trace}", "workload.requests=2", f"radio.devices={DEVICES}"]
    settings += ["radio.distances_m=[20, 40, 60]", "exchange.deadline_s=1", "radio.outputs=['flow-monitor']"]
    return [word for setting in settings for word in ("--set", setting)]


@pytest.fixture(scope="module")
def whole(small, ns3_server, tmp_path_factory) -> Path:
    """A finished run of two policies on both networks."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    done = cosim("run", "--out", folder, "--connect", ns3_server, *small, *VARIANTS)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def tables(whole) -> dict[str, pd.DataFrame]:
    return library.load(whole)


def test_every_policy_runs_on_every_network_in_the_order_given(tables):
    columns = ["variant", "network", "policy"]
    assert tables["variants"][columns].values.tolist() == [
        [1, "analytic", "top-k"],
        [2, "analytic", "weight-to-latency"],
        [3, "live", "top-k"],
        [4, "live", "weight-to-latency"],
    ]
    assert len(tables["variants"].drop(columns=columns).drop_duplicates()) == 1


def test_both_networks_have_one_channel(tables):
    """Row by row, as far as the clock of either came: capacity and SINR do not know who transmits."""
    rows = tables["channel"].drop(columns=["exchange", "others"])
    analytic, live = (rows[rows["variant"] == variant].drop(columns="variant") for variant in (1, 3))
    until_ns = min(analytic["time_ns"].max(), live["time_ns"].max())
    assert until_ns > tables["variants"]["begin_ns"].max() + 0.05 * NS_PER_S
    analytic, live = (part[part["time_ns"] < until_ns].reset_index(drop=True) for part in (analytic, live))
    pd.testing.assert_frame_equal(analytic, live)


def test_the_links_say_what_the_formula_gives_for_the_rows(tables):
    """SINR and rate of each link at the end of each exchange, from the last row up to then."""
    (band_hz,) = {tuple(map(float, text.strip("[]").split(","))) for text in tables["variants"]["bandwidth_hz"]}
    ends = tables["exchanges"].query("variant == 1").set_index("exchange")["end_ns"]
    links = tables["links"].query("variant == 1")
    assert len(links) == DEVICES * len(ends)
    for direction, way, band in (("down", "downlink", band_hz[0]), ("up", "uplink", band_hz[1])):
        rows = tables["channel"].query("variant == 1")
        rows = rows[rows["direction"] == direction]
        for exchange, device, sinr_db, rate_bps in links[
            ["exchange", "device", f"{way}_sinr_db", f"{way}_rate_bps"]
        ].itertuples(index=False):
            held = rows[(rows["device"] == device) & (rows["time_ns"] <= ends[exchange])].iloc[-1]
            assert sinr_db == held["sinr_db"]
            assert rate_bps == pytest.approx(band * np.log2(1 + 10 ** (sinr_db / 10)))


def test_the_sinr_of_the_rows_is_what_the_links_of_the_live_run_say(tables):
    """But for the 0.5 dB that write a row, and what a millisecond of fading adds until the channel is looked at."""
    links = tables["links"].query("variant == 3").merge(tables["exchanges"], on=["variant", "exchange"])
    rows = tables["channel"].query("variant == 3 and direction == 'down'")
    differences_db = []
    for link in links.itertuples():
        held = rows[(rows["device"] == link.device) & (rows["time_ns"] <= link.end_ns)]
        differences_db.append(abs(held["sinr_db"].iloc[-1] - link.downlink_sinr_db))
    assert len(differences_db) == DEVICES * 3 * 2 * 4
    assert np.median(differences_db) < 0.5
    assert max(differences_db) < 1


def test_the_report_sets_formula_and_packets_side_by_side(whole):
    shown = cosim("show", whole).stdout
    assert all(
        f"{policy} ({network})" in shown
        for policy in ("top-k", "weight-to-latency")
        for network in ("analytic", "live")
    )
    with closing(Journal.open(whole)) as journal:
        for phase in ("prefill", "decode"):
            medians = [
                np.median(
                    [
                        end_ns - depart_ns + bs_ns
                        for end_ns, depart_ns, bs_ns in journal.rows(
                            "SELECT end_ns, depart_ns, bs_compute_ns FROM exchanges WHERE variant = ? AND phase = ?",
                            variant,
                            phase,
                        )
                    ]
                )
                for variant in (1, 2, 3, 4)
            ]
            (line,) = (line for line in shown.splitlines() if f"layer, {phase}" in line and "of live" in line)
            assert line.count("of live") == 2
            assert f"{medians[0] / medians[2]:.2f} of live" in line.split("│")[1]
            assert f"{medians[1] / medians[3]:.2f} of live" in line.split("│")[2]


def test_a_run_with_the_formula_replays_and_the_live_variant_does_not_know_of_it(whole, small, ns3_server, tmp_path):
    done = cosim("replay", whole)
    assert (done.returncode, done.stderr) == (0, "")
    assert cosim("run", "--out", tmp_path / "live", "--connect", ns3_server, *small).returncode == 0
    with closing(Journal.open(whole)) as both, closing(Journal.open(tmp_path / "live")) as alone:
        assert both.fingerprint(3) == alone.fingerprint(1)
        assert both.fingerprint(1) != both.fingerprint(3)


@pytest.mark.parametrize(("variant", "title"), [(2, "weight-to-latency (analytic)"), (3, "top-k (live)")])
def test_a_killed_run_is_resumed_in_either_network(whole, small, ns3_server, tmp_path, variant, title):
    killed = tmp_path / "killed"
    arguments = ["run", "--out", str(killed), "--connect", ns3_server, *small, *VARIANTS]
    with subprocess.Popen([*COSIM, *arguments], stdout=subprocess.PIPE, text=True) as run:
        next(line for line in run.stdout if title in line and "virtual time" in line)
        run.send_signal(signal.SIGKILL)
    with closing(Journal.open(killed)) as journal:
        assert not journal.is_finished(variant)
        assert journal.rows("SELECT max(variant) FROM variants") == [(variant,)]
    done = cosim("resume", killed, "--connect", ns3_server)
    assert (done.returncode, done.stderr) == (0, "")
    with closing(Journal.open(killed)) as journal, closing(Journal.open(whole)) as undisturbed:
        assert journal.fingerprint() == undisturbed.fingerprint()


def test_a_lost_ns3_is_replaced_under_the_formula_too(whole, small, tmp_path):
    arguments = ["run", "--out", str(tmp_path / "run"), *small, *VARIANTS]
    with subprocess.Popen([*COSIM, *arguments], stdout=subprocess.PIPE, text=True) as run:
        next(line for line in run.stdout if "(analytic)" in line and "virtual time" in line)
        (ns3,) = (child for child in psutil.Process(run.pid).children() if "ns3_scenarios" in child.cmdline())
        ns3.kill()
        assert any("ns-3 lost" in line for line in run.stdout)
        run.communicate()
    assert run.returncode == 0
    with closing(Journal.open(tmp_path / "run")) as journal, closing(Journal.open(whole)) as undisturbed:
        assert journal.fingerprint() == undisturbed.fingerprint()


def test_a_scenario_without_a_band_is_refused_before_anything_runs(ns3_server, tmp_path):
    for networks in (("--network", "analytic"), ("--network", "live", "--network", "analytic")):
        done = cosim("run", "--out", tmp_path / "run", "--connect", ns3_server, "--scenario", "wired", *networks)
        assert done.returncode == 2
        assert done.stderr.startswith("cosim: radio.scenario: wired has no band")
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "run").exists()


def test_ns3s_own_outputs_of_the_two_networks_lie_apart(whole):
    folders = sorted(path.name for path in (whole / "ns3").iterdir())
    assert folders == ["top-k", "top-k-analytic", "weight-to-latency", "weight-to-latency-analytic"]
