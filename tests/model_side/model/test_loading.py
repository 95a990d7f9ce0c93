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
from model_side.model.loading import load, load_model, load_tokenizer
from model_side.model.model_folder import ModelError, causal_models, check_model, is_local, one_line
from model_side.model.moe import SplitModel
from tests.support.small_models import FAMILIES, SIZES, random_prompt, small_model

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
    refused(folder, "is damaged or cut off")
    (folder / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n" * 3)
    refused(folder, "is a pointer of Git LFS")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors"}}')
    refused(folder, "lacks model-1.safetensors")
    (folder / "model.safetensors.index.json").write_text('{"metadata": {}}')
    refused(folder, "index.json has no weight_map, which says what file a weight is in")
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt9"}), encoding="utf-8")
    refused(folder, "has no language model 'gpt9'")
    (folder / "config.json").write_text(json.dumps({"model_type": "mixtrall"}), encoding="utf-8")
    refused(folder, "has no language model 'mixtrall'; did you mean mixtral?")
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt9", "auto_map": {}}), encoding="utf-8")
    refused(folder, "it needs code of its own, which is not run")
    (folder / "config.json").write_text("{}", encoding="utf-8")
    refused(folder, "it has no model_type")
    (folder / "config.json").write_text("{", encoding="utf-8")
    refused(folder, "config.json cannot be read")


def reconfigured(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")


@pytest.mark.usefixtures("no_internet")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_experts_per_tok": 9}, "a token goes to 9 of 8 experts"),
        ({"num_experts_per_tok": 0}, "a token goes to 0 of 8 experts"),
        ({"num_hidden_layers": 2}, r"holds model\.layers\.2\..*, and the model of config.json has 2 layers"),
        ({"num_hidden_layers": 4}, r"lacks weights, the first of them model\.layers\.3\."),
        ({"intermediate_size": 48}, r"down_proj is stored as \[8, 32, 64\], and config.json asks for \[8, 32, 48\]"),
        ({"vocab_size": 200}, r"lm_head.weight is stored as \[160, 32\], and config.json asks for \[200, 32\]"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "GPTQ quantized model requires optimum"),
        ({"quantization_config": {"quant_method": "my-own"}}, "quantised by 'my-own', which is none of"),
    ],
)
def test_a_configuration_of_another_model_is_refused_by_what_differs(
    folder: Path, changes: dict[str, Any], reason: str
):
    reconfigured(folder, **changes)
    refused(folder, reason)


def test_weights_that_the_model_does_not_have_are_refused_in_its_layers_and_told_elsewhere(folder: Path):
    weights = load_file(folder / "model.safetensors")
    more = {"model.layers.0.self_attn.q_proj.bias": torch.zeros(32)}
    save_file(weights | more, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, r"holds model\.layers\.0\.self_attn\.q_proj\.bias, and the model of config.json has no such weight")
    save_file(weights | {"mtp.layers.0.w": torch.zeros(3)}, folder / "model.safetensors", metadata={"format": "pt"})
    split, checkpoint = load(folder, "float32")
    assert checkpoint.unused == ("mtp.layers.0.w",)
    assert checkpoint.loaded == tuple(sorted(split.model.state_dict()))


@pytest.mark.parametrize("scaled", [True, False])
def test_quantised_weights_without_their_configuration_are_refused(folder: Path, scaled: bool):
    weights = load_file(folder / "model.safetensors")
    experts = [name for name in weights if "experts" in name]
    weights |= {name: weights[name].to(torch.float8_e4m3fn) for name in experts}
    if scaled:
        weights |= {f"{name}_scale_inv": torch.ones(1, 1) for name in experts}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, "config.json no quantization_config that says how to read it")


def test_a_folders_own_code_is_not_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Not even if whoever sits at the terminal would say yes."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    ran = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w')", encoding="utf-8")
    own = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model", "AutoTokenizer": ["own.Tok", "own.Tok"]}
    reconfigured(folder, auto_map=own)
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": own, "tokenizer_class": "Own"}))
    load_model(folder)  # by the code of transformers, which has this kind
    with pytest.raises(ModelError):
        load_tokenizer(folder)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("weight_map"), "KeyError 'weight_map'"),
        (
            ValueError("Couldn't from one of:\n  (1) a file\n  (2) another"),
            "Couldn't from one of: (1) a file (2) another",
        ),
        (RuntimeError("\x1b[1mBold\x1b[0m words and more words"), "Bold words and more words"),
        (OSError(), "OSError"),
    ],
)
def test_an_error_is_told_whole_on_one_line(error: Exception, said: str):
    assert one_line(error) == said


def test_a_hub_id_that_cannot_be_fetched_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # otherwise it tries for half a minute
    refused("nobody-at-all/no-such-model", "nobody-at-all/no-such-model is no folder here, and from the hub it")


def test_a_dense_model_in_a_folder_is_refused_by_name(tmp_path: Path):
    config = transformers.LlamaConfig(**SIZES)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    refused(tmp_path, "holds a dense model .llama., without experts")


@pytest.mark.usefixtures("no_internet")
def test_a_folder_without_a_tokenizer_is_refused(folder: Path):
    with pytest.raises(ModelError, match="holds no tokenizer"):
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


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_what_a_folder_says_is_what_the_loaded_model_has(family: str, tmp_path: Path):
    model = small_model(family)
    model.save_pretrained(tmp_path)
    described = check_model(tmp_path)
    assert described.experts in (SplitModel(model).num_experts, None)
    assert described.context_tokens == model.config.max_position_embeddings


def test_the_language_models_are_those_of_transformers():
    """Read from its source, they are what its own table has."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    assert list(causal_models()) == list(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
