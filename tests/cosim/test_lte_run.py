# SPDX-License-Identifier: Apache-2.0
"""`cosim run` on real LTE: repeatable over every way to connect, and sound at the edges."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.endpoint import private_ipc
from bridge.health import lives
from bridge.keys import make_keys
from cosim.record.journal import Journal
from cosim.results.summary import VariantSummary, summarise
from tests.support.cosim_process import cosim
from tests.support.servers import eventually, free_tcp_endpoint
from tests.support.small_models import small_model

SIZES = {"requests": 1, "prompt_tokens": 8, "new_tokens": 3}


@pytest.fixture
def here(ns3_server) -> tuple[str, str]:
    """Options of a run where the way to ns-3 does not matter."""
    return "--connect", ns3_server


def run_in(model: Path, folder: Path, *extra: str) -> "subprocess.CompletedProcess[str]":
    """A small run in `folder`, which exists."""
    text = folder / "text.txt"
    text.write_text("Now is the winter of our discontent made glorious summer by this sun of York. " * 20)
    settings = {"model.path": model, "workload.text": text, **{f"workload.{key}": size for key, size in SIZES.items()}}
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return cosim("run", "--out", folder / "run", *words, *extra)


def summaries(model: Path, folder: Path, *extra: str) -> list[VariantSummary]:
    done = run_in(model, folder, *extra)
    assert done.returncode == 0, done.stderr
    journal = Journal.open(folder / "run")
    variants = summarise(journal)
    journal.close()
    return variants


@contextmanager
def served(endpoint: str, *security: str) -> Iterator[None]:
    """`cosim serve` in a terminal of its own."""
    command = [sys.executable, "-m", "cosim.cli", "serve", "--listen", endpoint, *security]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_the_same_run_gives_the_same_journal_however_it_is_connected(tiny_model, tmp_path):
    """Own process over ipc and plain tcp, a served one over tcp with keys twice in one process: to the nanosecond."""
    policies = ("--policy", "top-k", "--policy", "weight-to-latency")
    tcp = free_tcp_endpoint()
    keys = tmp_path / "keys"
    make_keys(keys)
    prints = []
    with served(tcp, "--keys", str(keys)):
        connect = ("--connect", tcp, "--keys", str(keys))
        listen = ("--listen", free_tcp_endpoint(), "--plain-tcp")
        for number, way in enumerate([(), connect, connect, listen, (*connect, "--set", "seed=2")]):
            folder = tmp_path / str(number)
            folder.mkdir()
            done = run_in(tiny_model, folder, *policies, *way)
            assert done.returncode == 0, done.stderr
            journal = Journal.open(folder / "run")
            prints.append(journal.fingerprint())
            journal.close()
    assert prints[0] == prints[1] == prints[2] == prints[3]
    assert prints[4] != prints[0], "another seed gives other prompts, so another journal"


def test_a_device_out_of_coverage_is_reported_and_the_others_answer(tiny_model, here, tmp_path):
    distances = "radio.distances_m=[50, 60, 70, 100000]"
    (top_k,) = summaries(
        tiny_model, tmp_path, *here, "--set", "radio.devices=4", "--set", distances, "--set", "exchange.deadline_s=0.5"
    )
    failed = [device.failed for device in top_k.devices]
    assert failed[:3] == [0, 0, 0]
    assert failed[3] == top_k.devices[3].transfers > 0
    assert top_k.statuses["unreachable"] == failed[3]
    assert top_k.slots.late > 0


def test_a_deadline_too_short_for_anyone_drops_every_expert(tiny_model, here, tmp_path):
    (top_k,) = summaries(tiny_model, tmp_path, *here, "--set", "exchange.deadline_s=0.0001")
    assert top_k.slots.late == top_k.slots.own
    assert top_k.statuses["done"] == 0
    assert top_k.virtual_s < 2
    assert top_k.quality is not None
    assert top_k.quality.mean_kl_nats > 0


def test_one_device_holds_all_experts(tiny_model, here, tmp_path):
    (top_k,) = summaries(tiny_model, tmp_path, *here, "--set", "radio.devices=1")
    (device,) = top_k.devices
    layers, tokens = 3, 8 + 2
    assert (device.tokens, device.transfers) == (layers * tokens, layers * 3)
    assert device.downlink_bytes == layers * tokens * 8192
    assert top_k.quality is not None
    assert (top_k.quality.agreement, top_k.quality.mean_kl_nats) == (1, 0)


def test_64_devices_and_128_experts(tiny_model, here, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    for file in tiny_model.glob("token*"):
        (model / file.name).write_bytes(file.read_bytes())
    small_model("qwen3_moe", vocab_size=260, num_experts=128, num_experts_per_tok=8).save_pretrained(model)
    (top_k,) = summaries(model, tmp_path, *here, "--set", "radio.devices=64", "--set", "model.wire_profile=own")
    assert len(top_k.devices) == 64
    assert top_k.devices[5].experts == "[5, 69]"
    assert top_k.statuses["done"] == sum(device.transfers for device in top_k.devices) > 64
    assert top_k.quality is not None
    assert (top_k.quality.agreement, top_k.quality.mean_kl_nats) == (1, 0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["radio.distances_m=[10, -5]", "radio.devices=2"], "radio.distances_m"),
        (["radio.devices=0"], "radio.devices"),
        (["radio.devices='many'"], "radio.devices"),
        (["radio.colour='red'"], "radio.colour"),
        (["radio.fading='rain'"], "radio.fading"),
        (["radio.scenario='nowhere'"], "radio.scenario"),
    ],
)
def test_a_bad_radio_parameter_is_named_with_exit_code_2(tiny_model, tmp_path, settings, words):
    done = run_in(tiny_model, tmp_path, *(part for setting in settings for part in ("--set", setting)))
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["ipc", "tcp"])
def test_an_endpoint_in_use_is_named_with_exit_code_2(tiny_model, tmp_path, kind):
    with private_ipc() as ipc:
        endpoint = ipc if kind == "ipc" else free_tcp_endpoint()
        plain = ["--plain-tcp"] if kind == "tcp" else []
        with served(endpoint, *plain):
            assert eventually(lambda: lives(endpoint, None), 60)
            done = run_in(tiny_model, tmp_path, "--listen", endpoint, *plain)
            assert (done.returncode, "in use" in done.stderr) == (2, True), done.stderr
            assert not (tmp_path / "run").exists()
