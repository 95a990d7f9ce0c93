# SPDX-License-Identifier: Apache-2.0
"""Recorded routing drives policies and network as the model did, with no PyTorch, and its proxy is no quality."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cosim as co_simulation
from bridge.network import RequestError
from cosim.config import load
from cosim.record.journal import BATCH, FILE_NAME, Journal
from cosim.seeds import seed_of
from model_side.base_station import BaseStation, LayerForecast
from model_side.element import WireFormat
from model_side.hardware.profiles import PROFILES
from model_side.hardware.roofline import RooflineTimes
from model_side.placement import place
from model_side.policies import make_policy
from model_side.prediction.line import Line
from model_side.routing_replay import RoutingReplay
from model_side.routing_trace import RoutingTrace
from model_side.wire_profiles import WIRE_PROFILES
from tests.support.cosim_process import cosim
from tests.support.fixed_network import FixedNetwork
from tests.support.routing_traces import SHAPE, make_rows, write_rows

WORKLOAD = {"requests": 2, "prompt_tokens": 7, "new_tokens": 3}


def cosim_behind(program: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """The command, behind a `program` of Python."""
    program += f"; import sys; sys.argv[1:] = {[*map(str, arguments)]!r}; from cosim.cli import main; main()"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def run_here(folder: Path, server: str, settings: list[str], policies: list[str]) -> None:
    from cosim.experiment import run
    from cosim.networks.ns3_side import Ns3Place

    run(load(None, ["radio.scenario=fixed", "radio.devices=4", *settings], policies), out=folder, at=Ns3Place(server))


def tables(run: Path) -> dict[str, pd.DataFrame]:
    return co_simulation.load(run)


@pytest.fixture
def trace(tmp_path) -> Path:
    return write_rows(make_rows(), tmp_path / "trace.parquet")


def test_without_pytorch_a_recording_runs_on_ns3_and_is_shown_resumed_and_replayed(trace, tmp_path):
    blocked = "import sys; sys.modules.update(dict.fromkeys(('torch', 'transformers', 'tokenizers')))"
    run = tmp_path / "run"
    settings = ["--scenario", "wired", "--set", "radio.devices=3", "--set", f"model.routing={trace}"]
    policies = ["--policy", "top-k", "--policy", "weight-to-latency"]
    done = cosim_behind(blocked, "run", *settings, *policies, "--out", run)
    assert (done.returncode, done.stderr) == (0, "")
    assert "quality by proxy only: no model ran" in done.stdout
    assert "gate weight kept (proxy)" in done.stdout
    assert "unmodified model" not in done.stdout
    with closing(Journal.open(run)) as journal:
        whole = journal.fingerprint()
        assert journal.rows("SELECT count(*) FROM exchanges") == [(2 * 2 * 3 * 3,)]
        assert "torch" not in json.loads(journal.meta("versions"))
    assert "as recorded: 36 exchanges, 12 tokens" in cosim_behind(blocked, "replay", run).stdout
    with closing(sqlite3.connect(run / FILE_NAME)) as db, db:
        for table in ("transfers", "links", "channel", "tracks", "routing", "exchanges"):
            db.execute(f"DELETE FROM {table} WHERE variant = 1 AND exchange > 4 OR variant = 2")
        for table in ("quality", "costs", "decisions", "tokens", "devices", "variants"):
            db.execute(f"DELETE FROM {table} WHERE variant = 2")
        for table in ("quality", "costs", "decisions", "tokens"):
            db.execute(f"DELETE FROM {table}")
        db.execute("DELETE FROM events")
        db.execute("DELETE FROM meta WHERE key = 'seal'")
    done = cosim_behind(blocked, "resume", run)
    assert (done.returncode, done.stderr) == (0, "")
    assert whole[:16] in done.stdout


def test_without_pytorch_a_model_is_refused_in_words(tmp_path):
    """`importlib.metadata` is what a run asks first; here it finds no torch, as where none is installed."""
    missing = "import importlib.metadata as m; known = m.version\n"
    missing += (
        "def version(name):\n    if name == 'torch': raise m.PackageNotFoundError(name)\n    return known(name)\n"
    )
    done = cosim_behind(f"{missing}m.version = version", "run", "--out", tmp_path / "run")
    assert (done.returncode, "model.path: a model needs the package torch" in done.stderr) == (2, True)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> Path:
    """The shipped model's routing over the workload of a small run, by the recorder."""
    import torch

    from model_side.model.loading import SHIPPED_FOLDER, load_model, load_tokenizer
    from model_side.model.workload import make_requests
    from model_side.record_routing import main

    folder = tmp_path_factory.mktemp("shipped")
    seed = seed_of(load(None, ["seed=5"]), "prompts")
    requests = make_requests(load_model(), load_tokenizer(), *WORKLOAD.values(), seed)
    lines = [json.dumps({"tokens": request.prompt}) for request in requests]
    (folder / "prompts.jsonl").write_text("\n".join(lines))
    torch.set_num_threads(1)  # as a run does: the last bits of a sum depend on it
    sizes = ["--new-tokens", str(WORKLOAD["new_tokens"]), "--dtype", "float32"]
    main([str(SHIPPED_FOLDER), str(folder / "prompts.jsonl"), str(folder / "trace.parquet"), *sizes])
    return folder / "trace.parquet"


