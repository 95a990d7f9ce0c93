# SPDX-License-Identifier: Apache-2.0
"""Where a run's experts are: by rule or by hand, within its devices' memory, and the same when it is done again."""

import io
import json
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from rich.console import Console

from bridge.network import RequestError
from cosim import config, experiment
from cosim.calibration.needed import calibration_of
from cosim.checks import check, check_devices
from cosim.errors import Diverged
from cosim.experiment import replay, resume, what_if
from cosim.fleet import fleet_of
from cosim.record.journal import Journal
from cosim.results.summary import summarise
from cosim.screen.display import Silence
from cosim.screen.report import print_report
from model_side.calibration import decoded
from model_side.hardware.profiles import PROFILES, expert_work
from model_side.policies import POLICIES
from model_side.routing_trace import RoutingTrace
from model_side.shapes import ModelShape
from tests.support.routing_traces import SHAPE, make_rows, write_rows
from tests.support.small_run import DEVICES, Side, small_run

LAYERS, EXPERTS = len(SHAPE["moe_layers"]), SHAPE["experts"]
OWN = ModelShape(**{**SHAPE, "moe_layers": tuple(SHAPE["moe_layers"])})


def held(folder: Path) -> list:
    with closing(Journal.open(folder)) as journal:
        return [json.loads(text) for (text,) in journal.rows("SELECT experts FROM devices WHERE variant = 1")]


def importance(rows) -> list[dict[int, float]]:
    """Of each layer's experts, out of the rows one by one: how often chosen, times the mean squared weight then."""
    of_layer = []
    for layer in range(LAYERS):
        squares = defaultdict(list)
        part = rows[rows["layer"] == layer]
        for experts, weights in zip(part["gate_experts"], part["gate_weights"], strict=True):
            for expert, weight in zip(experts, weights, strict=True):
                squares[expert].append(weight**2)
        of_layer.append({e: len(squares[e]) / len(part) * np.mean(squares[e] or [0]) for e in range(EXPERTS)})
    return of_layer


@pytest.fixture(scope="module")
def ranked(tmp_path_factory) -> Path:
    return small_run(tmp_path_factory.mktemp("ranked"), "placement.experts=ranked")


def test_ranked_experts_are_where_nearness_hardware_and_routing_say(ranked):
    with closing(Journal.open(ranked)) as journal:
        near = journal.nearness()
    assert near == pytest.approx([2 * 8 * (device + 1) / 1e8 for device in range(DEVICES)], rel=1e-4)
    names = config.Config().devices.hardware[:DEVICES]
    work = expert_work(1, 4096, 14336, 2, 4)
    seconds = [8192 * byte_s + PROFILES[name].latency_s(*work) for byte_s, name in zip(near, names, strict=True)]
    order = np.argsort(seconds).tolist()
    assert order == [1, 2, 0]  # neither the nearest first nor the one that computes quickest
    expected = [[[] for _ in range(LAYERS)] for _ in range(DEVICES)]
    for layer, matters in enumerate(importance(make_rows(2, 4, 2))):
        best = sorted(matters, key=lambda expert: -matters[expert])
        for device, experts in zip(order, (best[:3], best[3:6], best[6:]), strict=True):
            expected[device][layer] = sorted(experts)
    assert held(ranked) == expected


def test_ranked_again_is_the_same_replayed_and_asked_what_if(ranked, tmp_path):
    replay(ranked)
    what_if(ranked, ["workload.requests=1"], out=tmp_path / "asked")
    assert held(tmp_path / "asked") == held(ranked)
    other = what_if(ranked, ["placement.experts=round-robin"], out=tmp_path / "other")
    assert held(other) == [[0, 3, 6], [1, 4, 7], [2, 5]]


def test_a_what_if_can_ask_for_ranked_of_a_record_without(tmp_path):
    plain = small_run(tmp_path)
    asked = what_if(plain, ["placement.experts=ranked"], out=tmp_path / "asked")
    with closing(Journal.open(asked)) as journal:
        assert np.diff(journal.nearness()).min() > 0


def test_ranked_without_its_record_is_refused(ranked, tmp_path):
    with closing(Journal.open(ranked)) as journal:
        recorded = journal.config
    with closing(Journal.create(tmp_path, config.convert(recorded), {})):
        pass
    with pytest.raises(Diverged, match="how near the devices are was never recorded"):
        replay(tmp_path)


