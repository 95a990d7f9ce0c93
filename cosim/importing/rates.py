# SPDX-License-Identifier: Apache-2.0
"""Rates that were measured at some times, as steps of a link that is recorded."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from statistics import fmean, median
from typing import NamedTuple

HOLD_STEPS = 5
_ABUT_S = 1e-3


class Interval(NamedTuple):
    """So much was carried between two times."""

    begin_s: float
    end_s: float
    rate_bps: float


class Sample(NamedTuple):
    """A row: when, and how much; `amount` in bit/s, or in bits where the row counts what went through."""

    time_s: float
    amount: float


@dataclass
class Series:
    """One direction of a link, over time that does not overlap; what was passed over, by reason."""

    intervals: list[Interval]
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def span_s(self) -> float:
        """From its beginning to its end."""
        return self.intervals[-1].end_s - self.intervals[0].begin_s

    @property
    def mean_bps(self) -> float:
        """Over all of its time."""
        return sum((end_s - begin_s) * rate_bps for begin_s, end_s, rate_bps in self.intervals) / self.span_s

    def told(self) -> list[str]:
        """For the preview."""
        rates = [interval.rate_bps / 1e6 for interval in self.intervals]
        silent = [after.begin_s - one.end_s for one, after in pairwise(self.intervals)]
        gaps = [gap_s for gap_s in silent if gap_s > _ABUT_S]
        lines = [
            f"{len(rates)} values over {self.span_s:.10g} s; least {min(rates):.4g}, median {median(rates):.4g}, "
            f"greatest {max(rates):.4g}, mean over time {self.mean_bps / 1e6:.4g} Mbit/s"
        ]
        lines += [f"skipped {count}: {reason}" for reason, count in self.skipped.items()]
        return lines + [f"{len(gaps)} gaps, silent for {sum(gaps):.4g} s in all"] * bool(gaps)

    def csv(self) -> str:
        """As the scenario `recorded` reads it: silent where nothing was measured, and as long as it was.

        There the last row lasts as long as the one before it: so the last step is told in two halves.
        """
        zero_s = self.intervals[0].begin_s
        steps: list[tuple[float, float]] = []
        for one, after in pairwise([*self.intervals, None]):
            assert one is not None
            steps.append((one.begin_s - zero_s, one.rate_bps))
            if after is not None and after.begin_s - one.end_s > _ABUT_S:
                steps.append((one.end_s - zero_s, 0.0))
        last_s, rate_bps = steps[-1]
        steps.append(((last_s + self.span_s) / 2, rate_bps))
        return "\n".join(["time_s,rate_bps", *(f"{at_s:.9f},{rate:.0f}" for at_s, rate in steps), ""])


def merged(samples: Sequence[Sample], counts: bool) -> list[Sample]:
    """Rows of one time stamp as one: the mean of their rates, or the sum where they count what went through."""
    alike = ([row.amount for row in rows] for _, rows in groupby(samples, key=lambda row: row.time_s))
    times_s = dict.fromkeys(row.time_s for row in samples)
    return [Sample(time_s, sum(a) if counts else fmean(a)) for time_s, a in zip(times_s, alike, strict=True)]


def intervals(samples: Sequence[Sample], hold_s: float | None, at_end: bool, counts: bool) -> list[Interval]:
    """What rows say of the time around them; their time stamps rise, and there are two at least.

    A row is about the time from its stamp to the next one, the last about as long as the median is, or with `at_end`
    about the time since the stamp before. It says nothing of more than `hold_s` of that, by default `HOLD_STEPS` times
    the median.
    """
    step_s = median(after.time_s - row.time_s for row, after in pairwise(samples))
    most_s = HOLD_STEPS * step_s if hold_s is None else hold_s
    found = []
    ends_s = [*(row.time_s for row in samples[1:]), samples[-1].time_s + step_s]
    for row, end_s in zip(samples, ends_s, strict=True):
        found.append((row.time_s, end_s, row.amount))
    if at_end:
        found = [(row.time_s, after.time_s, after.amount) for row, after in pairwise(samples)]
    return [
        Interval(
            max(begin_s, end_s - most_s) if at_end else begin_s,
            end_s if at_end else min(end_s, begin_s + most_s),
            amount / (end_s - begin_s) if counts else amount,
        )
        for begin_s, end_s, amount in found
    ]
