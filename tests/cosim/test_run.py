# SPDX-License-Identifier: Apache-2.0
"""`cosim run` over real sockets with a network of closed form: what is recorded, printed and refused."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bridge.network import NS_PER_S
from cosim.record.journal import FILE_NAME, Journal
from cosim.results.summary import summarise
from tests.support.cosim_process import cosim
from tests.support.fixed_network import FixedNetwork

COSIM = (sys.executable, "-m", "cosim.cli")


@pytest.fixture
def fixed_run(fixed_server, tiny_model, tmp_path):
    """Arguments of a small run on the closed-form network, and its run folder."""
    text = tmp_path / "text.txt"
    text.write_text("It is a truth universally acknowledged, that a single man in possession of a good fortune. " * 20)
    sizes = {"requests": 2, "prompt_tokens": 8, "new_tokens": 4, "text": text}
    settings = [f"workload.{key}={value}" for key, value in sizes.items()]
    settings += ["radio.scenario=fixed", "radio.devices=4", f"model.path={tiny_model}"]
    folder = tmp_path / "run"
    arguments = ["run", "--connect", fixed_server, "--out", folder]
    for setting in settings:
        arguments += ["--set", setting]
    return arguments, folder


def test_a_run_records_what_the_network_did(fixed_run):
    arguments, folder = fixed_run
    done = cosim(*arguments, "--policy", "top-k", "--policy", "weight-to-latency")
    assert (done.returncode, done.stderr) == (0, "")
    journal = Journal.open(folder)
    layers, passes = 3, 2 * 4
    counts = journal.rows("SELECT variant, count(*), max(exchange) FROM exchanges GROUP BY variant")
    assert counts == [(1, layers * passes, layers * passes), (2, layers * passes, layers * passes)]

    network = FixedNetwork(devices=4)
    for device, depart_ns, bytes_, compute_ns, end_ns in journal.rows(
        "SELECT device, depart_ns, downlink_bytes, compute_ns, uplink_end_ns FROM transfers JOIN exchanges "
        "USING (variant, exchange)"
    ):
        air_s = 2 * 8 * bytes_ / network.rate_bps(device)
        assert end_ns == pytest.approx(depart_ns + compute_ns + air_s * NS_PER_S, abs=2)

    per_token = journal.rows("SELECT sum(tokens) FROM exchanges WHERE variant = 1")[0][0]
    assert per_token == layers * 2 * (8 + 3)
    assert journal.rows("SELECT sum(downlink_bytes), sum(tokens) * 8192 FROM transfers")[0] == pytest.approx(
        journal.rows("SELECT sum(uplink_bytes), sum(downlink_bytes) FROM transfers")[0]
    )
    ends = journal.rows("SELECT depart_ns - bs_compute_ns, end_ns FROM exchanges WHERE variant = 1 ORDER BY exchange")
    assert all(begin >= end for (_, end), (begin, _) in itertools.pairwise(ends))
    journal.close()


def test_the_summary_agrees_with_the_journal(fixed_run):
    arguments, folder = fixed_run
    assert cosim(*arguments).returncode == 0
    journal = Journal.open(folder)
    (top_k,) = summarise(journal)
    tokens = journal.rows("SELECT request, position, begin_ns, end_ns FROM tokens ORDER BY request, position")
    assert len(tokens) == 8
    assert sum(top_k.token_s) == pytest.approx(sum(end - begin for _, _, begin, end in tokens) / NS_PER_S)
    assert sum(top_k.time_s.values()) == pytest.approx(sum(top_k.token_s))
    assert top_k.ttft_s == pytest.approx([(end - begin) / NS_PER_S for _, at, begin, end in tokens if at == 8])
    assert (len(top_k.layer_s["prefill"]), len(top_k.layer_s["decode"])) == (6, 18)
    assert (top_k.slots.own, top_k.slots.left_out, top_k.slots.late) == (2 * 3 * 2 * (8 + 3), 0, 0)
    assert top_k.quality is not None
    assert (top_k.quality.agreement, top_k.quality.mean_kl_nats) == (1, 0)
    assert top_k.quality.perplexity == top_k.quality.reference_perplexity
    journal.close()


def test_the_same_run_twice_gives_the_same_journal_and_show_prints_it_again(fixed_run):
    arguments, folder = fixed_run
    policies = ("--policy", "weight-to-latency", "--policy", "top-k")
    first = cosim(*arguments, *policies)
    again = list(arguments)
    again[again.index(folder)] = folder.with_name("again")
    cosim(*again, *policies)
    journals = [Journal.open(folder), Journal.open(folder.with_name("again"))]
    assert journals[0].fingerprint() == journals[1].fingerprint()
    assert journals[0].fingerprint(1) != journals[0].fingerprint(2)
    shown = cosim("show", folder)
    assert first.stdout.endswith(f"{shown.stdout}to look at it: cosim report {folder}\n")
    assert "TPOT" in shown.stdout


def test_deadlines_change_the_answer_and_are_told(fixed_run):
    """Four experts' devices are served in 5 s; the deadline cuts off the slow ones."""
    arguments, folder = fixed_run
    done = cosim(*arguments, "--set", "exchange.deadline_s=0.008", "--set", "exchange.wait=all")
    assert done.returncode == 0
    journal = Journal.open(folder)
    (top_k,) = summarise(journal)
    assert top_k.statuses["late"] > 0
    assert 0 < top_k.slots.late < top_k.slots.own
    assert top_k.quality is not None
    assert top_k.quality.mean_kl_nats > 0
    late = journal.rows(
        "SELECT count(*) FROM transfers t JOIN exchanges e USING (variant, exchange) "
        "WHERE status = 'late' AND end_ns < deadline_ns"
    )[0][0]
    assert late == 0
    for experts, tokens, top, chosen_blob, delivered_blob, devices in journal.rows(
        "SELECT experts, tokens, top_k, chosen_experts, delivered, (SELECT json_group_array(device) "
        "FROM transfers t WHERE t.exchange = r.exchange AND status = 'done') FROM routing r"
    ):
        chosen = np.frombuffer(chosen_blob, "<i2").reshape(tokens, top)
        came = np.isin(chosen % 4, json.loads(devices)) & (chosen < experts)
        assert (came == np.frombuffer(delivered_blob, "?").reshape(tokens, top)).all()
    journal.close()


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--policy", "best"], "policies: nobody knows 'best'"),
        (["--set", "policy.weight-to-latency.threshold=0.1"], "policy.weight-to-latency: has options"),
        (
            ["--policy", "weight-to-latency", "--set", "policy.weight-to-latency.threshold=2"],
            "policy.weight-to-latency.threshold",
        ),
        (["--set", "radio.devices=-4"], "radio.devices: -4"),
        (["--set", "radio.scenario=warp"], "radio.scenario: 'warp'"),
        (["--set", "model.path=/nowhere"], "model.path"),
        (["--set", "model.wire_profile=gpt"], "model.wire_profile"),
        (["--set", "devices.hardware=abacus"], "devices.hardware: nobody knows 'abacus'"),
        (["--set", "base_station.hardware=abacus"], "base_station.hardware: nobody knows"),
        (["--set", "placement.experts=[0, 1]"], "placement.experts: names 2 devices for 8 experts"),
        (
            ["--set", f"placement.experts={[1] * 8}", "--set", "devices.weight_bits=32"],
            "placement.experts: device 1, jetson-orin-nano-super, needs 16,911,433,728 bytes",
        ),
        (["--set", "workload.prompt_tokens=4000"], "workload.prompt_tokens"),
        (["--set", "workload.text=/nowhere.txt"], "workload.text"),
        (["--listen", "ipc:///tmp/x"], "--connect"),
        (["--wrong"], "No such option"),
    ],
)
def test_bad_input_is_named_with_exit_code_2_and_leaves_no_folder(fixed_run, extra, words):
    arguments, folder = fixed_run
    done = cosim(*arguments, *extra)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not folder.exists()


