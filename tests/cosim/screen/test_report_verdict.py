# SPDX-License-Identifier: Apache-2.0
"""The last line of a run in which nothing came back."""

from types import SimpleNamespace

from bridge.network import Status
from cosim.screen.report import nothing_back


def variant(policy: str, **counts: int) -> SimpleNamespace:
    statuses = {status.value: counts.get(status.value, 0) for status in Status}
    return SimpleNamespace(policy=policy, network="live", statuses=statuses)


def test_only_variants_without_a_single_answer_are_told_of():
    some, none, unasked = variant("some", done=1, late=9), variant("none", lost=2, late=3), variant("unasked")
    assert nothing_back([some, unasked], ["a note"]) is None
    line = nothing_back([some, none], [])
    assert line == (
        "nothing ever came back: 5 transfers of none (live), none done; "
        "cosim scenarios NAME --check tries each device alone"
    )


def test_the_first_reason_stands_in_the_line():
    empty = variant("top-k", lost=1)
    assert nothing_back([empty], ["why"]) == "nothing ever came back: 1 transfers of top-k (live), none done; why"
    assert nothing_back([empty], ["why", "more"]).endswith("; why (and 1 more above)")
