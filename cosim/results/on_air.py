# SPDX-License-Identifier: Apache-2.0
"""What users in the cell saw of their requests, from a journal alone: when prompts went, and when tokens came."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.network import NS_PER_S, Status
from cosim.record.journal import Journal

Series = NDArray[np.float64]
UNDER_WAY = "under way"


@dataclass(frozen=True)
class OnAirSummary:
    """Of a variant: virtual seconds that prompts and tokens took which arrived, tokens from the end of their pass,
    and how many of either ended how; `UNDER_WAY` in a run that did not come to its end."""

    prompt_s: Series
    token_s: Series
    prompts: dict[str, int]
    tokens: dict[str, int]


@dataclass(frozen=True)
class Seen:
    """When each request was asked, and when its tokens arrived that did, in ns, in order of the text."""

    asked_ns: dict[int, int]
    came_ns: dict[int, list[int]]
    summary: OnAirSummary


def seen_by_users(journal: Journal, variant: int) -> Seen | None:
    """What users in the cell saw; None where all are on the wired side."""
    rows = journal.rows(
        "SELECT m.request, m.position IS NULL, m.begin_ns, d.status, d.end_ns FROM messages m "
        "LEFT JOIN deliveries d ON (d.variant, d.message) = (m.variant, m.message) "
        "WHERE m.variant = ? ORDER BY m.request, m.position",
        variant,
    )
    if not rows:
        return None
    asked_ns: dict[int, int] = {}
    came_ns: dict[int, list[int]] = {}
    took_s: dict[bool, list[float]] = {True: [], False: []}
    ended: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for request, is_prompt, begin_ns, status, end_ns in rows:
        ended[bool(is_prompt)][status or UNDER_WAY] += 1
        if is_prompt:
            asked_ns[request] = begin_ns
        if status == Status.DONE:
            took_s[bool(is_prompt)].append((end_ns - begin_ns) / NS_PER_S)
            if not is_prompt:
                came_ns.setdefault(request, []).append(end_ns)
    summary = OnAirSummary(np.array(took_s[True]), np.array(took_s[False]), dict(ended[True]), dict(ended[False]))
    return Seen(asked_ns, came_ns, summary)