def test_a_finished_run_is_not_overwritten(fixed_run):
    arguments, folder = fixed_run
    assert cosim(*arguments).returncode == 0
    before = (folder / FILE_NAME).read_bytes()
    done = cosim(*arguments)
    assert (done.returncode, "--out" in done.stderr) == (2, True)
    assert (folder / FILE_NAME).read_bytes() == before


def test_a_network_that_breaks_leaves_a_readable_journal(fixed_run):
    arguments, folder = fixed_run
    done = cosim(*arguments, "--set", "radio.break_at=9")
    assert done.returncode == 1
    assert re.search(r"lost at virtual time \d+\.\d+ s: ArithmeticError: the radio is broken", done.stderr)
    assert "Traceback" not in done.stderr
    journal = Journal.open(folder)
    assert journal.rows("SELECT max(exchange) FROM exchanges") == [(8,)]
    events = [kind for (kind,) in journal.rows("SELECT kind FROM events ORDER BY event")]
    assert events == ["ns-3 lost", "caught up", "ns-3 lost", "caught up", "ns-3 lost", "PartnerLost"]
    journal.close()
    assert "radio is broken" in cosim("show", folder).stdout
    (top_k,) = summarise(Journal.open(folder))
    assert sum(top_k.time_s.values()) == pytest.approx(top_k.virtual_s)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_was_recorded(fixed_run, number):
    arguments, folder = fixed_run
    command = [*COSIM, *map(str, arguments), "--set", "radio.hold_s=0.2", "--set", "workload.new_tokens=100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if "virtual time" in line:
                break
        os.kill(process.pid, number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped by the user" in errors
    assert "Traceback" not in errors
    assert str(folder) in output
    journal = Journal.open(folder)
    assert journal.rows("SELECT kind FROM events") == [("interrupted",)]
    assert journal.rows("SELECT count(*) FROM exchanges")[0][0] > 0
    journal.close()


def test_show_refuses_what_is_no_run(tmp_path):
    for path in (tmp_path, tmp_path / "nothing", Path(__file__)):
        done = cosim("show", path)
        assert (done.returncode, "RUN" in done.stderr) == (2, True)
