# SPDX-License-Identifier: Apache-2.0
"""A dense model beside the policies of a run: its answers, its times, its record."""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from bridge.network import RequestError
from cosim import config
from cosim.baseline import layers_of
from cosim.checks import check
from cosim.errors import Diverged
from cosim.experiment import replay, resume, run, what_if
from cosim.record.journal import Journal
from cosim.reporting.cases import load
from cosim.reporting.comparing import compare
from cosim.reporting.making import make
from cosim.reporting.page.table import table
from cosim.reporting.timeline import write as write_timeline
from cosim.results.summary import summarise
from cosim.screen.display import Silence
from model_side.hardware.profiles import PROFILES, attention_work, expert_work, lm_head_work
from model_side.wire_profiles import DENSE_PROFILES, WIRE_PROFILES
from tests.support.cosim_process import cosim
from tests.support.small_llama import small_llama
from tests.support.small_run import Side

PROMPT, NEW = 8, 3
DEFAULT_PROMPTS = ("requests=4", "prompt_tokens=64", "new_tokens=16", "text=shipped")
Start = Callable[..., Path]


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    return small_llama(tmp_path_factory.mktemp("dense") / "tiny-llama", tiny_model)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, dense: Path) -> list[str]:
    text = tmp_path_factory.mktemp("text") / "text.txt"
    text.write_text("It is a truth universally acknowledged, that a single man in possession of a good fortune. " * 9)
    sizes = {"requests": 2, "prompt_tokens": PROMPT, "new_tokens": NEW, "text": text}
    return [
        *(f"workload.{key}={value}" for key, value in sizes.items()),
        *("radio.scenario=fixed", f"model.path={tiny_model}", f"model.baseline={dense}", "base_station.boards=6"),
    ]


