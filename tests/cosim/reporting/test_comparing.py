# SPDX-License-Identifier: Apache-2.0
"""Paired comparisons, against SciPy's permutation test, by hand, and as tables that other programs read."""

import csv
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import permutation_test

from bridge.network import RequestError
from cosim.cli import run_command
from cosim.reporting.cases import Data, load
from cosim.reporting.comparing import FEWEST, Difference, compare, compare_groups, p_value
from cosim.reporting.comparison_tables import as_csv, as_latex
from cosim.reporting.measures import MEASURES, Measure
from cosim.reporting.studies.rows import StudyRows
from cosim.results.figures import figures_of
from cosim.results.summary import summarise
from tests.support.small_run import small_run


@pytest.mark.parametrize("count", [2, 5, 8])
def test_p_is_that_of_all_sign_flips_by_scipy(count):
    for seed in range(5):
        differences = np.random.default_rng(seed).normal(0.5, 1, count)
        theirs = permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
        ).pvalue
        assert p_value(differences) == pytest.approx(theirs)


def test_p_of_differences_of_one_sign_is_two_in_all_flips():
    assert p_value(np.arange(1.0, 7.0)) == pytest.approx(2 / 2**6)
    assert p_value(np.arange(1.0, 7.0)) < 0.05 < p_value(np.arange(1.0, FEWEST))


def test_p_of_many_pairs_is_near_that_of_the_t_test():
    """For 40 normal differences the two tests agree to a few percent."""
    from scipy.stats import ttest_1samp

    differences = np.random.default_rng(3).normal(0.3, 1, 40)
    assert p_value(differences) == pytest.approx(ttest_1samp(differences, 0).pvalue, abs=0.02)


def cases(label: str, figures: dict[int, float]) -> list[SimpleNamespace]:
    return [SimpleNamespace(label=label, run=SimpleNamespace(seeds=(seed,)), figure=x) for seed, x in figures.items()]


def test_pairs_are_those_of_equal_seeds(monkeypatch):
    measure = Measure("figure", "ms", lambda case: case.figure)
    monkeypatch.setattr("cosim.reporting.comparing.MEASURES", (measure,))
    base = {1: 10.0, 2: 20.0, 3: 30.0, 9: 1000.0}
    data = Data([], [*cases("old", base), *cases("new", {3: 33.0, 1: 11.0, 2: 22.0, 7: -1000.0})])
    (found,) = compare(data)
    assert (found.pairs, found.base, found.value, found.difference) == (3, 20, 22, 2)
    assert 1 <= found.low < 2 < found.high <= 3
    assert found.p == 2 / 8
    assert found.verdict == "too few seeds (3)"


def test_what_is_the_same_in_every_pair_is_not_significant(monkeypatch):
    monkeypatch.setattr("cosim.reporting.comparing.MEASURES", (Measure("figure", "", lambda case: case.figure),))
    same = {seed: float(seed) for seed in range(8)}
    (found,) = compare(Data([], [*cases("old", same), *cases("new", same)]))
    assert (found.difference, found.low, found.high, found.p, found.verdict) == (0, 0, 0, 1, "not significant")


def test_runs_without_a_seed_in_common_or_of_one_label_are_refused(run, tmp_path):
    with pytest.raises(RequestError, match="have no seed in common"):
        compare(Data([], [*cases("old", {1: 1.0}), *cases("new", {2: 1.0})]))
    data = load([run])
    with pytest.raises(RequestError, match="only top-k is in these runs"):
        compare(Data(data.runs, [case for case in data.cases if case.policy == "top-k"]))


def test_measures_are_those_of_the_journal(run, tmp_path):
    data = load([run, small_run(tmp_path, "seed=3", "policy.weight-to-latency.threshold=0.25")])
    found = {each.measure.name: each for each in compare(data)}
    assert {each.pairs for each in found.values()} == {2}
    pairs = list(zip(*data.groups.values(), strict=True))
    tpot_ms = np.mean([1e3 * (new.tpot_s.mean() - old.tpot_s.mean()) for old, new in pairs])
    ttft_ms = np.mean([1e3 * (new.ttft_s.mean() - old.ttft_s.mean()) for old, new in pairs])
    assert found["TPOT, mean"].difference == pytest.approx(tpot_ms)
    assert found["TTFT, mean"].difference == pytest.approx(ttft_ms)
    assert "KL divergence" not in found  # of recorded routing there is no quality


