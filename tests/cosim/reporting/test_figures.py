# SPDX-License-Identifier: Apache-2.0
"""Figures: each is drawn or says what it lacks, is the same twice, and its numbers are those of the journal."""

import re
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from bridge.network import RequestError
from cosim.record.journal import FILE_NAME
from cosim.reporting.cases import Case, Data, load
from cosim.reporting.figures import FIGURES, accuracy, cell, experts, formula, latency_cdf, time_split
from cosim.reporting.figures.drawn import Lacking
from cosim.reporting.intervals import mean_interval
from cosim.reporting.making import make
from cosim.reporting.page.packed import packed
from cosim.reporting.page.table import table as summary
from cosim.reporting.style import COLUMN_IN, TEXT_IN, paper
from cosim.results.summary import summarise
from tests import ROOT
from tests.support.small_run import service_run, small_run


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_as_wide_as_a_column_or_the_text_and_says_its_numbers(name, run, other):
    with paper():
        lacking = ("formula", "pareto", "energy", "accuracy", "queue", "throughput", "arrival-rate", "goodput")
        if name in lacking:  # recorded routing over links of closed form, one request after the other
            with pytest.raises(Lacking):
                FIGURES[name].draw(load([run, other]))
            return
        drawn = FIGURES[name].draw(load([run, other]))
    assert drawn.figure.get_size_inches()[0] in (COLUMN_IN, TEXT_IN)
    assert re.search(r"\d", drawn.text)
    assert drawn.text.endswith(".")
    assert all(axes.get_xlabel() or axes.get_ylabel() or axes.get_title() for axes in drawn.figure.axes)


def test_layers_of_shared_passes_are_compared_where_their_rows_are_the_same(service, tmp_path):
    """With packets and by the formula, which serves fewer at a time here."""
    fewer = service_run(tmp_path, "policy.weight-to-latency.threshold=0.25", "service.requests=2")
    live, (case, _) = load([service]).cases[0], load([fewer]).cases
    assert formula.ratios(live, live) == pytest.approx(np.ones(len(live.exchanges["exchange"])))

    def rows(of: Case) -> list[tuple[float, ...]]:
        parts = {exchange: [] for exchange in of.passes["exchange"]}
        for exchange, *part in zip(
            *(of.pass_rows[n] for n in ("exchange", "request", "position", "tokens")), strict=True
        ):
            parts[exchange].append(tuple(part))
        return [
            (*parts[of.passes["exchange"][at]], layer)
            for at, layer in zip(of.pass_of, of.exchanges["layer"], strict=True)
        ]

    air_s = [dict(zip(rows(each), each.exchanges["air_s"], strict=True)) for each in (case, live)]
    wanted = [ours / air_s[1][key] for key, ours in air_s[0].items() if key in air_s[1]]
    assert 0 < len(wanted) < len(air_s[0])
    assert sorted(formula.ratios(case, live)) == pytest.approx(sorted(wanted))


def test_a_distribution_says_the_medians_of_the_journal(run):
    data = load([run])
    with paper():
        drawn = latency_cdf.draw(data)
    for case in data.cases:
        median, p95 = np.quantile(1e3 * case.tpot_s, [0.5, 0.95])
        told = re.search(rf"{case.label}: .*?TPOT ([\d.]+) ms \(95th percentile ([\d.]+) ms\)", drawn.text)
        assert [float(number) for number in told.groups()] == pytest.approx([median, p95], rel=0.01, abs=0.06)


def test_the_curve_of_a_distribution_is_that_of_the_values(run):
    data = load([run])
    with paper():
        first = latency_cdf.draw(data).figure.axes[0]
    for line, case in zip(first.get_lines(), data.cases, strict=True):
        x, y = line.get_data()
        assert list(x[1:]) == pytest.approx(sorted(1e3 * case.ttft_s))
        assert list(y[1:]) == pytest.approx(np.arange(1, len(case.ttft_s) + 1) / len(case.ttft_s))