def test_a_broken_ranked_run_goes_on_where_its_experts_were(ranked, tmp_path, monkeypatch):
    class Breaks(Silence):
        def begin(self, *_: object):
            self.left = 4

        def exchanged(self, record):
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt

    monkeypatch.setattr("cosim.experiment.Ns3Side", Side)
    monkeypatch.setattr("cosim.experiment.check_scenario", lambda asked: None)
    with closing(Journal.open(ranked)) as journal:
        asked, whole = config.convert(journal.config), journal.fingerprint()
    with pytest.raises(KeyboardInterrupt):
        experiment.run(asked, out=tmp_path / "run", display=Breaks())
    monkeypatch.setattr("cosim.fleet.probe_all", None)  # it is not measured again
    resume(tmp_path / "run")
    with closing(Journal.open(tmp_path / "run")) as journal:
        assert journal.fingerprint() == whole


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["placement.experts=[0, 1, 2, 0, 1, 2, 0, 1]"], [[0, 3, 6], [1, 4, 7], [2, 5]]),
        (["placement.experts=[[0, 1], 1, [2], 0, 1, 2, 0, [2, 1, 0]]"], [[0, 3, 6, 7], [0, 1, 4, 7], [2, 5, 7]]),
        (
            [f"placement.layers={[[0] * 8, [[0, 2]] + [1] * 7, [2] * 8]}"],
            [[[*range(8)], [0], []], [[], [*range(1, 8)], []], [[], [0], [*range(8)]]],
        ),
        (["placement.replicas=2"], [[0, 2, 3, 5, 6], [0, 1, 3, 4, 6, 7], [1, 2, 4, 5, 7]]),
        (
            ["placement.experts=memory", "devices.hardware=jetson-agx-orin"],
            [[[0, 3, 6], [0, 3, 6], [0, 3]], [[1, 4, 7], [1, 4], [1, 4, 6]], [[2, 5], [2, 5, 7], [2, 5, 7]]],
        ),
    ],
)
def test_experts_are_where_they_are_put_and_the_run_replays(tmp_path, settings, expected):
    folder = small_run(tmp_path, *settings)
    assert held(folder) == expected
    replay(folder)
    asked = what_if(folder, out=tmp_path / "asked")
    replay(asked)
    assert held(asked) == expected


def test_every_policy_runs_over_replicas_and_replays(tmp_path, monkeypatch):
    monkeypatch.setattr("cosim.experiment.Ns3Side", Side)
    monkeypatch.setattr("cosim.experiment.check_scenario", lambda asked: None)
    trace = write_rows(make_rows(2, 4, 3), tmp_path / "trace.parquet")
    policies = [  # this network takes no shares, and of the model nothing was measured
        name for name, kind in POLICIES.items() if not (kind.allocates or kind.needs_calibration)
    ]
    settings = [f"model.routing={trace}", "placement.experts=ranked", "placement.replicas=2"]
    folder = experiment.run(config.load(None, settings, policies), out=tmp_path / "run")
    replay(folder)
    where = held(folder)
    with closing(Journal.open(folder)) as journal:
        rows = journal.rows(
            "SELECT layer, chosen_experts, chosen_devices FROM routing JOIN exchanges USING (variant, exchange)"
        )
    for layer, experts, devices in rows:
        pairs = zip(np.frombuffer(experts, "<i2").tolist(), np.frombuffer(devices, "<i2").tolist(), strict=True)
        assert all(expert in where[device][layer] for expert, device in pairs if expert < EXPERTS)


def test_the_report_says_shortly_where_experts_are(ranked):
    with closing(Journal.open(ranked)) as journal:
        summaries = summarise(journal)
    console = Console(file=io.StringIO(), width=160)
    print_report(summaries, console)
    assert console.file.getvalue().count("3 a layer") == 4
    assert console.file.getvalue().count("2 a layer") == 2


def test_a_device_without_room_is_refused_with_what_it_lacks():
    asked = config.load(None, ["devices.hardware=['jetson-agx-orin', 'jetson-orin-nano']", "devices.weight_bits=32"])
    layers, most = 12, 8 * 2**30
    own = replace_layers(layers)
    needs = 4 * layers * 3 * 4096 * 14336 * 4
    with pytest.raises(RequestError) as caught:
        fleet_of(asked, own, 2, None)
    assert caught.value.field == "placement.experts"
    assert f"device 1, jetson-orin-nano, needs {needs:,} bytes" in caught.value.reason
    assert f"{needs - most:,} are lacking" in caught.value.reason
    mended = replace(asked, placement=config.Placement(experts="memory"))
    counts = np.sum([layer.holds.sum(axis=0) for layer in fleet_of(mended, own, 2, None).placement.layers], axis=0)
    assert counts[1] * 3 * 4096 * 14336 * 4 <= most


