# SPDX-License-Identifier: Apache-2.0
"""Models from folders: what loads is the stock model, and what does not load says why."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from bridge.network import RequestError
from model_side.loading import is_local, load_model, load_tokenizer
from model_side.moe import ModelError
from tests.small_models import SIZES, random_prompt, small_model

PROMPT = torch.tensor([random_prompt(24)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_model("mixtral").save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def no_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("the test has no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_internet")
@torch.no_grad()
def test_a_folder_gives_the_model_that_from_pretrained_gives(folder: Path):
    split = load_model(folder)
    stock = transformers.MixtralForCausalLM.from_pretrained(folder).eval()
    with split.routed(lambda gate: (gate.weights, gate.indices)):
        assert torch.equal(split.model(PROMPT).logits, stock(PROMPT).logits)


def test_the_element_type_is_that_asked_for(folder: Path):
    assert load_model(folder, "bfloat16").model.dtype is torch.bfloat16
    with pytest.raises(RequestError, match="'int3' is none of float32, bfloat16, float16") as caught:
        load_model(folder, "int3")
    assert caught.value.field == "model.dtype"


def refused(path: Path | str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        load_model(path)
    assert caught.value.field == "model.path"
    assert "\n" not in caught.value.reason


@pytest.mark.usefixtures("no_internet")
def test_folders_without_a_model_are_refused(folder: Path, tmp_path: Path):
    refused(tmp_path / "nowhere", "there is no folder .*nowhere")
    refused(tmp_path, "holds no model: it has no config.json")
    (folder / "model.safetensors").rename(tmp_path / "gone")
    refused(folder, r"holds no weights: neither \*\.safetensors nor \*\.bin")


@pytest.mark.usefixtures("no_internet")
def test_damaged_models_are_refused(folder: Path):
    weights = load_file(folder / "model.safetensors")
    lacking = {name: tensor for name, tensor in weights.items() if name != "model.norm.weight"}
    save_file(lacking, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, r"lacks weights, the first of them model\.norm\.weight")
    (folder / "model.safetensors").write_bytes(b"x" * 100)
    refused(folder, "does not load")
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt9"}), encoding="utf-8")
    refused(folder, "does not load.*gpt9")
    (folder / "config.json").write_text("{", encoding="utf-8")
    refused(folder, "does not load")


def test_a_hub_id_that_cannot_be_fetched_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # otherwise it tries for half a minute
    refused("nobody-at-all/no-such-model", "nobody-at-all/no-such-model is no folder here, and from the hub it")


def test_a_dense_model_in_a_folder_is_refused_by_name(tmp_path: Path):
    config = transformers.LlamaConfig(**SIZES)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    refused(tmp_path, "LlamaForCausalLM has no MoE block")


@pytest.mark.usefixtures("no_internet")
def test_a_folder_without_a_tokenizer_is_refused(folder: Path):
    with pytest.raises(ModelError, match="does not load"):
        load_tokenizer(folder)


@pytest.mark.parametrize("path", ["owner/name", "owner/name-1.5"])
def test_what_may_be_a_hub_id(path: str):
    assert not is_local(path)


@pytest.mark.parametrize("path", ["./owner/name", "/owner/name", "~/name", "name", "a/b/c", "../name"])
def test_what_can_only_be_a_folder(path: str):
    assert is_local(path)


def test_a_folder_that_exists_is_never_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert is_local("owner/name")
