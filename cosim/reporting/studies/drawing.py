# SPDX-License-Identifier: Apache-2.0
"""The figures of a study: what each key that varies does, and quality against latency over all of its points."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cosim.reporting.figures.drawn import Drawn, Lacking, listed
from cosim.reporting.intervals import mean_interval
from cosim.reporting.measures import Measure
from cosim.reporting.studies.rows import MEASURES, RowOf, StudyRows, short
from cosim.reporting.style import MARKERS, colour, dash, legend, panels

_SHOWN = ("tpot_mean_s", "ttft_mean_s", "kl_nats", "gate_weight_kept", "drawn_j", "device_radiated_j")
_MOST_MEASURES = 3
_MOST_NAMED = 4
_MOST_VALUES = 12
"""Of more than these each row is a point; of fewer, rows of one value are put together."""


def effects(study: StudyRows, key: str) -> Drawn:
    """What the measures do over one key, the others and the seeds averaged: a line for each policy on each network."""
    measures = _shown(study)
    lines = _lines([row for row in study.rows if row[key] is not None])
    figure, axes = panels(1, len(measures), wide=len(measures) > 1)
    values = sorted({row[key] for rows in lines.values() for row in rows}, key=lambda value: (str(type(value)), value))
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    at = {value: float(value) if is_number else float(place) for place, value in enumerate(values)}
    said = []
    for index, (name, rows) in enumerate(lines.items()):
        for panel, measure in zip(axes, measures, strict=True):
            by = {value: known for value in values if (known := _known(measure, rows, key, value))}
            if len(values) > _MOST_VALUES:
                _points(panel, by, at, name, index)
                continue
            mean, low, high = np.array([mean_interval(each) for each in by.values()]).reshape(-1, 3).T
            bars = np.maximum([mean - low, high - mean], 0)
            looks: dict[str, Any] = {"marker": MARKERS[index % 8], "color": colour(index), "elinewidth": 0.6}
            panel.errorbar([at[value] for value in by], mean, bars, label=name, ls=dash(index), **looks)
            if panel is axes[0] and by:
                first, last = (short(list(by)[end]) for end in (0, -1))
                said.append(f"{name}: {mean[0]:.3g} at {first}, {mean[-1]:.3g} at {last}")
    for panel, measure in zip(axes, measures, strict=True):
        panel.set(xlabel=key, ylabel=_axis(measure))
        if not is_number:
            panel.set_xticks(list(at.values()), [short(value) for value in at])
    legend(figure, axes[0], 4 if len(measures) > 1 else 2)
    how = "each point a run" if len(values) > _MOST_VALUES else "means over all else, bars 95 % bootstrap intervals"
    told = f" {measures[0].name} in {measures[0].unit}: {listed(said)}." if said else ""
    return Drawn(figure, f"By {key}: {how}.{told}")


def front(study: StudyRows) -> Drawn:
    """Quality lost against latency, each label a point; those that no other beats in both are ringed."""
    quality = next((name for name in ("kl_nats", "gate_weight_kept") if _has(study, name)), None)
    latency = next((name for name in ("tpot_mean_s", "ttft_mean_s") if _has(study, name)), None)
    if quality is None or latency is None or len(study.groups) < 2:
        raise Lacking("quality and latency of several labels are needed")
    found = []
    for label, rows in study.groups.items():
        pairs = [(row[latency], row[quality]) for row in rows.values() if None not in (row[latency], row[quality])]
        if pairs:
            mean_s, mean = np.mean(pairs, axis=0)
            lost = mean if quality == "kl_nats" else 100 * (1 - mean)
            found.append((next(iter(rows.values()))["policy"], label, 1e3 * float(mean_s), float(lost)))
    places = np.array([[x, y] for *_, x, y in found])
    best = [
        number for number, place in enumerate(places) if not ((places <= place).all(1) & (places < place).any(1)).any()
    ]
    figure, (panel, *_) = panels()
    for index, policy in enumerate(dict.fromkeys(policy for policy, *_ in found)):
        own = [number for number, each in enumerate(found) if each[0] == policy]
        panel.plot(places[own, 0], places[own, 1], MARKERS[index % 8], color=colour(index), label=policy)
    panel.plot(places[best, 0], places[best, 1], "o", mfc="none", mec="black", ms=7, mew=0.6)
    name = "TPOT" if latency == "tpot_mean_s" else "TTFT"
    lost_name = "KL divergence in nats" if quality == "kl_nats" else "gate weight lost in %"
    panel.set(xlabel=f"mean {name} in ms", ylabel=lost_name)
    legend(figure, panel, 2)
    names = [f"{found[number][1]} ({found[number][2]:.3g} ms, {found[number][3]:.3g})" for number in best[:_MOST_NAMED]]
    names += [f"{len(best) - _MOST_NAMED} more"] * (len(best) > _MOST_NAMED)
    return Drawn(figure, f"Each point is a label, averaged over its seeds; no other beats in both: {listed(names)}.")


def _shown(study: StudyRows) -> list[Measure]:
    return [measure for name, measure in MEASURES if name in _SHOWN and _has(study, name)][:_MOST_MEASURES]


def _has(study: StudyRows, column: str) -> bool:
    return column in study.figures and any(row[column] is not None for row in study.rows)


def _lines(rows: Sequence[RowOf]) -> dict[str, list[RowOf]]:
    several = len({row["network"] for row in rows}) > 1
    found: dict[str, list[RowOf]] = {}
    for row in rows:
        found.setdefault(f"{row['policy']} ({row['network']})" if several else row["policy"], []).append(row)
    return found


def _known(measure: Measure, rows: Sequence[RowOf], key: str, value: Any) -> list[float]:
    figures = (measure.of(row) for row in rows if row[key] == value)
    return [figure for figure in figures if figure is not None]


def _points(panel: Axes, by: Mapping[Any, list[float]], at: Mapping[Any, float], name: str, index: int) -> None:
    x, y = zip(*((at[value], figure) for value, each in by.items() for figure in each), strict=True)
    panel.plot(x, y, MARKERS[index % 8], color=colour(index), label=name)


def _axis(measure: Measure) -> str:
    return f"{measure.name.split(' (')[0]}{f' in {measure.unit}' if measure.unit else ''}"