def replace_layers(layers: int) -> ModelShape:
    return ModelShape(**{**SHAPE, "decoder_layers": layers, "moe_layers": tuple(range(layers))})


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        (["placement.experts=rankd"], "placement.experts", "did you mean ranked?"),
        (["placement.experts=ranked", "placement.routing=nowhere"], "placement.routing", "nowhere does not exist"),
        (["placement.routing=AT"], "placement.routing", "leave it out"),
        (["placement.replicas=0"], "placement.replicas", ">= 1"),
        (["placement.replicas=2", "placement.experts=[0, 1]"], "placement.replicas", "belongs to a rule"),
        (["placement.layers=[[0]]", "placement.experts=[0]"], "placement.layers", "give one of them"),
        (["placement.layers=[[0, 1]]"], "placement.layers[0]", "names 2 devices for 8 experts"),
        (["placement.experts=[0, 1, 2, [], 4, 5, 6, 7]"], "placement.experts[3]", "names no device"),
        (["placement.experts=[0, 1, 2, [3, 3], 4, 5, 6, 7]"], "placement.experts[3]", "or one twice"),
        (["placement.experts=[0, 1, 2, [0, 9], 4, 5, 6, 7]"], "placement.experts[3]", "device 9 is none"),
        (["placement.layers=[[0, 1, 2, 3, 4, 5, 6, 9]]"], "placement.layers[0][7]", "device 9 is none"),
    ],
)
def test_a_placement_that_cannot_be_is_told_before_anything_is_loaded(tmp_path, settings, field, words):
    trace = write_rows(make_rows(), tmp_path / "trace.parquet")
    with pytest.raises(RequestError) as caught:
        check_for_eight(config.load(None, [setting.replace("AT", str(trace)) for setting in settings]))
    assert caught.value.field == field
    assert words in caught.value.reason


def test_ranked_without_routing_goes_by_the_models_calibration():
    table = calibration_of(config.load(None, ["placement.experts=ranked"]))["calibration"]
    worth = decoded(table)
    asked = config.load(None, ["placement.experts=ranked"])
    own = ModelShape(**{**SHAPE, "decoder_layers": 6, "moe_layers": tuple(range(6))})
    near = [(3 * device % 8 + 1) * 1e-6 for device in range(8)]  # the links decide, not the hardware
    placement = fleet_of(asked, own, 8, near, worth).placement
    harm = worth.popularity * worth.distance[:, :, -1] ** 2
    for layer, row in zip(placement.layers, harm, strict=True):
        assert layer.device_of[np.argsort(-row)].tolist() == np.argsort(near).tolist()


def test_ranked_without_anything_to_go_by_is_told(tiny_model):
    with pytest.raises(RequestError, match="name recorded routing of this model, or else: there is no calib") as caught:
        calibration_of(config.load(None, ["placement.experts=ranked", f"model.path={tiny_model}"]))
    assert caught.value.field == "placement.routing"


def check_for_eight(asked: config.Config) -> None:
    check(asked)
    check_devices(asked, 8)


def test_layers_and_routing_of_another_model_are_told(tmp_path):
    asked = config.load(None, [f"placement.layers={[[0] * 8]}"])
    with pytest.raises(RequestError, match="lists for 1 layers, and the model has 3 with experts"):
        fleet_of(asked, OWN, 1, None)
    trace = write_rows(make_rows(), tmp_path / "trace.parquet")
    asked = config.load(None, ["placement.experts=ranked", f"placement.routing={trace}"])
    with pytest.raises(RequestError, match="has 8 experts in 3 layers, and the model 8 experts in 6 layers"):
        fleet_of(asked, replace_layers(6), 1, [1e-6])
    (tmp_path / "text").write_text("no routing")
    asked = config.load(None, ["placement.experts=ranked", f"placement.routing={tmp_path}/text"])
    with pytest.raises(RequestError, match=r"placement\.routing: .* is no Parquet file"):
        fleet_of(asked, OWN, 1, [1e-6])


def test_a_device_out_of_reach_comes_last():
    trace_free = config.load(None, ["placement.experts=ranked", "model.routing=none"])
    with pytest.raises(Diverged, match="the nearness of 2 devices was recorded, and there are 3"):
        fleet_of_trace(trace_free, [1e-6, None], 3)
    placement = fleet_of_trace(trace_free, [1e-6, None, 2e-6, 3e-6], 4, experts=3)
    assert not placement.layers[0].holds[:, 1].any()


def fleet_of_trace(asked, near, devices, experts=8):
    """The placement of made-up routing of so many experts."""
    with pytest.MonkeyPatch.context() as patch:
        importance = np.arange(1.0, 1 + LAYERS * experts).reshape(LAYERS, experts)
        patch.setattr(RoutingTrace, "read", lambda path: type("Trace", (), {"importance": lambda self: importance})())
        own = ModelShape(**{**SHAPE, "experts": experts, "moe_layers": tuple(SHAPE["moe_layers"])})
        return fleet_of(asked, own, devices, near).placement
