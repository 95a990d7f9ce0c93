# SPDX-License-Identifier: Apache-2.0
"""Mistakes are told before anything is loaded, and while it is: by whichever side finds them, at once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from bridge.endpoint import private_ipc
from bridge.network import RequestError
from cosim import checks, config, experiment
from cosim.ahead import Ahead
from cosim.networks.ns3_side import Ns3Place
from model_side.model.model_folder import SHIPPED_FOLDER
from tests.support.routing_traces import make_rows, write_rows

COSIM = (sys.executable, "-m", "cosim.cli")
SCRIPT = """
from ns3_scenarios.scenario import Scenario
class Mine(Scenario):
    def build(self, ns):
        return None
"""


def check_all(read: config.Config) -> None:
    checks.check(read)
    checks.check_scenario(read)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Models that lack something, as folders of these names."""
    place = tmp_path_factory.mktemp("models")
    for name, lost in (("no-config", "config.json"), ("no-tokenizer", "tokenizer*"), ("no-weights", "*.safetensors")):
        shutil.copytree(SHIPPED_FOLDER, place / name, copy_function=os.symlink)
        for file in (place / name).glob(lost):
            file.unlink()
    shutil.copytree(SHIPPED_FOLDER, place / "unknown-kind", copy_function=os.symlink)
    (place / "unknown-kind" / "config.json").unlink()
    (place / "unknown-kind" / "config.json").write_text(json.dumps({"model_type": "mixtrall"}))
    (place / "short.txt").write_text("Call me Ishmael. " * 10)
    (place / "latin.txt").write_bytes(b"caf\xe9")
    write_rows(make_rows(), place / "routing.parquet")
    return place


MISTAKES = [
    ("devices.hardware=jetson-agx-orim", "devices.hardware", "did you mean jetson-agx-orin?"),
    ("devices.hardware=['jetson-agx-orin', 'abacus']", "devices.hardware", "nobody knows 'abacus'"),
    ("devices.hardware=[]", "devices.hardware", "is empty"),
    ("base_station.hardware=nvidia-l5", "base_station.hardware", "did you mean nvidia-l4?"),
    ("placement.experts=[0, 1]", "placement.experts", "names 2 devices for 8 experts"),
    ("placement.experts=[0, 1, 2, 3, 4, 5, 6, 8]", "placement.experts[7]", "none of the devices 0 to 7"),
    ("model.path=/nowhere", "model.path", "there is no folder /nowhere"),
    ("model.path=AT/no-config", "model.path", "it has no config.json"),
    ("model.path=AT/no-tokenizer", "model.path", "holds no tokenizer"),
    ("model.path=AT/no-weights", "model.path", "holds no weights"),
    ("model.path=AT/unknown-kind", "model.path", "did you mean mixtral?"),
    ("model.wire_profile=onw", "model.wire_profile", "did you mean own?"),
    ("model.routing=AT/short.txt", "model.routing", "is no Parquet file"),
    ("model.routing=AT/nowhere", "model.routing", "does not exist"),
    ("workload.text=AT/nowhere", "workload.text", "is not readable as UTF-8 text"),
    ("workload.text=AT/latin.txt", "workload.text", "is not readable as UTF-8 text"),
    ("workload.text=AT/short.txt", "workload.text", "prompts, not for 4"),
    ("workload.requests=449", "workload.requests", "more than the 448 shipped passages"),
    ("workload.prompt_tokens=2040", "workload.prompt_tokens", "the model's context of 2048"),
    ("workload.prompt_tokens=700", "workload.prompt_tokens", "no shipped passage has 700 tokens"),
    ("policies=['weight-to-latancy']", "policies", "did you mean weight-to-latency?"),
    ("policy.weight-to-latency.threshold=0.3", "policy.weight-to-latency", "has options, but only top-k run"),
    ("radio.scenario=wird", "radio.scenario", "did you mean wired?"),
    ("radio.devces=4", "radio.devces", "did you mean devices?"),
    ("radio.devices=-4", "radio.devices", ">= 1"),
    ("radio.life=[{kind='outage', interval_s=[[0, 1]]}]", "radio.life[0].interval_s", "did you mean intervals_s?"),
    ("radio.background=[{kind='on-of'}]", "radio.background[0].kind", "did you mean on-off?"),
    ("radio.transport=utp", "radio.transport", "there are tcp, udp"),
]


