# SPDX-License-Identifier: Apache-2.0
"""`cosim models`: what is listed, and what is said of a model that is loaded."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cosim import config
from cosim.cli import app
from cosim.models.checking import Checked, check_model, print_checked
from cosim.models.listing import listed
from cosim.screen.output import console
from model_side.model.loading import load_model
from model_side.model.model_folder import SHIPPED_FOLDER, folder_of
from model_side.model.model_folder import check_model as check_folder
from model_side.wire_profiles import DENSE_PROFILES, WIRE_PROFILES
from tests.support.small_llama import small_llama
from tests.support.small_models import small_model

EIGHT = 8


@pytest.fixture(autouse=True)
def eight_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares a process with ns-3."""
    monkeypatch.setattr("cosim.models.checking.device_count", lambda asked: EIGHT)


def checked(path: object, *settings: str) -> Checked:
    return check_model(config.load({"model": {"path": str(path), "wire_profile": "own"}}, settings))


def test_the_list_has_every_shipped_model_and_every_profile():
    found = listed()
    assert [each["name"] for each in found["wire_profiles"]] == [*WIRE_PROFILES]
    assert [each["name"] for each in found["dense_profiles"]] == [*DENSE_PROFILES]
    folders = sorted(file.parent for file in SHIPPED_FOLDER.parent.glob("*/config.json"))
    assert [folder_of(each["path"]) for each in found["shipped"]] == folders
    for each, folder in zip(found["shipped"], folders, strict=True):
        assert (each["experts"] or None) == check_folder(folder, dense=True).experts
    (ours,) = (each for each in found["shipped"] if each["path"] == "shipped")
    assert ours["parameters"] == load_model().model.num_parameters()
    assert (ours["family"], ours["experts"], ours["top_k"]) == ("mixtral", 8, 2)
    mixtral = found["wire_profiles"][0]
    assert (mixtral["token_bytes"], mixtral["expert_bytes_4"]) == (8192, 3 * 4096 * 14336 * 4.5 / 8)
    assert mixtral["source"] == "mistralai/Mixtral-8x7B-v0.1"


def test_the_list_is_printed_and_is_json_if_asked_for():
    printed, plain = (CliRunner().invoke(app, ["models", *more]) for more in ([], ["--json"]))
    assert (printed.exit_code, json.loads(plain.stdout)) == (0, listed())
    for name in ("shipped", *WIRE_PROFILES, *DENSE_PROFILES, "mistralai/Mixtral-8x22B-Instruct-v0.1"):
        assert name in printed.stdout


def test_a_model_with_experts_is_told_by_its_sizes_and_is_split_exactly(tiny_model: Path):
    found = checked(tiny_model)
    model = small_model("mixtral", vocab_size=260)
    experts = sum(value.numel() for name, value in model.named_parameters() if ".experts." in name)
    matrices = sum(value.numel() for value in model.parameters() if value.dim() > 1)
    assert (found.family, found.architecture, found.experts, found.top_k) == ("mixtral", "MixtralForCausalLM", 8, 2)
    assert (found.moe_layers, found.decoder_layers, found.parameters) == (3, 3, model.num_parameters())
    assert (found.token_bytes, found.expert_bytes) == (32 * 4, experts / 24 * 4.5 / 8)
    assert found.base_station_bytes == 2 * (matrices - experts)
    assert (found.is_exact, found.verdict.split(",")[0]) == (
        True,
        "9 tokens got the unmodified model's logits bit for bit",
    )
    assert [device.experts for device in found.devices] == [3] * EIGHT
    assert sum(device.needs_bytes for device in found.devices) == experts * 4.5 / 8


def test_devices_are_those_of_the_placement_and_what_they_lack_is_told(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
):
    settings = ["model.wire_profile=mixtral-8x22b", "placement.experts=[0,0,0,0,0,0,0,1]", "devices.weight_bits=32"]
    asked = config.load({"model": {"path": str(tiny_model)}}, [*settings, "devices.hardware=jetson-orin-nano"])
    found = check_model(asked)
    size_bytes = 3 * 6144 * 16384 * 4
    assert [device.experts for device in found.devices] == [21, 3, 0, 0, 0, 0, 0, 0]
    assert [device.needs_bytes for device in found.devices][:2] == [21 * size_bytes, 3 * size_bytes]
    print_checked(found, asked, console())
    said = capsys.readouterr().out
    assert f"{(21 * size_bytes - 8 * 2**30) / 1e6:,.1f} MB are lacking" in said
    assert "devices, experts as listed" in said
    assert "a token: 12,288 bytes to an expert" in said
    assert [device.experts for device in checked(tiny_model, "placement.replicas=2").devices] == [6] * EIGHT


def test_a_dense_model_is_none_to_split_and_says_what_it_takes_whole(tiny_model: Path, tmp_path: Path):
    folder = small_llama(tmp_path / "llama", tiny_model)
    done = CliRunner().invoke(app, ["models", str(folder), "--check"])
    assert done.exit_code == 1
    matrices = 2 * 260 * 32 + 3 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64)
    assert f"base station: {2 * matrices:,} bytes in 16 bits, all of it" in done.stdout
    assert "split exactly: no, it has no experts; it can stand beside a model that has" in done.stdout


def test_a_model_that_does_not_obey_is_told_so(tiny_model: Path, monkeypatch: pytest.MonkeyPatch):
    experts = type(small_model("mixtral").model.layers[0].mlp.experts)
    stock_forward = experts.forward
    monkeypatch.setattr(experts, "forward", lambda *arguments: stock_forward(*arguments) + 1)
    found = checked(tiny_model)
    assert not found.is_exact
    assert "do not obey the router's weights" in found.verdict
    assert (found.experts, found.devices) == (0, ())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["models", "--check"], "PATH: say which model"),
        (["models", "shipped"], "--check: is missing"),
        (["models", "/nowhere", "--check"], "model.path: there is no folder /nowhere"),
        (
            ["models", "mixtral-12", "--check"],
            "model.path: there is no folder mixtral-12; give a folder with config.json or a hub id as owner/name; "
            "did you mean mixtral-12m?",
        ),
        (
            ["models", "shipped", "--check", "--set", "placement.experts=ranked"],
            "placement.experts: ranked is measured",
        ),
        (
            ["models", "shipped", "--check", "--set", "devices.hardware=abacus"],
            "devices.hardware: nobody knows 'abacus'",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(arguments: list[str], said: str):
    done = CliRunner().invoke(app, arguments)
    assert str(done.exception).startswith(said)
