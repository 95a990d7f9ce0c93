# SPDX-License-Identifier: Apache-2.0
"""A run's figures as tables, the variants side by side."""

import json
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from bridge.network import Status
from cosim.record.baseline_meta import BaselineMeta
from cosim.record.journal import Journal
from cosim.results.energy import Energy
from cosim.results.summary import Series, Slots, VariantSummary
from cosim.screen.fitting import print_table
from cosim.screen.scores import print_scores
from cosim.screen.service import print_service
from cosim.screen.use import print_use
from model_side.element import Element
from model_side.quality import GateProxy, Quality
from model_side.selection import Phase

if TYPE_CHECKING:
    from cosim.results.validation import Error

Row = tuple[str, Callable[[VariantSummary], str]]


def print_report(variants: Sequence[VariantSummary], console: Console) -> None:
    """Print latency, where the time went, experts and quality, the devices' loads, and the wall-clock cost."""
    if not any(variant.layer_s for variant in variants):
        console.print("no exchange was recorded")
        return
    sections: list[tuple[str, list[Row]]] = [
        ("latency (median / 95th percentile)", _latency_rows(variants)),
        *_beside_live(variants),
        ("where the virtual time went", _share_rows(variants)),
        ("energy for each token", _ENERGY),
        ("experts", _EXPERTS),
        *_quality_sections(variants),
        *_baseline_sections(variants),
        ("wall-clock cost", _cost_rows(variants)),
    ]
    table = Table(title="co-simulation", title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("", no_wrap=True)
    for variant in variants:
        table.add_column(variant.title, justify="right")
    for title, rows in sections:
        table.add_section()
        table.add_row(f"[bold]{title}[/bold]")
        for name, figure in rows:
            table.add_row(f"  {name}", *(figure(variant) for variant in variants))
    print_table(table, console, by_column=True)
    print_table(_device_table(variants), console)
    print_use(variants, console)
    print_scores(variants, console)
    print_service(variants, console)
    for missing in dict.fromkeys(variant.energy.missing for variant in variants):
        if missing:
            lacking = ", ".join(missing)
            console.print(f"energy is not known without {lacking}; give them (docs/model/energy.md)", highlight=False)


def nothing_back(variants: Sequence[VariantSummary], notes: Sequence[str]) -> str | None:
    """One line about the variants in which not one transfer was done, and the first of `notes` on why; None if none."""
    empty = [variant for variant in variants if any(variant.statuses.values()) and not variant.statuses[Status.DONE]]
    if not empty:
        return None
    parts = [f"{sum(each.statuses.values())} transfers of {each.policy} ({each.network}), none done" for each in empty]
    more = f" (and {len(notes) - 1} more above)" if len(notes) > 1 else ""
    why = f"; {notes[0]}{more}" if notes else "; cosim scenarios NAME --check tries each device alone"
    return f"nothing ever came back: {', '.join(parts)}{why}"


def unused_weights(journal: Journal) -> str | None:
    """One line about stored weights that the model has no use for; None if there are none."""
    found = journal.rows("SELECT value FROM meta WHERE key = 'weights'")
    names = json.loads(found[0][0])["unused"] if found else []
    if not names:
        return None
    return f"{len(names)} of the stored weights belong to no part of the model, the first of them {names[0]}"


def print_errors(predicted: Journal, live: Journal, console: Console) -> None:
    """Print how far a what-if is from the live run of the same configuration, by policy and by device."""
    from cosim.results.validation import device_errors, mean_wait_s, policy_errors, ranking  # noqa: PLC0415  (SciPy)

    table = Table(
        title="error of the what-if against the live run", title_justify="left", show_edge=False, pad_edge=False
    )
    for column in ("", "latency of", "median", "95th percentile", "bias", "compared"):
        table.add_column(column, justify="left" if column in ("", "latency of") else "right")
    for policy, errors in policy_errors(predicted, live).items():
        for error in errors:
            table.add_row(policy, error.what, *_error(error))
    for error in device_errors(predicted, live):
        table.add_row("all policies", f"transfers of {error.what}", *_error(error))
    print_table(table, console)
    (what, what_if), (_, measured) = mean_wait_s(predicted), mean_wait_s(live)
    both = [policy for policy in what_if if policy in measured]
    if len(both) > 1:
        tau = ranking([what_if[policy] for policy in both], [measured[policy] for policy in both])
        console.print(f"ranking of the policies by mean {what}: Kendall's tau {tau:.2f}", highlight=False)


def _device_table(variants: Sequence[VariantSummary]) -> Table:
    all_live = all(variant.network == "live" for variant in variants)
    table = Table(title="devices", title_justify="left", show_edge=False, pad_edge=False)
    for heading in ("policy", "device", "experts", "SINR", "tokens", "MB down", "MB up", "failed"):
        table.add_column(heading, justify="left" if heading in ("policy", "device", "experts") else "right")
    for variant in variants:
        if variant.devices:
            table.add_section()
        name = variant.policy if all_live else f"{variant.policy} ({variant.network})"
        for index, device in enumerate(variant.devices):
            table.add_row(
                name if index == 0 else "",
                device.name,
                _short(device.experts),
                "-" if device.downlink_sinr_db is None else f"{device.downlink_sinr_db:.1f} dB",
                str(device.tokens),
                f"{device.downlink_bytes / 1e6:.2f}",
                f"{device.uplink_bytes / 1e6:.2f}",
                f"{device.failed}/{device.transfers}",
            )
    return table


def _error(error: "Error") -> tuple[str, ...]:
    return f"{error.median:.1%}", f"{error.p95:.1%}", f"{error.bias:+.1%}", str(len(error.relative))


def _short(experts: str) -> str:
    """The experts of a device; where its layers differ, how many it has of one."""
    if experts.startswith("[["):
        counts = sorted(len(layer) for layer in json.loads(experts))
        return f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} a layer"
    numbers = experts.strip("[]")
    return numbers if len(numbers) <= 16 else numbers[:13] + "..."


