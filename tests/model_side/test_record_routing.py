# SPDX-License-Identifier: Apache-2.0
"""The recorder writes what our own interception sees, of every family, and needs nothing of ours."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from model_side.model.inference import Request, generate
from model_side.model.loaded_model import shape_of
from model_side.model.loading import SHIPPED_FOLDER
from model_side.model.moe import GateOutput, SplitModel
from model_side.record_routing import Unrecordable, main, record
from model_side.routing_trace import RoutingTrace
from tests.support.small_models import FAMILIES, random_prompt, small_model

RECORDER = Path("model_side/record_routing.py")
PROMPTS = [random_prompt(6, seed=1), random_prompt(9, seed=2)]
NEW_TOKENS = 4


class Listener:
    """In a base station's place: leaves all as it is and remembers what the routers gave."""

    def __init__(self):
        self.passes = []

    def begin(self, phase, request, position):
        self.passes.append(((phase.value, request, position), []))
        return 0

    def finish(self):
        return 0

    def route(self, gate):
        self.passes[-1][1].append(gate)
        return gate.weights, gate.indices


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_and_experts_are_those_that_the_interception_sees(family, tmp_path):
    path = tmp_path / "t.parquet"
    record(small_model(family), family, PROMPTS, NEW_TOKENS, path)
    trace = RoutingTrace.read(path)
    split, listener = SplitModel(small_model(family)), Listener()
    requests = [Request(prompt, NEW_TOKENS) for prompt in PROMPTS]
    tokens = list(generate(split, listener, requests, reference=False))
    assert trace.shape == shape_of(split)
    assert trace.next_token.tolist() == [token.token_id for token in tokens]
    begins = zip(trace.request.tolist(), trace.position.tolist(), strict=True)
    shown = [(trace.phase(number).value, *begin) for number, begin in enumerate(begins)]
    assert shown == [begin for begin, _ in listener.passes]
    gates = [gate for _, layers in listener.passes for gate in layers]
    assert len(gates) == len(trace.begin) - 1
    for gate, begin, end in zip(gates, trace.begin, trace.begin[1:], strict=False):
        np.testing.assert_array_equal(trace.weights[begin:end], gate.weights)
        np.testing.assert_array_equal(trace.experts[begin:end], gate.indices)
        np.testing.assert_array_equal(trace.probabilities[begin:end], gate.probabilities)


def test_the_columns_tell_the_tokens_as_generate_does(tmp_path):
    model = small_model("mixtral")
    record(model, "tiny", PROMPTS, NEW_TOKENS, tmp_path / "t.parquet", probabilities=False)
    rows = pd.read_parquet(tmp_path / "t.parquet")
    assert "probabilities" not in rows
    for request, prompt in enumerate(PROMPTS):
        ids = torch.tensor([prompt])
        whole = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS, do_sample=False)
        for _, layer in rows[rows.request == request].groupby("layer"):
            assert layer.position.tolist() == list(range(len(prompt) + NEW_TOKENS - 1))
            assert layer.token.tolist() == whole[0, :-1].tolist()
            assert layer.next_token.tolist() == whole[0, 1:].tolist()
    with_hooks = [module for module in model.modules() if module._forward_hooks]
    assert not with_hooks


def test_the_weights_are_the_routers_definition(tmp_path):
    """Mixtral: the two largest of the softmax over the router's logits, made to sum to 1."""
    model = small_model("mixtral")
    record(model, "tiny", PROMPTS[:1], 1, tmp_path / "t.parquet")
    logits = model(torch.tensor([PROMPTS[0]]), output_router_logits=True).router_logits
    expected = torch.stack([layer.softmax(dim=-1) for layer in logits]).flatten(0, 1)
    best = expected.topk(2)
    trace = RoutingTrace.read(tmp_path / "t.parquet")
    np.testing.assert_allclose(trace.probabilities, expected.detach(), rtol=1e-5)
    np.testing.assert_array_equal(trace.experts, best.indices)
    weights = best.values / best.values.sum(dim=1, keepdim=True)
    np.testing.assert_allclose(trace.weights, weights.detach(), rtol=1e-5)


def test_what_is_no_moe_model_is_refused(tmp_path):
    import transformers

    sizes = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config = transformers.LlamaConfig(num_attention_heads=2, **sizes)
    with pytest.raises(Unrecordable, match="LlamaForCausalLM has no MoE block"):
        record(transformers.LlamaForCausalLM(config), "dense", PROMPTS, 1, tmp_path / "t.parquet")
    old = small_model("mixtral")
    old.model.layers[0].mlp.gate.register_forward_hook(lambda *given: given[-1][0])
    with pytest.raises(Unrecordable, match="does not return logits, weights and indices; is transformers 5"):
        record(old, "old", PROMPTS, 1, tmp_path / "t.parquet")
    assert not (tmp_path / "t.parquet").exists()


