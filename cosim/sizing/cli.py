# SPDX-License-Identifier: Apache-2.0
"""`cosim capacity`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.network import RequestError
from cosim.running.cli import ConfigFile, Policies, Scenario, Settings
from cosim.screen.output import AsJson, console
from cosim.studies.cli import Keys, Memory, PlainTcp, Scheduler, Workers, tell_failures

if TYPE_CHECKING:
    from cosim.sizing.capacity import PolicyCapacity, Sized, Tried


def capacity(
    config: ConfigFile = None,
    scenario: Scenario = None,
    settings: Settings = None,
    policy: Policies = None,
    record: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Seek on what-ifs of this run; else on the analytic network.")
    ] = None,
    share: Annotated[float, typer.Option(help="Of the requests, how many are to be in time.")] = 0.9,
    tolerance: Annotated[float, typer.Option(help="How near the rate is found, as a share of it.")] = 0.05,
    verify: Annotated[bool, typer.Option("--live/--no-live", help="Run what was found live, too.")] = True,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where its runs go; else one under runs/.")] = None,
    workers: Workers = None,
    memory: Memory = None,
    scheduler: Scheduler = None,
    keys: Keys = None,
    plain_tcp: PlainTcp = False,
    as_json: AsJson = False,
) -> None:
    """Find the most requests a second that each policy serves in time.

    In time is within service.ttft_s and service.tpot_s. The same command goes on with a search that was stopped.
    """
    from cosim.screen.as_json import print_json
    from cosim.sizing import capacity as sizing
    from cosim.studies.cluster import ClusterPlace

    def tell(name: str, tried: "Tried") -> None:
        if not as_json:
            print(f"{name}, {tried.rate_per_s:g} requests/s: {tried.in_time:.1%} in time ({tried.network})", flush=True)

    sized = sizing.capacity(
        config,
        settings or [],
        record=record,
        policies=policy,
        scenario=scenario,
        share=share,
        tolerance=tolerance,
        verify=verify,
        out=out,
        at=ClusterPlace(scheduler, workers, memory, keys, plain_tcp),
        tell=tell,
    )
    if as_json:
        print_json(_plain(sized))
    else:
        _print(sized)
    _tell_missing(sized)
    if not as_json:
        tell_failures(sized.folder, sized.failures)
    elif sized.failures:
        raise typer.Exit(1)


def _plain(sized: "Sized") -> dict[str, Any]:
    """All that was found, and all that was tried."""
    return {
        "folder": sized.folder,
        "share": sized.share,
        "ttft_s": sized.ttft_s,
        "tpot_s": sized.tpot_s,
        "policies": [
            {
                "policy": each.policy,
                "rate_per_s": each.rate_per_s,
                "end": each.end,
                "is_monotone": each.is_monotone,
                "tried": each.tried,
                "live": each.live,
            }
            for each in sized.policies
        ],
        "failures": sized.failures,
    }


def _print(sized: "Sized") -> None:
    from rich.table import Table

    from cosim.screen.fitting import print_table

    bounds = ((name, most) for name, most in (("TTFT", sized.ttft_s), ("TPOT", sized.tpot_s)) if most)
    within = ", ".join(f"{name} {most:g} s" for name, most in bounds)
    title = f"the most requests per second of which {sized.share:.0%} are within {within}"
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("policy", no_wrap=True)
    table.add_column("requests/s", justify="right")
    table.add_column("network", no_wrap=True)
    for name in ("in time", "served/s", "TTFT, s\nmedian / 95th", "TPOT, s\nmedian / 95th", "tokens/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in sized.policies:
        rate = "-" if each.rate_per_s is None else f"{each.rate_per_s:.4g}"
        if each.found is None:
            table.add_row(each.policy, rate)
        for number, tried in enumerate(filter(None, (each.found, each.live))):
            table.add_row(*((each.policy, rate) if not number else ("", "")), *_cells(tried))
    print_table(table, console())
    for each in sized.policies:
        if each.found and each.live and each.live.in_time < sized.share:
            better = "of a run at this rate" if each.found.network == "what-if" else "with --record"
            print(
                f"{each.policy}: live it is {each.live.in_time:.1%}, not {sized.share:.0%}; seek on a record {better}"
            )
        if not each.is_monotone:
            shares = ", ".join(f"{tried.in_time:.1%} at {tried.rate_per_s:.4g}" for tried in each.tried)
            print(f"{each.policy}: a higher rate had more in time: {shares}; more requests make that even")
    print(f"its runs: {sized.folder}")


def _cells(tried: "Tried") -> list[str]:
    figures = tried.figures
    return [
        tried.network,
        f"{tried.in_time:.1%}",
        f"{figures['requests_per_s']:.3f}",
        _latency(figures["ttft_median_s"], figures["ttft_p95_s"]),
        _latency(figures["request_tpot_median_s"], figures["request_tpot_p95_s"]),
        f"{figures['tokens_per_s']:.2f}",
    ]


def _latency(median: float | None, p95: float | None) -> str:
    return "-" if median is None or p95 is None else f"{median:.3f} / {p95:.3f}"


def _tell_missing(sized: "Sized") -> None:
    """Raise `RequestError` for the first policy that has no rate although its runs were done."""
    for each in sized.policies:
        if reason := _why_none(each, sized.share):
            raise RequestError(*reason)


def _why_none(found: "PolicyCapacity", share: float) -> tuple[str, str] | None:
    from cosim.sizing.bracket import End

    match found.end:
        case End.NEVER_MET:
            lowest = found.tried[0]
            least = f"{found.policy} has {lowest.in_time:.1%} in time even at {lowest.rate_per_s:g} requests/s"
            alone = ", where none waits for another" if lowest.figures["requests_waiting"] == 0 else ""
            return (
                "service.ttft_s",
                f"{least}{alone}, and {share:.0%} are asked; allow more time here or in service.tpot_s",
            )
        case End.NEVER_MISSED:
            highest = found.tried[-1]
            most = f"{found.policy} has {highest.in_time:.1%} in time even at {highest.rate_per_s:g} requests/s"
            return "workload.requests", f"{most}; ask more requests, or less time in service.ttft_s and service.tpot_s"
    return None