def test_bars_of_time_are_as_long_as_the_virtual_time_of_a_token(run):
    data = load([run])
    with paper():
        (panel,) = time_split.draw(data).figure.axes
    ends = np.array([patch.get_x() + patch.get_width() for patch in panel.patches]).reshape(-1, len(data.cases))
    each_ms = [1e3 * sum(case.time_s.values()) / len(case.tokens["latency_s"]) for case in data.cases]
    assert ends[-1] == pytest.approx(each_ms)


def test_the_map_has_tracks_sites_and_others_where_they_were(run):
    data = load([run])
    with paper():
        drawn = cell.draw(data)
    (panel, _) = drawn.figure.axes
    end_s = data.cases[0].exchanges["end_s"][-1]
    for user in (1, 2, 3):
        lines = [line for line in panel.get_lines() if list(line.get_xdata()[:1]) == [10.0 * (user + 1)]]
        assert max(line.get_ydata()[-1] for line in lines) == pytest.approx(user * end_s)
    way_m = np.mean([1, 2]) * end_s
    assert (
        f"3 devices (circles where they began) over {end_s:.3g} s of virtual time, 2 of which went {way_m:.3g} m"
        in (drawn.text)
    )
    assert "1 other user (crosses) and 1 base station (triangles, lines where its sectors look)" in drawn.text
    assert "device-0 20 dB, device-1 20 dB, device-2 20 dB" in drawn.text


def test_the_map_of_a_run_without_tracks_is_by_distance_or_says_what_is_missing(run, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / FILE_NAME).write_bytes((run / FILE_NAME).read_bytes())
    with closing(sqlite3.connect(tmp_path / "run" / FILE_NAME)) as db, db:
        db.execute("DELETE FROM tracks")
        db.execute("UPDATE links SET downlink_sinr_db = 7.0 + device")
    with paper(), pytest.raises(Lacking, match="nobody has a place"):
        cell.draw(load([tmp_path / "run"]))
    with closing(sqlite3.connect(tmp_path / "run" / FILE_NAME)) as db, db:
        db.execute("UPDATE variants SET parameters = '{\"distances_m\": [10, 20, 30]}'")
    with paper():
        assert "device-0 7 dB, device-1 8 dB" in cell.draw(load([tmp_path / "run"])).text
    with closing(sqlite3.connect(tmp_path / "run" / FILE_NAME)) as db, db:
        db.execute("UPDATE variants SET parameters = '{\"positions_m\": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]}'")
    with paper():
        drawn = cell.draw(load([tmp_path / "run"]))
    assert "3 devices (circles where they began)" in drawn.text
    assert " of which went" not in drawn.text


def test_the_gate_s_shares_of_a_layer_are_one(run):
    case = load([run]).cases[0]
    assert experts.used(case, gate=True).sum(axis=1) == pytest.approx(1)
    assert experts.used(case, gate=False) == pytest.approx(experts.used(case, gate=True))  # top-k