def _median_p95(series: Series | None) -> str:
    if series is None or not len(series):
        return "-"
    median, p95 = (1000 * float(np.percentile(series, share)) for share in (50, 95))
    return f"{median:.1f} / {p95:.1f} ms"


def _layer(phase: str) -> Callable[[VariantSummary], str]:
    return lambda variant: _median_p95(variant.layer_s.get(phase))


def _beside_live(variants: Sequence[VariantSummary]) -> list[tuple[str, list[Row]]]:
    """How far each variant on another network is from the same policy's on the live one; nothing without a pair."""
    live = {variant.policy: variant for variant in variants if variant.network == "live"}

    def row(phase: str) -> Row:
        def figure(variant: VariantSummary) -> str:
            packets_s = live[variant.policy].layer_s.get(phase) if variant.policy in live else None
            layer_s = variant.layer_s.get(phase)
            if variant.network == "live" or packets_s is None or layer_s is None:
                return ""
            return f"{np.median(layer_s) / np.median(packets_s):.2f} of live"

        return f"layer, {phase}", figure

    if not any(variant.policy in live and variant.network != "live" for variant in variants):
        return []
    return [("median latency against the live network", [row("prefill"), row("decode")])]


def _share(part: float, whole: float) -> str:
    return f"{part:.2f} s ({part / whole:4.0%})" if whole > 0 else "-"


def _share_rows(variants: Sequence[VariantSummary]) -> list[Row]:
    def row(part: str) -> Row:
        return part, lambda variant: _share(variant.time_s[part], sum(variant.time_s.values()))

    return [row(part) for part in variants[0].time_s] + [
        ("virtual time, all of it", lambda variant: f"{variant.virtual_s:.2f} s")
    ]


def _cost_rows(variants: Sequence[VariantSummary]) -> list[Row]:
    def row(part: str) -> Row:
        return part, lambda variant: _share(variant.costs_s.get(part, 0.0), sum(variant.costs_s.values()))

    parts = dict.fromkeys(part for variant in variants for part in variant.costs_s)
    return [*map(row, parts), ("decision (median / 95th percentile)", _decision)]


def _decision(variant: VariantSummary) -> str:
    took = variant.decisions
    return "-" if took is None else f"{1e6 * took.p50_s:,.0f} / {1e6 * took.p95_s:,.0f} µs"


def _of_own(figure: Callable[[Slots], int]) -> Callable[[VariantSummary], str]:
    def told(variant: VariantSummary) -> str:
        count, own = figure(variant.slots), variant.slots.own
        return f"{count} of {own} ({count / own:.1%})" if own else "-"

    return told


def _off(variant: VariantSummary) -> str:
    off = np.abs(variant.prediction_errors)
    return f"{np.median(off):.0%} / {np.percentile(off, 95):.0%}" if len(off) else "-"


def _statuses(variant: VariantSummary) -> str:
    if variant.baseline:
        return "-"
    return ", ".join(
        f"{count} {status}" for status, count in variant.statuses.items() if count or status == Status.DONE
    )


def _latency_rows(variants: Sequence[VariantSummary]) -> list[Row]:
    is_shared = any(Phase.MIXED in variant.layer_s for variant in variants)
    return [
        ("layer, prefill", _layer(Phase.PREFILL)),
        ("layer, decode", _layer(Phase.DECODE)),
        *([("layer, mixed", _layer(Phase.MIXED))] if is_shared else []),
        ("token", lambda variant: _median_p95(variant.token_s)),
        ("TTFT", lambda variant: _median_p95(variant.ttft_s)),
        ("TPOT", lambda variant: _median_p95(variant.tpot_s)),
    ]


_BYTES = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def _for_token(figure: Callable[[Energy], float | None]) -> Callable[[VariantSummary], str]:
    def told(variant: VariantSummary) -> str:
        joules = figure(variant.energy)
        if joules is None or not len(variant.token_s):
            return "unknown" if joules is None else "-"
        each = joules / len(variant.token_s)
        scale, prefix = next((pair for pair in _PREFIXES if each >= pair[0]), _PREFIXES[-1] if each else _PREFIXES[0])
        return f"{each / scale:.3g} {prefix}J"

    return told