@pytest.mark.parametrize(("setting", "field", "words"), MISTAKES)
def test_a_mistake_is_found_without_loading(folders, setting, field, words):
    read = config.load(None, [setting.replace("AT", str(folders))])
    with pytest.raises(RequestError) as caught:
        check_all(read)
    assert caught.value.field == field
    assert words in caught.value.reason


def test_what_is_right_passes(folders):
    for settings in (
        [],
        ["placement.experts=[0, 0, 0, 0, 1, 1, 1, 1]", "radio.devices=2"],
        ["devices.hardware=['jetson-agx-orin', 'raspberry-pi-5']"],
        [f"workload.text={folders}/short.txt", "workload.requests=1", "workload.prompt_tokens=30"],
        [f"model.routing={folders}/routing.parquet", "placement.experts=[0, 1, 2, 3, 4, 5, 6, 7]"],
        ["model.path=owner/name"],
        [
            "policies=['weight-to-latency']",
            "policy.weight-to-latency.threshold=0.3",
            "workload.prompt_tokens=570",
            "workload.requests=448",
        ],
    ):
        read = config.load(None, settings)
        check_all(read)


def test_neither_torch_nor_ns3_is_loaded_for_it(folders):
    """In a run from its beginning to the refusal; that of the scenario comes last."""
    program = (
        "import sys\nfrom cosim import cli\nsys.argv = ['cosim', 'run', '--set', 'radio.devces=4']\n"
        "code = cli.run_command()\n"
        "print(code, [name for name in ('torch', 'transformers', 'cppyy', 'ns3_scenarios') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "2 []\n"


def test_what_ns3_refuses_is_told_while_the_model_is_still_loading(monkeypatch, tmp_path):
    loading, loaded = threading.Event(), threading.Event()

    def load(_config):
        loading.set()
        loaded.wait(60)
        raise RequestError("model.path", "was waited for")

    monkeypatch.setattr(experiment, "serving_of", load)
    # A script's parameters are for the ns-3 side to refuse.
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT)
    asked = config.load(None, ["radio.seats=3"], scenario=str(script))
    try:
        with pytest.raises(RequestError) as caught:
            experiment.run(asked, out=tmp_path / "run")
        assert caught.value.field == "radio.seats"
        assert loading.is_set()
    finally:
        loaded.set()
    assert not (tmp_path / "run").exists()


def test_what_is_wrong_with_the_model_is_told_while_ns3_is_still_waited_for(monkeypatch, tmp_path):
    def load(_config):
        raise RequestError("model.path", "does not load")

    monkeypatch.setattr(experiment, "serving_of", load)
    before = set(psutil.Process().children(recursive=True))  # of other tests in this process
    with private_ipc() as nobody, pytest.raises(RequestError, match="does not load"):
        experiment.run(config.load(None, []), out=tmp_path / "run", at=Ns3Place(connect=nobody))
    assert not (tmp_path / "run").exists()
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_ns3_starts_and_the_model_loads_ends_both(tmp_path, number):
    command = [*COSIM, "run", "--scenario", "wired", "--out", str(tmp_path / "a" / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "starting ns-3 and loading the model" in process.stdout.readline()
        children = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, number)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "cosim: stopped by the user\n")
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    assert list(tmp_path.iterdir()) == []


def test_work_ahead_gives_what_it_gives_and_raises_what_it_raises():
    gate = threading.Event()
    work = Ahead(lambda: gate.wait(60) and "done")
    work.check()
    gate.set()
    assert work.result() == "done"
    broken = Ahead(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken.result()
    with pytest.raises(ZeroDivisionError):
        broken.check()