@pytest.mark.parametrize("profile", ["own", "mixtral-8x7b"])
def test_top_k_on_the_shipped_models_recording_is_its_live_run_exchange_by_exchange(
    shipped, fixed_server, tmp_path, profile
):
    common = ["seed=5", f"model.wire_profile={profile}", "devices.hardware=['jetson-agx-orin', 'raspberry-pi-5']"]
    live = [f"workload.{key}={value}" for key, value in WORKLOAD.items()]
    run_here(tmp_path / "live", fixed_server, [*common, *live], ["top-k"])
    run_here(tmp_path / "replayed", fixed_server, [*common, f"model.routing={shipped}"], ["top-k"])
    ran, replayed = tables(tmp_path / "live"), tables(tmp_path / "replayed")
    assert len(ran["transfers"]) > 2 * len(ran["exchanges"])  # two experts a token, on devices of their own
    for name in ("exchanges", "transfers", "links", "tokens", "devices"):
        pd.testing.assert_frame_equal(ran[name], replayed[name])
    for column in ran["routing"]:
        for one, other in zip(ran["routing"][column], replayed["routing"][column], strict=True):
            np.testing.assert_array_equal(one, other, err_msg=column)


def test_a_runs_own_routing_is_the_recorders_and_replays(shipped, fixed_server, tmp_path):
    live = ["seed=5", "quality=false", *(f"workload.{key}={value}" for key, value in WORKLOAD.items())]
    run_here(tmp_path / "live", fixed_server, live, ["top-k", "weight-to-latency"])
    done = cosim("routing", tmp_path / "live", tmp_path / "own.parquet")
    assert (done.returncode, done.stderr) == (0, "")
    own, recorded = pd.read_parquet(tmp_path / "own.parquet"), pd.read_parquet(shipped)
    prompt = (recorded["position"] < WORKLOAD["prompt_tokens"]).to_numpy()
    assert own["token"].isna().tolist() == prompt.tolist()
    for name in recorded:
        there = own[name].notna().to_numpy()
        assert there.all() or name in ("token", "next_token")
        for one, other in zip(own[name][there], recorded[name][there], strict=True):
            np.testing.assert_array_equal(one, other)
    run_here(tmp_path / "again", fixed_server, [f"model.routing={tmp_path / 'own.parquet'}", "seed=5"], ["top-k"])
    again = tables(tmp_path / "again")
    ran = {name: table[table.variant == 1] for name, table in tables(tmp_path / "live").items() if "variant" in table}
    pd.testing.assert_frame_equal(again["transfers"], ran["transfers"])
    done = cosim("routing", tmp_path / "again", tmp_path / "own.parquet")
    assert (done.returncode, "exists already" in done.stderr) == (2, True)
    cosim("routing", tmp_path / "again", tmp_path / "once-more.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "once-more.parquet"), own)


def test_the_proxy_is_the_gates_weight_of_what_came_back(trace, fixed_server, tmp_path):
    settings = [f"model.routing={trace}", "radio.rate_bps=4e6", "exchange.deadline_s=0.06"]
    run_here(tmp_path / "run", fixed_server, settings, ["top-k", "weight-to-latency"])
    rows = tables(tmp_path / "run")
    quality = rows["quality"].pivot_table("value", ["variant", "request"], "metric")
    assert list(quality) == ["proxy_best_lost", "proxy_gate_weight", "proxy_kept_weight", "proxy_token_layers"]
    merged = rows["routing"].merge(rows["exchanges"], on=["variant", "exchange"], suffixes=("", "_"))
    for key, part in merged.groupby(["variant", "request"]):
        total = kept = 0.0
        lost = count = 0
        for exchange in part.itertuples():
            for token in range(exchange.tokens):
                came = set(exchange.chosen_experts[token][exchange.delivered[token]].tolist())
                own = dict(
                    zip(exchange.gate_experts[token].tolist(), exchange.gate_weights[token].tolist(), strict=True)
                )
                total += sum(own.values())
                kept += sum(weight for expert, weight in own.items() if expert in came)
                lost += max(own, key=own.get) not in came
                count += 1
        found = quality.loc[key]
        assert (found.proxy_token_layers, found.proxy_best_lost) == (count, lost)
        assert found.proxy_gate_weight == pytest.approx(total)
        assert found.proxy_kept_weight == pytest.approx(kept)
    assert (quality.proxy_best_lost > 0).any()
    assert (quality.proxy_kept_weight < quality.proxy_gate_weight).all()


def served(path: Path, policy: str, network: FixedNetwork, requests: int = 9, proxy: bool = True):
    """Records and tokens of a replay, without a journal."""
    records = []
    shape = WIRE_PROFILES["mixtral-8x7b"]
    devices = len(network.info.devices)
    placement = place(len(SHAPE["moe_layers"]), SHAPE["experts"], devices)
    hardware = [PROFILES[name] for name in ("jetson-agx-orin", "raspberry-pi-5")] * devices
    compute = RooflineTimes(shape, PROFILES["nvidia-l4"], hardware[:devices], 16, 4)
    line = Line(devices)
    station = BaseStation(
        network, placement, compute, make_policy(policy), line, WireFormat(8192), 10**10, on_exchange=records.append
    )
    return records, list(RoutingReplay(RoutingTrace.read(path).first(requests), proxy).serve(station)), station


@pytest.mark.parametrize("policy", ["top-k", "weight-to-latency"])
def test_loads_computed_at_once_are_those_of_each_layer(trace, policy, monkeypatch):
    from model_side import routing_replay

    whole, tokens, station = served(trace, policy, FixedNetwork(devices=3))
    for record in whole:
        parts = (station._compute, station.predictor, WireFormat(8192), 0, station._powers, station._radiated)
        work = LayerForecast(record.placement, *parts).work(record.selection)
        np.testing.assert_array_equal(work.tokens, record.work.tokens)
        assert [t.compute_ns for t in record.transfers] == [round(s * 1e9) for s in work.compute_s if s]
    monkeypatch.setattr(routing_replay, "_BLOCK_ROWS", 1)
    in_pieces, again, _ = served(trace, policy, FixedNetwork(devices=3))
    assert tokens == again
    assert [record.transfers for record in whole] == [record.transfers for record in in_pieces]
    assert [record.outcome for record in whole] == [record.outcome for record in in_pieces]


def test_no_more_requests_are_replayed_than_asked_for(trace):
    _, tokens, _ = served(trace, "top-k", FixedNetwork(devices=3), requests=1, proxy=False)
    rows = make_rows()
    expected = rows[(rows.request == 0) & (rows.layer == 0)].groupby("pass").last()
    assert [token.token_id for token in tokens] == expected.next_token.tolist()
    assert [token.position for token in tokens] == (expected.position + 1).tolist()
    assert {token.quality for token in tokens} == {None}


def test_a_recording_without_probabilities_serves_who_does_not_need_them(fixed_server, tmp_path):
    path = write_rows(make_rows().drop(columns="probabilities"), tmp_path / "bare.parquet")
    run_here(tmp_path / "run", fixed_server, [f"model.routing={path}"], ["top-k", "weight-to-latency"])
    assert tables(tmp_path / "run")["routing"]["probabilities"].isna().all()
    done = cosim("export", tmp_path / "run", tmp_path / "exported")
    assert (done.returncode, done.stderr) == (0, "")
    exported = pd.read_parquet(tmp_path / "exported" / "routing.parquet")
    assert exported["probabilities"].isna().all()
    assert exported["gate_weights"].notna().all()
    assert cosim("routing", tmp_path / "run", tmp_path / "again.parquet").returncode == 0
    pd.testing.assert_series_equal(
        pd.read_parquet(tmp_path / "again.parquet")["gate_weights"].map(list),
        pd.read_parquet(path)["gate_weights"].map(list),
    )


@pytest.mark.parametrize(
    "setting",
    [
        "model.path=some/model",
        "model.dtype=bfloat16",
        "model.threads=2",
        "workload.text=book.txt",
        "workload.prompt_tokens=5",
        "workload.new_tokens=5",
    ],
)
def test_what_only_a_model_has_contradicts_a_recording(setting):
    with pytest.raises(RequestError, match=r"model\.routing replays one that ran") as caught:
        load(None, ["model.routing=t.parquet", setting])
    assert caught.value.field == setting.partition("=")[0]
    load(None, ["model.routing=t.parquet", "workload.requests=7", "model.wire_profile=own", "quality=false"])


def test_a_recording_that_is_broken_or_not_there_ends_in_words(fixed_server, tmp_path):
    broken = write_rows(make_rows()[:-1], tmp_path / "broken.parquet")
    for path, words in ((broken, "column layer, row 40"), (tmp_path / "none.parquet", "does not exist")):
        settings = ["--scenario", "fixed", "--connect", fixed_server, "--set", f"model.routing={path}"]
        done = cosim("run", *settings, "--out", tmp_path / "run")
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "run").exists()
    done = cosim("routing", tmp_path, tmp_path / "out.parquet")
    assert (done.returncode, "RUN: " in done.stderr) == (2, True)


@pytest.mark.parametrize("pieces", [BATCH - 1, BATCH, BATCH + 1])
def test_what_is_added_in_batches_is_all_there_and_never_with_gaps(tmp_path, pieces):
    from cosim.config import Config

    journal = Journal.create(tmp_path, Config(), {})

    def seen() -> list[str]:
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
            return [row[0] for row in db.execute("SELECT message FROM events ORDER BY event")]

    numbers = [str(number) for number in range(pieces)]
    with journal.batched():
        for number in numbers:
            journal.add_event(None, "kind", number)
        assert seen() == numbers[: pieces // BATCH * BATCH]
    assert seen() == numbers
    journal.add_event(None, "kind", "later")
    assert seen() == [*numbers, "later"]
    journal.close()
