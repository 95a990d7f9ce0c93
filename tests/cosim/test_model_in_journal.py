# SPDX-License-Identifier: Apache-2.0
"""What a journal says of the model that ran: enough to find it, and to compute its perplexity again."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from cosim.record.journal import Journal
from cosim.results.summary import summarise
from model_side.record_routing import model_digest
from tests.support.cosim_process import cosim


@pytest.fixture
def arguments(fixed_server, tiny_model, tmp_path) -> list[str]:
    """Of a run on the closed-form network, of prompts one a line."""
    lines = [{"text": "It is a truth universally acknowledged"}, {"tokens": [5, 80, 200]}]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    settings = [f"workload.text={tmp_path}/prompts.jsonl", "workload.requests=2", "workload.new_tokens=4"]
    settings += ["radio.scenario=fixed", "radio.devices=4", f"model.path={tiny_model}"]
    given = ["run", "--connect", fixed_server, "--out", str(tmp_path / "run")]
    for setting in settings:
        given += ["--set", setting]
    return given


def changed(model: Path, folder: Path, name: str, tensor: torch.Tensor) -> Path:
    """A copy of a model's folder with one weight more, or another in its place."""
    shutil.copytree(model, folder)
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, name: tensor}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_the_perplexity_of_a_run_can_be_computed_again_from_its_folder(arguments, tiny_model, tmp_path):
    done = cosim(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    journal = Journal.open(tmp_path / "run")
    weights = json.loads(journal.meta("weights"))
    assert weights["sha256"] == model_digest(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert weights["loaded"] == sorted(model.state_dict())
    nll, scored = 0.0, 0
    prompts = json.loads(journal.meta("prompts"))
    assert [5, 80, 200] in prompts
    for prompt in prompts:
        ids = torch.tensor([prompt])
        with torch.no_grad():
            nll += float(model(ids, labels=ids).loss) * (len(prompt) - 1)
        scored += len(prompt) - 1
    (variant,) = summarise(journal)
    journal.close()
    assert variant.quality is not None
    assert variant.quality.perplexity == pytest.approx(float(torch.tensor(nll / scored).exp()), rel=1e-5)


def test_stored_weights_without_use_are_told(arguments, tiny_model, tmp_path):
    other = changed(tiny_model, tmp_path / "model", "mtp.layers.0.w", torch.zeros(3))
    done = cosim(*arguments, "--set", f"model.path={other}")
    assert done.returncode == 0
    assert "1 of the stored weights belong to no part of the model, the first of them mtp.layers.0.w" in done.stdout


@pytest.mark.parametrize("quality", ["true", "false"])
def test_a_model_whose_numbers_are_none_ends_with_a_sentence_and_leaves_no_folder(
    arguments, tiny_model, tmp_path, quality
):
    other = changed(tiny_model, tmp_path / "model", "lm_head.weight", torch.full((260, 32), torch.nan))
    done = cosim(*arguments, "--set", f"model.path={other}", "--set", f"quality={quality}")
    assert done.returncode == 2
    assert "does not give finite numbers: the logits after two tokens" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_in_which_they_come_to_be_none_keeps_what_was_recorded(arguments, tiny_model, tmp_path):
    """Of a token that the check at the beginning does not see; resuming says the same again."""
    weights = load_file(tiny_model / "model.safetensors")["model.embed_tokens.weight"].clone()
    weights[200] = torch.nan
    other = changed(tiny_model, tmp_path / "model", "model.embed_tokens.weight", weights)
    (tmp_path / "p.jsonl").write_text('{"tokens": [5, 80]}\n{"tokens": [5, 200]}\n', encoding="utf-8")
    settings = [f"workload.text={tmp_path}/p.jsonl", f"model.path={other}", "seeds.prompts=2"]
    for setting in settings:
        arguments += ["--set", setting]
    done = cosim(*arguments)
    assert done.returncode == 2
    said = "the router of MoE layer 0, in prefill at position 0 of request"
    assert said in done.stderr
    again = cosim("resume", tmp_path / "run", "--connect", arguments[arguments.index("--connect") + 1])
    assert (again.returncode, said in again.stderr) == (2, True)
    journal = Journal.open(tmp_path / "run")
    assert journal.rows("SELECT count(*) FROM tokens WHERE request = 0") == [(4,)]
    journal.close()