def test_one_figure_by_one_command_is_the_same_to_the_byte(run, tmp_path):
    paths = [make([run], tmp_path / name, ["latency-cdf"]) for name in ("a", "b")]
    assert [path.name for path in paths[0]] == ["latency-cdf.pdf", "latency-cdf.svg", "latency-cdf.png"]
    for one, two in zip(*paths, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert paths[0][0].read_bytes().startswith(b"%PDF")
    assert paths[0][2].read_bytes().startswith(b"\x89PNG")


def test_a_figure_that_is_unknown_or_has_nothing_to_show_is_refused(run, tmp_path):
    with pytest.raises(RequestError, match=r"nobody knows 'latency-cfd'.*latency-cdf"):
        make([run], tmp_path / "new", ["latency-cfd"])
    with pytest.raises(RequestError, match="formula has nothing to show: no policy ran on the live network and"):
        make([run], tmp_path / "new", ["formula"])
    assert not (tmp_path / "new").exists()


def test_a_sweep_draws_means_over_the_key_in_which_runs_differ(run, other, tmp_path):
    third = small_run(tmp_path, "policy.weight-to-latency.threshold=0.9")
    data = load([run, other, third])
    with paper():
        drawn = FIGURES["sweep"].draw(data)
    assert "by weight-to-latency.threshold" in drawn.text
    (line,) = [each for each in drawn.figure.axes[0].containers if each.get_label().startswith("weight-to-latency")]
    x, y = line.lines[0].get_data()
    key = "weight-to-latency.threshold"
    by_value = {case.options[key]: case for case in data.cases if case.options.get(key) is not None}
    assert len(by_value) == 3
    assert list(x) == sorted(by_value)
    assert list(y) == pytest.approx([1e3 * by_value[value].exchanges["latency_s"].mean() for value in x])


def curves(panel):
    """The points of each line that has a legend, by its label."""
    return {
        each.get_label(): tuple(map(list, each.lines[0].get_data()))
        for each in panel.containers
        if not each.get_label().startswith("_")
    }


def test_services_are_drawn_over_what_they_differ_in(service, tmp_path):
    """Two rates, two bounds: figures of the summary at each; and of one run goodput by policy."""
    settings = ["policy.weight-to-latency.threshold=0.25"]
    slower, fewer = tmp_path / "slower", tmp_path / "fewer"
    for folder, setting in ((slower, "arrivals.rate_per_s=10"), (fewer, "service.requests=2")):
        folder.mkdir()
        service_run(folder, *settings, setting)
    told = {name: summarise(run)[0].service for name, run in
            (("both", service), ("slower", slower / "run"), ("fewer", fewer / "run"))}  # fmt: skip
    with paper():
        rate = FIGURES["arrival-rate"].draw(load([service, slower / "run"]))
        batch = FIGURES["throughput"].draw(load([service, fewer / "run"]))
        over_rate = FIGURES["goodput"].draw(load([service, slower / "run"]))
        bars = FIGURES["goodput"].draw(load([service]))
    x, y = curves(rate.figure.axes[0])["top-k"]  # all else is alike
    assert x == [10, 40]
    assert y == pytest.approx([np.median(told[name].ttft_s) for name in ("slower", "both")])
    x, y = curves(batch.figure.axes[0])["top-k"]
    assert x == [2, 3]
    assert y == pytest.approx([told[name].tokens_per_s for name in ("fewer", "both")])
    x, y = curves(over_rate.figure.axes[0])["top-k"]
    assert y == pytest.approx([told[name].goodput_per_s for name in ("slower", "both")])
    assert told["slower"].goodput_per_s != told["both"].goodput_per_s
    goodput = [variant.service.goodput_per_s for variant in summarise(service)]
    assert [patch.get_width() for patch in bars.figure.axes[0].patches] == pytest.approx(goodput)
    assert "within a TTFT of 0.1 s and a TPOT of 0.05 s" in bars.text
    with paper(), pytest.raises(Lacking, match=r"differ in service\.requests"):
        FIGURES["throughput"].draw(load([service]))


def test_bars_of_use_are_the_parts_of_the_time_also_beside_a_run_with_more_devices(run):
    case = load([run]).cases[0]
    shares = {part: np.append(getattr(case.use, part), 0.125) for part in ("downlink", "compute", "uplink")}
    sent = {**case.transfers, "device": np.where(case.transfers["device"] == 0, 3, case.transfers["device"])}
    more = replace(
        case, label="more", devices=(*case.devices, "device-3"), use=replace(case.use, **shares), transfers=sent
    )
    with paper():
        drawn = FIGURES["utilisation"].draw(Data([case.run], [case, more]))
    for panel, part in zip(drawn.figure.axes, ("downlink", "compute", "uplink"), strict=True):
        heights = [patch.get_height() for patch in panel.patches]
        assert heights == pytest.approx(100 * np.array([*getattr(case.use, part), 0, *shares[part]]))
    most = case.devices[int(case.use.uplink.argmax())]
    assert f"uplink busy {case.use.uplink.mean():.1%} (most {most}, {case.use.uplink.max():.1%})" in drawn.text


def test_the_area_under_the_queue_is_what_requests_waited(service):
    data = load([service])
    with paper():
        panels = FIGURES["queue"].draw(data).figure.axes
    for panel, case in zip(panels, data.cases, strict=True):
        running, waiting = ((line.get_xdata(), line.get_ydata()) for line in panel.get_lines())
        waits_s = np.where(np.isnan(case.requests["admitted_s"]), case.requests["end_s"], case.requests["admitted_s"])
        stays_s = case.requests["end_s"] - waits_s
        for (time_s, count), wanted_s in ((waiting, waits_s - case.requests["arrival_s"]), (running, stays_s)):
            assert (np.diff(time_s) * count[:-1]).sum() == pytest.approx(wanted_s.sum())


def test_an_interval_holds_the_mean_as_often_as_it_says():
    """Of normal values the 95 % interval of 20 has the mean in about 93 % of the cases (the percentile bootstrap's)."""
    chance = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        mean, low, high = mean_interval(chance.normal(3, 2, 20).tolist())
        assert low <= mean <= high
        held += low <= 3 <= high
    assert 0.87 <= held / 200 <= 0.98


def test_no_command_but_report_loads_what_draws():
    program = (
        "import sys, cosim.cli; print([n for n in ('matplotlib', 'bokeh', 'jinja2', 'tueplots') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_accuracy_is_the_share_of_items_that_were_answered_right(run, tmp_path):
    (tmp_path / FILE_NAME).write_bytes((run / FILE_NAME).read_bytes())
    right = {(1, "arc"): [1, 0, 1, 1], (2, "arc"): [1, 0, 0, 0], (1, "gsm"): [0, 1], (2, "gsm"): [0, 0]}
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS items "
            "(variant, item, task, subject, line, request, requests, answer, given, reference)"
        )
        db.execute("CREATE TABLE IF NOT EXISTS scores (variant, item, metric, value, reference)")
        for (variant, task), values in right.items():
            for number, value in enumerate(values, 10 * (task == "gsm")):
                metric = "exact_match" if task == "gsm" else "acc"
                db.execute("INSERT INTO items VALUES (?, ?, ?, '', 1, 0, 1, '', '', NULL)", [variant, number, task])
                for name, given in ((metric, value), ("choice 0", -3.5)):
                    row = [variant, number, name, given, 1.0]
                    db.execute(
                        "INSERT INTO scores (variant, item, metric, value, reference) VALUES (?, ?, ?, ?, ?)", row
                    )
        db.commit()
    with paper():
        drawn = accuracy.draw(load([tmp_path]))
    heights = [patch.get_height() for patch in drawn.figure.axes[0].patches]
    assert heights == pytest.approx([75, 50, 25, 0])
    assert "top-k: arc 75.0% (unmodified 100.0%) of 4, gsm 50.0% (unmodified 100.0%) of 2" in drawn.text


@pytest.mark.parametrize(("right", "count"), [(0, 5), (3, 7), (50, 50), (123, 1000)])
def test_the_interval_of_a_share_is_wilson_s_by_scipy(right, count):
    theirs = binomtest(right, count).proportion_ci(method="wilson")
    assert accuracy.wilson(right, count) == pytest.approx((theirs.low, theirs.high), abs=1e-7)


def test_a_run_that_was_stopped_before_its_second_policy_did_anything_is_drawn(run, tmp_path):
    (tmp_path / FILE_NAME).write_bytes((run / FILE_NAME).read_bytes())
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        for table in ("exchanges", "transfers", "links", "channel", "tracks", "routing", "tokens", "quality"):
            db.execute(f"DELETE FROM {table} WHERE variant = 2")
        db.commit()
    data = load([tmp_path])
    assert [len(case.exchanges["exchange"]) > 0 for case in data.cases] == [True, False]
    drawn = []
    with paper():
        for name, plot in FIGURES.items():
            with suppress(Lacking):
                plot.draw(data).figure.draw_without_rendering()
                drawn.append(name)
    assert {"latency-cdf", "layer-latency", "time-split", "links", "experts", "prediction"} <= set(drawn)
    assert [row for _, row in summary(data).rows if len(row) != 2] == []
    assert len(packed(data)["cases"]) == 1


def test_the_documentation_lists_every_figure():
    text = (ROOT / "docs/runs/report.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE) == list(FIGURES)
    assert set(re.findall(r"--figure ([\w-]+)", text)) <= set(FIGURES)