@pytest.fixture(scope="module", autouse=True)
def closed_form() -> Iterator[None]:
    """Runs of this process are on a network of closed form."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cosim.experiment.Ns3Side", Side)
        patch.setattr("cosim.experiment.check_scenario", lambda asked: None)  # ns-3 knows no such one
        yield


@pytest.fixture
def start(tmp_path: Path, settings: list[str]) -> Start:
    """Runs it in a folder named."""

    def begin(name: str, *more: str, policies: tuple[str, ...] = ("top-k",), **options: Any) -> Path:
        return run(config.load(None, [*settings, *more], policies), out=tmp_path / name, **options)

    return begin


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, settings: list[str]) -> Path:
    """A run of two policies."""
    return run(config.load(None, settings, ["top-k", "fastest"]), out=tmp_path_factory.mktemp("runs") / "finished")


def tokens_of(journal: Journal, variant: int, request: int) -> list[int]:
    query = "SELECT token FROM tokens WHERE variant = ? AND request = ? ORDER BY position"
    return [token for (token,) in journal.rows(query, variant, request)]


def test_its_answers_and_perplexity_are_those_of_plain_transformers(finished: Path, dense: Path):
    journal = Journal.open(finished)
    prompts = json.loads(journal.meta("prompts"))
    model = AutoModelForCausalLM.from_pretrained(dense).eval()
    nll, scored = 0.0, 0
    for request, prompt in enumerate(prompts):
        tokens = torch.tensor([prompt])
        with torch.inference_mode():
            answer = model.generate(tokens, max_new_tokens=NEW, do_sample=False, eos_token_id=None)
            loss = model(tokens, labels=tokens).loss
        assert tokens_of(journal, 3, request) == answer[0, PROMPT:].tolist()
        nll, scored = nll + float(loss) * (PROMPT - 1), scored + PROMPT - 1
    top_k, _, whole = summarise(journal)
    assert whole.quality is not None
    assert whole.quality.perplexity == pytest.approx(math.exp(nll / scored), rel=1e-6)
    assert whole.quality.reference_perplexity is None
    assert (whole.title, top_k.title) == ("dense (at the BS)", "top-k (live)")
    assert whole.baseline is not None
    assert not whole.baseline.own_tokens
    assert (whole.devices, whole.slots.own, sum(whole.statuses.values())) == ([], 0, 0)
    journal.close()


def test_its_times_are_those_of_llama_2_70b_as_deep_as_the_model_beside_it(finished: Path):
    """3 layers of Mixtral 8x7B's 32 stand for 7.5 of Llama 2 70B's 80."""
    _, _, whole = summarise(finished)
    l4 = PROFILES["nvidia-l4"]

    def pass_s(tokens: int, context: int) -> float:
        layer = l4.latency_s(*attention_work(tokens, context, 8192, 64, 8, 128, 2, 16))
        layer = layer + l4.latency_s(*expert_work(tokens, 8192, 28672, 2, 16))
        return float(8 * layer + l4.latency_s(*lm_head_work(1, 8192, 32000, 2, 16)))

    assert whole.ttft_s == pytest.approx([pass_s(PROMPT, PROMPT)] * 2, abs=2e-9)
    assert whole.tpot_s == pytest.approx([pass_s(1, PROMPT + step) for step in (1, 2)] * 2, abs=2e-9)
    assert whole.virtual_s == pytest.approx(whole.token_s.sum()) == pytest.approx(whole.time_s["BS compute"])
    assert whole.energy.total_j == pytest.approx(l4.compute_w * whole.virtual_s)
    assert whole.energy.missing == ()
    assert whole.baseline is not None
    assert (whole.baseline.profile, whole.baseline.layers, whole.baseline.boards) == ("llama-2-70b", 8, 6)


@pytest.mark.parametrize(("layers", "counted"), [(6, 15), (32, 80), (1, 2)])
def test_a_published_model_counts_as_deep_in_proportion(layers: int, counted: int):
    mixtral = WIRE_PROFILES["mixtral-8x7b"]
    own = type(mixtral)(**{**vars(mixtral), "decoder_layers": layers, "moe_layers": tuple(range(layers))})
    assert layers_of(DENSE_PROFILES["llama-2-70b"], "mixtral-8x7b", own) == counted
    assert layers_of(DENSE_PROFILES["llama-2-70b"], "own", own) == 80


def test_with_own_sizes_it_takes_what_its_weights_take(start: Start, dense: Path):
    folder = start("own", "model.wire_profile=own", "base_station.weight_bits=32")
    (_, whole) = summarise(folder)
    model = AutoModelForCausalLM.from_pretrained(dense)
    matrices = sum(parameter.numel() for parameter in model.parameters() if parameter.dim() > 1)
    assert whole.baseline is not None
    assert (whole.baseline.profile, whole.baseline.layers, whole.baseline.boards) == ("own", 3, 1)
    assert whole.baseline.weight_bytes == 4 * matrices
    assert whole.baseline.cache_bytes == (PROMPT + NEW) * 3 * 2 * 2 * 8 * 4


def test_what_else_runs_is_the_same_with_and_without_it(finished: Path, start: Start):
    with_it, without = Journal.open(finished), Journal.open(start("without", "model.baseline="))
    assert with_it.fingerprint(1) == without.fingerprint(1)
    assert with_it.fingerprint() != without.fingerprint()
    for journal in (with_it, without):
        journal.close()


class Stopping(Silence):
    """Stops a run when the dense model begins."""

    def say(self, line: str) -> None:
        if line.startswith("dense:"):
            raise KeyboardInterrupt


@pytest.mark.parametrize("tokens", [0, 4])
def test_a_run_that_was_stopped_at_it_goes_on_and_is_the_same(
    finished: Path, start: Start, tokens: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    two = {"policies": ("top-k", "fastest")}
    whole = Journal.open(finished)
    if tokens:
        add = Journal.add_token

        def stop(journal: Journal, variant: int, token: Any) -> None:
            if variant == 3 and journal.rows("SELECT count(*) FROM tokens WHERE variant = 3")[0][0] == tokens:
                raise KeyboardInterrupt
            add(journal, variant, token)

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "add_token", stop)
            with pytest.raises(KeyboardInterrupt):
                start("cut", **two)
    else:
        with pytest.raises(KeyboardInterrupt):
            start("cut", display=Stopping(), **two)
    with Journal.open(tmp_path / "cut").db as cut:
        assert cut.execute("SELECT count(*) FROM tokens WHERE variant = 3").fetchone() == (tokens,)
    resume(tmp_path / "cut")
    resumed = Journal.open(tmp_path / "cut")
    assert resumed.fingerprint() == whole.fingerprint()
    assert [variant.policy for variant in summarise(resumed)] == ["top-k", "fastest", "dense"]
    for journal in (whole, resumed):
        journal.close()


def test_a_replay_repeats_it_and_finds_what_was_changed(finished: Path, tmp_path: Path):
    replay(finished)
    folder = shutil.copytree(finished, tmp_path / "changed")
    journal = Journal.reopen(folder)
    journal.db.execute("UPDATE tokens SET end_ns = end_ns + 1 WHERE variant = 3 AND position = 9 AND request = 1")
    journal.close()
    with pytest.raises(Diverged, match="tokens, variant 3, request 1, position 9: end_ns differs"):
        replay(folder)


def test_a_what_if_may_ask_for_another(finished: Path, tmp_path: Path):
    same, other = (
        summarise(what_if(finished, asked, policies=["fastest"], out=tmp_path / name))
        for name, asked in (("same", ()), ("other", ["model.baseline_profile=llama-3.1-8b"]))
    )
    before = summarise(finished)[-1]
    assert [variant.policy for variant in same] == ["fastest", "dense"]
    assert same[-1].token_s == pytest.approx(before.token_s)
    assert other[-1].baseline is not None
    assert (other[-1].baseline.profile, other[-1].baseline.boards) == ("llama-3.1-8b", 1)
    assert other[-1].token_s.sum() < before.token_s.sum() / 4


def test_another_tokenizer_is_asked_the_same_texts_in_its_own_tokens(
    start: Start, tmp_path: Path, dense: Path, settings: list[str]
):
    letters = {letter: number for number, letter in enumerate(["<unk>", *map(chr, range(32, 127))])}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    shutil.copytree(dense, tmp_path / "letters")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(tmp_path / "letters")
    lines = [json.dumps({"text": text}) for text in ("a truth", "a good fortune")]
    (tmp_path / "asked.jsonl").write_text("\n".join(lines))
    asked = [f"model.baseline={tmp_path / 'letters'}", f"workload.text={tmp_path / 'asked.jsonl'}"]
    folder = start("run", *asked, "workload.prompt_tokens=64")
    (_, whole) = summarise(folder)
    assert whole.baseline is not None
    assert whole.baseline.own_tokens
    assert sorted(whole.baseline.prompts or [], key=len) == [
        [letters[it] for it in text] for text in ("a truth", "a good fortune")
    ]
    (tmp_path / "asked.jsonl").write_text('{"tokens": [1, 2]}\n{"text": "a good fortune"}')
    with pytest.raises(RequestError, match=r"line 1: gives token ids, which are others in model\.baseline"):
        start("tokens", *asked, "workload.prompt_tokens=64")


def test_tasks_are_scored_as_plain_transformers_scores_them(start: Start, tmp_path: Path, dense: Path):
    rows: list[dict[str, Any]] = [
        {"context": "Two and two are", "choices": [" four", " fish", " fur"], "answer": right} for right in (0, 1)
    ]
    text = "It was the best of times"
    (tmp_path / "quiz.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "tale.jsonl").write_text(json.dumps({"context": "Once,", "text": text}))
    tasks = [str(tmp_path / f"{name}.jsonl") for name in ("quiz", "tale")]
    asked = [f"workload.tasks={json.dumps(tasks)}", *(f"workload.{key}" for key in DEFAULT_PROMPTS)]
    journal = Journal.open(start("tasks", *asked))
    _, whole = summarise(journal)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(dense).eval(), AutoTokenizer.from_pretrained(dense)

    def log_likelihood(before: str, after: str) -> float:
        first, ids = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in (before, before + after))
        with torch.inference_mode():
            log_p = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        return sum(float(log_p[at - 1, ids[at]]) for at in range(len(first), len(ids)))

    likely = [log_likelihood("Two and two are", choice) for choice in rows[0]["choices"]]
    for item in (0, 1):
        scores = dict(journal.rows("SELECT metric, value FROM scores WHERE variant = 2 AND item = ?", item))
        assert [scores[f"choice {number}"] for number in range(3)] == pytest.approx(likely, rel=1e-5)
        assert scores["acc"] == (max(range(3), key=likely.__getitem__) == item)
    ((nats,),) = journal.rows("SELECT value FROM scores WHERE variant = 2 AND metric = 'nll_nats'")
    assert nats == pytest.approx(-log_likelihood("Once,", text), rel=1e-5)
    assert journal.rows("SELECT count(*) FROM scores WHERE variant = 2 AND reference IS NOT NULL") == [(0,)]
    assert [task.task for task in whole.scores] == ["quiz", "tale"]
    assert whole.scores[0].request_s == pytest.approx(whole.token_s[:-1].mean())
    journal.close()
    replay(tmp_path / "tasks")
    with pytest.raises(RequestError, match="the harness asks one model alone"):
        config.load(None, ['workload.lm_eval=["arc"]', "model.baseline=there"])


def test_what_is_no_dense_model_is_refused_before_anything_is_loaded(
    settings: list[str], tiny_model: Path, tmp_path: Path
):
    for more, field, reason in (
        ([f"model.baseline={tiny_model}"], "model.baseline", "has experts; a baseline is a dense model"),
        ([f"model.baseline={tmp_path / 'none'}"], "model.baseline", "there is no folder"),
        (["model.baseline_profile=mixtral-8x7b"], "model.baseline_profile", "has experts; it goes to"),
        (["model.wire_profile=llama-2-7b"], "model.wire_profile", "it goes to model.baseline_profile"),
        (["base_station.boards=5"], "base_station.boards", "take 6 boards"),
    ):
        with pytest.raises(RequestError, match=reason) as caught:
            check(config.load(None, [*settings, *more]))
        assert caught.value.field == field
    with pytest.raises(RequestError, match=r"says how a model runs, but model\.routing replays one that ran"):
        config.load(None, ["model.routing=trace.parquet", "model.baseline=there"])


def test_a_folder_without_experts_is_no_model_but_may_be_a_baseline(settings: list[str], dense: Path):
    with pytest.raises(RequestError, match=r"without experts; take a Mixture of Experts, or this as model\.baseline"):
        check(config.load(None, [*settings, f"model.path={dense}"]))


def test_it_stands_beside_the_policies_in_the_table(
    fixed_server: str, tmp_path: Path, settings: list[str], dense: Path
):
    arguments = [word for setting in settings if "baseline" not in setting for word in ("--set", setting)]
    done = cosim("run", "--connect", fixed_server, "--out", tmp_path / "run", *arguments, "--baseline", dense)
    assert (done.returncode, done.stderr) == (0, "")
    assert "dense: 2 requests to" in done.stdout
    lines = {
        line.split("│")[0].strip(): line.split("│")[-1].strip() for line in done.stdout.splitlines() if "│" in line
    }
    assert "dense (at the BS)" in done.stdout
    assert (lines["layers that count"], lines["lies on"], lines["answers of"]) == (
        "8 of 80",
        "6 nvidia-l4",
        "tiny-llama",
    )
    assert lines["memory, weights"] == "138 GB in 16 bits"
    assert (lines["layer, decode"], lines["transfers"], lines["same next token"]) == ("-", "-", "-")
    assert cosim("traces", tmp_path / "run", tmp_path / "traces", "--variant", 2).stderr == (
        "cosim: --variant: 2 is the dense baseline, which no link served; take another\n"
    )
    assert cosim("export", tmp_path / "run", tmp_path / "tables").returncode == 0


def test_reports_show_it_where_it_has_a_part(finished: Path, tmp_path: Path):
    data = load([finished])
    assert list(data.groups) == ["top-k", "fastest", "dense (at the BS)"]
    paths = make([finished], tmp_path / "report", ["latency-cdf", "time-split", "bottleneck", "pareto"])
    drawings = {path.stem: path.read_text(encoding="utf-8") for path in paths if path.suffix == ".svg"}
    assert {name for name, drawing in drawings.items() if "dense" in drawing} == {"latency-cdf", "time-split"}
    figures = dict(table(data).rows)
    whole = summarise(finished)[-1]
    assert whole.quality is not None
    assert figures["perplexity of the prompts"][2] == f"{whole.quality.perplexity:.2f}"
    assert (figures["mean KL divergence"][2], figures["exchanges"][2]) == ("-", "0")
    compared = {each.measure.name: each.value for each in compare(data) if each.label == "dense (at the BS)"}
    assert compared["TTFT, mean"] == pytest.approx(1e3 * whole.ttft_s.mean())
    assert "KL divergence" not in compared
    events = json.loads(write_timeline(finished, tmp_path / "timeline.json").read_text())["traceEvents"]
    spans = [event["dur"] for event in events if event["pid"] == 3 and event["ph"] == "X"]
    assert sum(spans) == pytest.approx(1e6 * whole.virtual_s)
