# SPDX-License-Identifier: Apache-2.0
"""What a service gave its users, from a journal alone: latencies, throughput, goodput, fairness, utilisation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.network import NS_PER_S
from cosim.record.journal import Journal
from cosim.results.on_air import OnAirSummary, Seen, Series, seen_by_users
from model_side.service.scheduler import Ending


@dataclass(frozen=True)
class ServiceSummary:
    """Of the requests that arrived. Times are in virtual seconds, rates over `span_s`, from when the network was ready
    until the last request was over.

    `endings`: how many ended how. `queueing_s`: from arrival to admission, of those admitted. `ttft_s`: from
    arrival to the first token, of those that got one. `tpot_s`: between two tokens of a request in the mean, of
    those that got two. `end_to_end_s`: from arrival to the last token, of those done. `goodput_per_s`: requests
    done within the TTFT and the TPOT of `objective` (0: any), `in_time`: their share of all that arrived.
    `fairness`: Jain's index of the tokens a second that each user got from the arrival on. `in_system`, `in_queue`:
    requests there in the mean over time. `utilisation`: part of the span in which a pass was under way. `batch`:
    requests in a pass in the mean. `on_air`: what came of prompts and tokens on the air, None where all
    users are wired. Users on the air count from when they asked and not from the arrival before the scheduler, but
    for the queueing and what is there in the mean; a token counts when it reaches them, if it does, and a request is
    done if all of them do.
    """

    span_s: float
    endings: dict[str, int]
    queueing_s: Series
    ttft_s: Series
    tpot_s: Series
    end_to_end_s: Series
    tokens_per_s: float
    requests_per_s: float
    goodput_per_s: float
    in_time: float
    objective: tuple[float, float]
    fairness: float
    in_system: float
    in_queue: float
    utilisation: float
    batch: float
    on_air: OnAirSummary | None = None


def service_of(journal: Journal, variant: int) -> ServiceSummary | None:
    """What a variant gave; None where requests did not arrive. Of a run that did not come to its end, of the requests
    that were over."""
    rows = journal.rows(
        "SELECT request, arrival_ns, coalesce(admitted_ns, -1), end_ns, ending, "
        "(SELECT count(*) FROM tokens t WHERE (t.variant, t.request) = (r.variant, r.request)), "
        "(SELECT coalesce(min(t.end_ns), -1) FROM tokens t WHERE (t.variant, t.request) = (r.variant, r.request)), "
        "(SELECT coalesce(max(t.end_ns), -1) FROM tokens t WHERE (t.variant, t.request) = (r.variant, r.request)) "
        "FROM requests r WHERE variant = ? ORDER BY request",
        variant,
    )
    if not rows:
        return None
    endings = [row[4] for row in rows]
    arrival, admitted, end, tokens, first, last = _columns([[*row[1:4], *row[5:]] for row in rows])
    asked, given, over = arrival, tokens, end
    if (seen := seen_by_users(journal, variant)) is not None:
        asked, tokens, first, last = _columns([_seen_of(seen, row) for row in rows])
        over = np.maximum(end, last)
    ((begin_ns,),) = journal.rows("SELECT begin_ns FROM variants WHERE variant = ?", variant)
    span_s = (float(over.max()) - begin_ns) / NS_PER_S
    passes = _columns(journal.rows("SELECT begin_ns, end_ns FROM passes WHERE variant = ? ORDER BY exchange", variant))
    ((batches,),) = journal.rows("SELECT count(*) FROM pass_rows WHERE variant = ?", variant)
    done = np.array(endings) == Ending.DONE
    served, steady, ran = tokens > 0, tokens > 1, admitted >= 0
    ttft_s = np.where(served, first - asked, np.inf) / NS_PER_S
    tpot_s = np.where(steady, last - first, 0.0) / np.maximum(tokens - 1, 1) / NS_PER_S
    service = journal.config["service"]
    objective = float(service["ttft_s"]), float(service["tpot_s"])
    done &= tokens == given
    good = done & (ttft_s <= (objective[0] or np.inf)) & (tpot_s <= (objective[1] or np.inf))
    stays_s = (end - arrival) / NS_PER_S
    waits_s = (np.where(ran, admitted, end) - arrival) / NS_PER_S
    lasts_s = (over - asked) / NS_PER_S
    speed = np.divide(tokens, lasts_s, out=np.zeros(len(rows)), where=lasts_s > 0)

    def over_time(total: float) -> float:
        return total / span_s if span_s > 0 else 0.0

    return ServiceSummary(
        span_s=span_s,
        endings={ending.value: endings.count(ending.value) for ending in Ending},
        queueing_s=waits_s[ran],
        ttft_s=ttft_s[served],
        tpot_s=tpot_s[steady],
        end_to_end_s=lasts_s[done],
        tokens_per_s=over_time(float(tokens.sum())),
        requests_per_s=over_time(float(done.sum())),
        goodput_per_s=over_time(float(good.sum())),
        in_time=float(good.mean()),
        objective=objective,
        fairness=jain(speed),
        in_system=over_time(float(stays_s.sum())),
        in_queue=over_time(float(waits_s.sum())),
        utilisation=over_time(float((passes[1] - passes[0]).sum()) / NS_PER_S) if len(passes) else 0.0,
        batch=batches / len(passes[0]) if len(passes) else 0.0,
        on_air=None if seen is None else seen.summary,
    )


def _seen_of(seen: Seen, row: Sequence[Any]) -> tuple[int, int, int, int]:
    """Of a request: when it was asked, how many tokens came, and when the first and the last did, -1 for never."""
    request, arrival_ns, *_, tokens, first_ns, last_ns = row
    if request not in seen.asked_ns:  # on the wired side
        return arrival_ns, tokens, first_ns, last_ns
    came_ns = seen.came_ns.get(request, [])
    return seen.asked_ns[request], len(came_ns), min(came_ns, default=-1), max(came_ns, default=-1)


def jain(shares: Series) -> float:
    """Jain's fairness index: 1 where all have the same, 1 / n where one of n has all; NaN where nobody has anything."""
    squares = float((shares**2).sum())
    return float(shares.sum()) ** 2 / (len(shares) * squares) if squares > 0 else float("nan")


def pass_ends_ns(journal: Journal, variant: int) -> list[int]:
    """When the passes of a variant ended: those that many requests share, or else one for each token."""
    shared = journal.rows("SELECT end_ns FROM passes WHERE variant = ? ORDER BY exchange", variant)
    own = "SELECT end_ns FROM tokens WHERE variant = ? ORDER BY end_ns"
    return [end_ns for (end_ns,) in shared or journal.rows(own, variant)]


def _columns(rows: list[Any]) -> list[Series]:
    """The columns of rows of whole numbers; none where there is no row."""
    return list(np.array(rows, dtype=np.float64).T)
