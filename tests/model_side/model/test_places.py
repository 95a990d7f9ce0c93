# SPDX-License-Identifier: Apache-2.0
"""Checkpoints as they really come: in shards, in 16 bits, with experts that stay on disk."""

from pathlib import Path

import pytest
import torch
import transformers

from bridge.network import RequestError
from model_side.element import Element
from model_side.model.inference import routed_by
from model_side.model.loading import Place, load
from model_side.model.wire import carried_by
from model_side.selection import Phase
from tests.support.base_stations import serving
from tests.support.small_models import random_prompt, small_model

PROMPT = torch.tensor([random_prompt(24)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_model("qwen3_moe").to(torch.bfloat16).save_pretrained(tmp_path / "model", max_shard_size="20KB")
    return tmp_path / "model"


def test_shards_of_16_bits_give_the_model_that_was_saved(folder: Path):
    assert len(list(folder.glob("*-of-*.safetensors"))) > 3
    split, checkpoint = load(folder, "bfloat16")
    assert checkpoint.dtype == "bfloat16"
    stock = transformers.Qwen3MoeForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    assert torch.equal(split.forward(PROMPT, None, "a prompt")[0], stock(PROMPT).logits[0])
    saved = small_model("qwen3_moe").to(torch.bfloat16).state_dict()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in split.model.state_dict().items())


@pytest.mark.parametrize("place", [Place("auto"), Place("cpu", "disk")], ids=str)
def test_where_the_weights_lie_changes_nothing(folder: Path, place: Place):
    pytest.importorskip("accelerate")
    split, _ = load(folder, "bfloat16", place)
    plain, _ = load(folder, "bfloat16")
    assert torch.equal(split.forward(PROMPT, None, "a prompt")[0], plain.forward(PROMPT, None, "a prompt")[0])
    devices = {parameter.device.type for block in split.blocks for parameter in block.experts.parameters()}
    assert devices == {"meta" if place.experts == "disk" else "cpu"}
    carried = []
    for each in (split, plain, split):
        base_station = serving(each)
        base_station.begin(Phase.PREFILL, 0, 0)
        with each.routed(routed_by(base_station), carried_by(base_station, Element.INT8, torch.bfloat16)):
            carried.append(each.forward(PROMPT, None, "a prompt")[0])
    assert torch.equal(carried[0], carried[1])
    assert torch.equal(carried[0], carried[2])


@pytest.mark.parametrize(
    ("place", "field", "reason"),
    [
        (Place("gpu"), "model.device", "'gpu' is none of cpu, auto, cuda and cuda:N"),
        (Place("cuda:99"), "model.device", "cuda:99: PyTorch finds .* CUDA devices here"),
        (Place("auto", "disk"), "model.experts", "with experts on disk the rest is on one device"),
    ],
)
def test_places_that_there_are_not_are_refused(folder: Path, place: Place, field: str, reason: str):
    pytest.importorskip("accelerate")
    with pytest.raises(RequestError, match=reason) as caught:
        load(folder, "bfloat16", place)
    assert caught.value.field == field


def test_without_accelerate_what_needs_it_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("model_side.model.loading.find_spec", lambda _: None)
    with pytest.raises(RequestError, match=r"pip install 'wdmoe-cosim\[checkpoints\]'") as caught:
        load(folder, "bfloat16", Place("cpu", "disk"))
    assert caught.value.field == "model.experts"
