# SPDX-License-Identifier: Apache-2.0
"""What a run's service gave its users as a table, the variants side by side."""

from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from bridge.network import Status
from cosim.results.on_air import UNDER_WAY, OnAirSummary, Series
from cosim.results.service import ServiceSummary
from cosim.results.summary import VariantSummary
from cosim.screen.fitting import print_table

Row = tuple[str, Callable[[ServiceSummary], str]]


def print_service(variants: Sequence[VariantSummary], console: Console) -> None:
    """Print latencies, rates and how requests ended; nothing where requests did not arrive."""
    told = [variant.service for variant in variants]
    if not any(told):
        return
    title = "service (latencies: median / 95th / 99th percentile)"
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for column in ("", *(variant.title for variant in variants)):
        table.add_column(column, justify="right" if column else "left", no_wrap=not column)
    for name, figure in _rows([each for each in told if each]):
        table.add_row(name, *("-" if each is None else figure(each) for each in told))
    print_table(table, console, by_column=True)


def _rows(told: Sequence[ServiceSummary]) -> list[Row]:
    ttft_s, tpot_s = told[0].objective
    within = [f"{name} {most:g} s" for name, most in (("TTFT", ttft_s), ("TPOT", tpot_s)) if most]
    air = [each.on_air for each in told if each.on_air]
    ended = [ending for ending in told[0].endings if ending == "done" or any(each.endings[ending] for each in told)]
    return [
        ("queueing", lambda it: _percentiles(it.queueing_s)),
        (f"TTFT, from the {'asking' if air else 'arrival'}", lambda it: _percentiles(it.ttft_s)),
        ("TPOT, mean of a request", lambda it: _percentiles(it.tpot_s)),
        ("end to end", lambda it: _percentiles(it.end_to_end_s)),
        ("tokens per second", lambda it: f"{it.tokens_per_s:.2f}"),
        ("requests per second", lambda it: f"{it.requests_per_s:.3f}"),
        *([(f"goodput: within {', '.join(within)}", _goodput)] if within else []),
        ("fairness (Jain)", lambda it: "-" if np.isnan(it.fairness) else f"{it.fairness:.3f}"),
        ("requests there, waiting", lambda it: f"{it.in_system:.2f}, {it.in_queue:.2f}"),
        ("requests in a pass", lambda it: f"{it.batch:.2f}"),
        ("a pass was under way", lambda it: f"{it.utilisation:.1%}"),
        *((f"requests {ending}", _ended(ending)) for ending in ended),
        *(_on_air_rows(air) if air else []),
    ]


def _on_air_rows(air: Sequence[OnAirSummary]) -> list[Row]:
    """What came of prompts and tokens on their ways; that some did not arrive is told where it is so."""
    failed = [
        (what, ending)
        for what in ("prompts", "tokens")
        for ending in (*(status.value for status in Status if status is not Status.DONE), UNDER_WAY)
        if any(ending in getattr(each, what) for each in air)
    ]
    return [
        ("a prompt's way up", _of_air(lambda it: _milliseconds(it.prompt_s))),
        ("a token's way down", _of_air(lambda it: _milliseconds(it.token_s))),
        *((f"{what} {ending}", _of_air(_failed(what, ending))) for what, ending in failed),
    ]


def _of_air(figure: Callable[[OnAirSummary], str]) -> Callable[[ServiceSummary], str]:
    return lambda service: "-" if service.on_air is None else figure(service.on_air)


def _failed(what: str, ending: str) -> Callable[[OnAirSummary], str]:
    return lambda it: f"{getattr(it, what).get(ending, 0)} of {sum(getattr(it, what).values())}"


def _goodput(service: ServiceSummary) -> str:
    return f"{service.goodput_per_s:.3f} requests/s"


def _ended(ending: str) -> Callable[[ServiceSummary], str]:
    return lambda service: f"{service.endings[ending]} of {sum(service.endings.values())}"


def _milliseconds(series: Series) -> str:
    return _percentiles(1e3 * series, "ms")


def _percentiles(series: Series, unit: str = "s") -> str:
    if not len(series):
        return "-"
    return " / ".join(f"{each:.3f}" for each in np.percentile(series, (50, 95, 99))) + f" {unit}"