def recorder(folder, *arguments):
    """The recorder copied to where nothing else of ours is but the file beside it."""
    for file in (RECORDER, RECORDER.with_name("model_sizes.py")):
        shutil.copy(file, folder)
    command = [sys.executable, "-P", RECORDER.name, *map(str, arguments)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "HF_HUB_OFFLINE": "1"}
    blocked = "import sys; sys.modules.update(dict.fromkeys(('bridge', 'cosim', 'model_side')))\n"
    (folder / "sitecustomize.py").write_text(blocked)
    environment["PYTHONPATH"] = str(folder)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def without(libraries, arguments):
    """The recorder's command line in a process in which no such library can be imported."""
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({libraries}))\nfrom model_side.record_routing import main\n"
    )
    command = [sys.executable, "-c", f"{program}main({arguments})"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_two_copied_files_record_the_shipped_model_on_its_own(tmp_path):
    prompts = [{"text": "The river was high that spring, and the ferry did not run."}, {"tokens": [5, 6, 7]}]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, prompts)))
    done = recorder(tmp_path, SHIPPED_FOLDER.absolute(), "prompts.jsonl", "out.parquet", "--new-tokens", 3)
    assert done.returncode == 0, done.stderr
    trace = RoutingTrace.read(tmp_path / "out.parquet")
    assert trace.model == str(SHIPPED_FOLDER.absolute())
    assert trace.tokens[0] > 8
    assert trace.tokens[1:].tolist() == [1, 1, 3, 1, 1]
    text = tmp_path / "text.txt"
    text.write_text("It was the best of times, it was the worst of times. " * 9)
    sizes = ("--new-tokens", 1, "--prompt-tokens", 20, "--requests", 2, "--no-probabilities")
    done = recorder(tmp_path, SHIPPED_FOLDER.absolute(), text, "out.parquet", *sizes)
    assert done.returncode == 0, done.stderr
    assert RoutingTrace.read(tmp_path / "out.parquet").tokens.tolist() == [20, 20]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"text": "a"}\n{"txt": "a"}\n', "prompts.jsonl, line 2: is no JSON object with text or tokens"),
        ("a line\n", "line 1: is no JSON object"),
        ('{"text": 5}\n', "line 1: is no JSON object with text or tokens"),
        ('{"tokens": [1, -1]}\n', "line 1: is no JSON object with text or tokens"),
        ('{"tokens": [1, "a"], "text": "a"}\n', "line 1: is no JSON object with text or tokens"),
    ],
)
def test_bad_prompts_are_named_before_anything_is_loaded(tmp_path, content, words):
    (tmp_path / "prompts.jsonl").write_text(content)
    given = ["/no/model", str(tmp_path / "prompts.jsonl"), str(tmp_path / "out.parquet")]
    done = without(("torch", "transformers", "pyarrow"), given)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "prompts.jsonl has no prompt, or an empty one"),
        ('{"tokens": []}\n', "prompts.jsonl has no prompt, or an empty one"),
        ('{"tokens": [3, 99999]}\n', "prompts.jsonl has the token 99999; those of the model are below "),
    ],
)
def test_prompts_that_the_model_cannot_take_are_named(tmp_path, capsys, content, words):
    (tmp_path / "prompts.jsonl").write_text(content)
    with pytest.raises(SystemExit) as ended:
        main([str(SHIPPED_FOLDER), str(tmp_path / "prompts.jsonl"), str(tmp_path / "out.parquet")])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_help_needs_no_libraries_but_numpy():
    done = without(("torch", "transformers", "pyarrow"), ["--help"])
    assert (done.returncode, "--no-probabilities" in done.stdout) == (0, True)


def test_a_gate_is_read_in_double_precision_or_half_alike():
    from model_side.model.inference import routed_by

    listener = Listener()
    listener.passes.append((None, []))
    logits = torch.tensor([[1.0, 3.0, 2.0]], dtype=torch.bfloat16)
    output = GateOutput(0, logits, torch.tensor([[0.75, 0.25]], dtype=torch.bfloat16), torch.tensor([[1, 2]]))
    assert routed_by(listener)(output) == (output.weights, output.indices)
    gate = listener.passes[0][1][0]
    assert (gate.weights.dtype, gate.indices.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(gate.probabilities, logits.float().softmax(dim=1), rtol=1e-6)