def _how_radiated(variant: VariantSummary) -> str:
    counted = variant.energy.counted
    if counted is None or (counted == 0 and variant.energy.device_air_j is None):
        return "-"
    if 0 < counted < 1:
        return f"the radio: {counted:.0%}, else power x time"
    return "the radio's count" if counted else "power x time on the link"


_ENERGY: list[Row] = [
    ("device, receiving", _for_token(lambda energy: energy.parts["receive_j"])),
    ("device, computing", _for_token(lambda energy: energy.parts["compute_j"])),
    ("device, sending", _for_token(lambda energy: energy.parts["send_j"])),
    ("BS, sending", _for_token(lambda energy: energy.parts["bs_send_j"])),
    ("BS, computing", _for_token(lambda energy: energy.parts["bs_compute_j"])),
    ("all of it", _for_token(attrgetter("total_j"))),
    ("radiated by devices", _for_token(attrgetter("device_air_j"))),
    ("radiated by the BS", _for_token(attrgetter("bs_air_j"))),
    ("radiated, told by", _how_radiated),
]

_EXPERTS: list[Row] = [
    ("left out by the policy", _of_own(attrgetter("left_out"))),
    ("asked instead of others", _of_own(attrgetter("substituted"))),
    ("not back in time", _of_own(attrgetter("late"))),
    ("transfers", _statuses),
    ("off the BS's prediction by", _off),
]


def _quality_sections(variants: Sequence[VariantSummary]) -> list[tuple[str, list[Row]]]:
    """Quality where a model ran, its proxy where none did; never one under the other's heading."""
    if any(variant.proxy for variant in variants):
        elements = {variant.element for variant in variants} - {Element.OWN}
        unknown = f", so what {', '.join(elements)} costs is not known" if elements else ""
        return [(f"quality by proxy only: no model ran{unknown}", _PROXY)]
    return [("quality against the unmodified model", _QUALITY)]


def _baseline_sections(variants: Sequence[VariantSummary]) -> list[tuple[str, list[Row]]]:
    if not any(variant.baseline for variant in variants):
        return []
    return [("dense model, whole at the BS", _BASELINE)]


def _of_baseline(figure: Callable[[BaselineMeta], str]) -> Callable[[VariantSummary], str]:
    return lambda variant: "" if variant.baseline is None else figure(variant.baseline)


def _boards(baseline: BaselineMeta) -> str:
    return baseline.hardware if baseline.boards == 1 else f"{baseline.boards} {baseline.hardware}"


_BASELINE: list[Row] = [
    ("answers of", _of_baseline(lambda it: Path(it.name).name)),
    ("sizes of", _of_baseline(attrgetter("profile"))),
    ("layers that count", _of_baseline(lambda it: f"{it.layers} of {it.shape.decoder_layers}")),
    ("memory, weights", _of_baseline(lambda it: f"{_size(it.weight_bytes)} in {it.weight_bits} bits")),
    ("memory, cache", _of_baseline(lambda it: _size(it.cache_bytes))),
    ("lies on", _of_baseline(_boards)),
    ("prompts", _of_baseline(lambda it: "its own tokens" if it.own_tokens else "the same tokens")),
]


def _proxy(figure: Callable[[GateProxy], str]) -> Callable[[VariantSummary], str]:
    return lambda variant: "-" if variant.proxy is None else figure(variant.proxy)


def _part(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "-"


_PROXY: list[Row] = [
    ("gate weight kept (proxy)", _proxy(lambda proxy: _part(proxy.proxy_kept_weight, proxy.proxy_gate_weight))),
    ("best expert lost (proxy)", _proxy(lambda proxy: _part(proxy.proxy_best_lost, proxy.proxy_token_layers))),
]


def _quality(figure: Callable[[Quality], str]) -> Callable[[VariantSummary], str]:
    """Of quality against the unmodified model; of a dense model there is none."""

    def told(variant: VariantSummary) -> str:
        return "-" if variant.quality is None or variant.baseline else figure(variant.quality)

    return told


def _size(size_bytes: int) -> str:
    scale, unit = next(((scale, unit) for scale, unit in _BYTES if size_bytes >= scale), _BYTES[-1])
    return f"{size_bytes / scale:.4g} {unit}"


def _perplexities(variant: VariantSummary) -> str:
    quality = variant.quality
    if quality is None or quality.perplexity is None:
        return "-"
    if quality.reference_perplexity is None:
        return f"{quality.perplexity:.2f}"
    return f"{quality.perplexity:.2f} (unmodified {quality.reference_perplexity:.2f})"


_QUALITY: list[Row] = [
    ("perplexity of the prompts", _perplexities),
    ("same next token", _quality(lambda quality: f"{quality.agreement:.1%}")),
    (
        "mean KL divergence",
        _quality(lambda quality: f"{quality.mean_kl_nats:.4f} nats"),
    ),
]
