# SPDX-License-Identifier: Apache-2.0
"""lm-evaluation-harness over links: under top-k its own Hugging Face model's scores, to the last digit."""

import json
from functools import partial

import pytest
import torch

pytest.importorskip("lm_eval", reason="the extra eval is not installed")

from bridge.network import RequestError
from model_side.model.harness import HarnessRun, RoutedLM, _quiet
from model_side.model.loaded_model import load_here
from model_side.model.loading import load_model, load_tokenizer
from model_side.selection import Phase
from tests.model_side.model.test_asking import base_station_over
from tests.support.fixed_network import FixedNetwork

ROWS = [
    {"context": "It was the best of times, it was the", "choices": [" worst", " best of all times"], "answer": 0},
    {"context": "Call me", "choices": [" Ishmael", " a", " the"], "answer": 0},
    {"context": "And God said, Let there be", "choices": [" light", " dark"], "answer": 0},
]
HEAD = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: {kind}
"""
TASKS = {
    "choices": (
        "multiple_choice",
        'doc_to_text: "{{context}}"\ndoc_to_choice: "{{choices}}"\ndoc_to_target: answer\ntarget_delimiter: ""\n'
        "metric_list: [{metric: acc}, {metric: acc_norm}]\n",
    ),
    "written": (
        "generate_until",
        'doc_to_text: "{{context}}"\ndoc_to_target: "{{choices[0]}}"\nmetric_list: [{metric: exact_match}]\n'
        'generation_kwargs: {until: ["."], max_gen_toks: 4}\n',
    ),
    "rolling": (
        "loglikelihood_rolling",
        'doc_to_text: ""\ndoc_to_target: "{{context}}"\n'
        "metric_list: [{metric: word_perplexity}, {metric: byte_perplexity}]\n",
    ),
}


@pytest.fixture
def tasks(tmp_path, monkeypatch) -> list[str]:
    """A YAML task of each kind, on a local file, with the harness's cache apart and no network."""
    for name, value in (("HF_DATASETS_CACHE", tmp_path / "cache"), ("HF_HUB_OFFLINE", 1), ("HF_DATASETS_OFFLINE", 1)):
        monkeypatch.setenv(name, str(value))
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for name, (kind, rest) in TASKS.items():
        (tmp_path / f"{name}.yaml").write_text(HEAD.format(name=name, file=data, kind=kind) + rest)
    return [str(tmp_path / f"{name}.yaml") for name in TASKS]


def test_scores_over_links_are_those_of_the_harness_s_own_model(tasks):
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    torch.set_num_threads(1)
    split, tokenizer = load_model(), load_tokenizer()
    network = FixedNetwork(devices=8)
    over_links = _quiet(RoutedLM, split, tokenizer, base_station_over(split, network))
    own = _quiet(HFLM, pretrained=load_model().model, tokenizer=tokenizer, batch_size=1)
    folder = tasks[0].rpartition("/")[0]
    ask = partial(simple_evaluate, tasks=list(TASKS), bootstrap_iters=0, log_samples=True)
    mine, theirs = (
        _quiet(ask, model=lm, task_manager=TaskManager(include_path=folder, include_defaults=False))
        for lm in (over_links, own)
    )
    assert mine["results"] == theirs["results"]
    for name in TASKS:
        pairs = zip(mine["samples"][name], theirs["samples"][name], strict=True)
        assert all(one["resps"] == other["resps"] for one, other in pairs)
    assert network.exchanges == 6 * len(over_links.records)
    assert over_links.requests == 6 + 3 + 3  # choices of one token that differ share theirs, texts, generated answers