DIFFERENCES = [
    Difference("lookahead s=0.1", MEASURES[0], 8, 100.0, 90.0, -10.0, -12.0, -8.0, 0.0078),
    Difference("lookahead s=0.1", MEASURES[5], 8, 100.0, 99.0, -1.0, -3.0, 1.0, 0.3),
    Difference("a_b & 50%", MEASURES[0], 1, 0.0, 2.0, 2.0, 2.0, 2.0, 1.0),
]


def test_csv_is_read_back_as_it_was(tmp_path):
    rows = list(csv.DictReader(as_csv("top-k", DIFFERENCES).splitlines()))
    assert [float(row["difference"]) for row in rows] == [-10.0, -1.0, 2.0]
    assert [row["verdict"] for row in rows] == ["significant", "not significant", "too few seeds (1)"]
    assert rows[0]["label"] == "lookahead s=0.1"


def test_latex_has_a_row_for_each_and_no_bare_special_character():
    text = as_latex("top-k", DIFFERENCES)
    body = text.split("\n", 1)[1]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 1 + len(DIFFERENCES)
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {5}
    assert not re.search(r"(?<!\\)[%#_]", body)
    assert body.count("{") == body.count("}")
    assert r"a\_b \& 50\%" in text
    assert "$-$10.0$^*$" in text
    assert "$-$1.0$^*$" not in text


def test_the_command_prints_and_writes_the_same(run, tmp_path, monkeypatch, capsys):
    files = [tmp_path / "table.csv", tmp_path / "new/table.tex"]
    command = ["cosim", "compare", str(run), "--csv", str(files[0]), "--latex", str(files[1])]
    monkeypatch.setattr(sys, "argv", command)
    assert run_command() == 0
    printed = capsys.readouterr().out
    rows = list(csv.DictReader(files[0].read_text().splitlines()))
    assert printed.count("too few seeds (1)") == len(rows) > 4
    assert files[1].read_text().count(r"\\" + "\n") == len(rows) + 1
    for row in rows:
        assert row["measure"] in printed
    monkeypatch.setattr(sys, "argv", ["cosim", "compare", str(run), "--csv", str(tmp_path / "table.csv/below")])
    assert run_command() == 2
    assert "--csv" in capsys.readouterr().err


def test_services_are_compared_by_what_their_users_saw_and_rows_as_runs(service):
    base, now = summarise(service)
    found = {each.measure.name: each for each in compare(load([service]))}
    for name, series in (("queueing", "queueing_s"), ("TTFT", "ttft_s"), ("TPOT of a request", "tpot_s"),
                         ("end to end", "end_to_end_s")):  # fmt: skip
        for words, percent in (("median", 50), ("95th percentile", 95), ("99th percentile", 99)):
            each = found[f"{name}, {words}"]
            ours, theirs = (1e3 * np.percentile(getattr(of.service, series), percent) for of in (base, now))
            assert (each.base, each.value) == pytest.approx((ours, theirs))
    tokens = found["tokens a second (higher is better)"]
    assert (tokens.base, tokens.value) == pytest.approx((base.service.tokens_per_s, now.service.tokens_per_s))
    rows = [
        figures_of(each) | {"policy": each.policy, "network": each.network, "record": None, "seed": 1}
        for each in (base, now)
    ]
    study = StudyRows(Path(), rows, 0, ["seed"], list(figures_of(base)))
    by_rows = {each.measure.name: each for each in compare_groups(study.groups, study.measures)}
    shared = by_rows.keys() & found.keys()
    assert {
        "devices computing, mean",
        "goodput in requests a second (higher is better)",
        "layer, mixed, mean",
    } <= shared
    for name in shared:
        assert by_rows[name].value == pytest.approx(found[name].value), name
    assert [each.figures["fairness"] for each in study.services.runs] == pytest.approx(
        [each.service.fairness for each in (base, now)]
    )