def test_a_run_of_the_harness_has_its_measures_as_items(tasks):
    run = HarnessRun(load_here("shipped", "float32", 1), tasks, 2, reference=True)
    assert list(run.record["tasks"]) == list(TASKS)
    network = FixedNetwork(devices=8, dead=0)
    tokens = list(run.serve(base_station_over(load_model(), network, deadline_ns=10**8)))
    assert len(tokens) * 6 == network.exchanges
    assert [token.request for token in tokens] == sorted(token.request for token in tokens)
    items = tokens[-1].items
    assert [(item.task, item.line) for item in items] == [(name, line) for name in TASKS for line in (0, 1)]
    choices, rolling = items[0], items[-1]
    assert choices.scores.keys() == {"acc", "acc_norm"}
    assert rolling.scores.keys() == {"nll_nats", "words", "bytes"}
    assert rolling.scores["nll_nats"][0] != rolling.scores["nll_nats"][1]
    assert rolling.scores["words"] == (2, 2)
    again = list(run.serve(base_station_over(load_model(), FixedNetwork(devices=8, dead=0), deadline_ns=10**8)))
    assert again == tokens


def test_a_generated_answer_is_a_prefill_and_then_token_by_token(tasks):
    split = load_model()
    records = []
    lm = _quiet(RoutedLM, split, load_tokenizer(), base_station_over(split, FixedNetwork(devices=8), records=records))
    context = torch.tensor([[0, 5, 6, 7]])
    with torch.no_grad():
        lm._model_generate(context, 7, [])
    assert [(each.phase, each.position, each.tokens) for each in records[::6]] == [
        (Phase.PREFILL, 0, 4),
        (Phase.DECODE, 4, 1),
        (Phase.DECODE, 5, 1),
    ]
    assert [(each.request, each.position) for each in lm.records] == [(0, 4), (0, 5), (0, 6)]


def test_what_is_no_task_is_refused_by_name(tmp_path, tasks):
    (tmp_path / "broken.yaml").write_text("task: [")
    for name, words in (
        (str(tmp_path / "broken.yaml"), "is no task of the harness"),
        (str(tmp_path / "missing.yaml"), "is no task of the harness: FileNotFoundError"),
        ("no_such_task_at_all", "no_such_task_at_all cannot be loaded by the harness"),
    ):
        with pytest.raises(RequestError, match=f"workload.lm_eval: .*{words}"):
            HarnessRun(load_here("shipped", "float32", 1), [name], 1, reference=True)


def test_several_sequences_at_once_are_no_request():
    split = load_model()
    lm = _quiet(RoutedLM, split, load_tokenizer())
    with pytest.raises(RequestError, match="asks for several sequences at once"):
        lm._model_call(torch.zeros(2, 3, dtype=torch.long))


def test_an_item_that_is_a_choice_is_encoded_as_the_harness_encodes_it():
    from model_side.model.task_run import encoder_of

    split, tokenizer = load_model(), load_tokenizer()
    lm = _quiet(RoutedLM, split, tokenizer)
    encoder = encoder_of(split, tokenizer)
    for context, choice in (("Call me ", "Ishmael"), ("Call me", " Ishmael"), ("", "Ishmael"), ("Call\n\n", "  me")):
        theirs = lm._encode_pair(context, choice) if context else ([0], lm.tok_encode(choice, add_special_tokens=False))
        assert encoder.pair(context, choice) == tuple(theirs)


def test_a_harness_run_of_one_s_own_is_journaled(tasks, tmp_path, ns3_server):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from cosim.evaluation.harness import run_harness
    from cosim.networks.ns3_side import Ns3Place
    from cosim.results.summary import summarise

    manager = TaskManager(include_path=tasks[0].rpartition("/")[0], include_defaults=False)
    ask = partial(simple_evaluate, tasks=["choices"], num_fewshot=0, bootstrap_iters=0, task_manager=manager)
    config = {"radio": {"scenario": "wired", "devices": 4}, "policies": ["top-k", "weight-to-latency"]}
    folder, results = run_harness(lambda lm: _quiet(ask, lm), config, out=tmp_path / "run", at=Ns3Place(ns3_server))
    assert [result["n-samples"]["choices"]["effective"] for result in results] == [3, 3]
    assert [len(variant.ttft_s) for variant in summarise(folder)] == [6, 6]
