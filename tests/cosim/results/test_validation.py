# SPDX-License-Identifier: Apache-2.0
"""How far two services are apart, matched by hand: what users see by request, layers by the rows that they carry."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cosim.record.journal import Journal
from cosim.results.validation import device_errors, policy_errors
from tests.support.small_run import service_run


@pytest.fixture(scope="module")
def journals(tmp_path_factory):
    """Of up to three requests at a time, and of up to two."""
    runs: list[Path] = []
    for settings in ((), ("service.requests=2",)):
        runs.append(service_run(tmp_path_factory.mktemp("run"), *settings))
    with closing(Journal.open(runs[0])) as one, closing(Journal.open(runs[1])) as other:
        yield one, other


def layers(journal: Journal) -> dict[Any, tuple[str, int, dict[int, int]]]:
    """By the rows of its pass and its number: phase, latency, and what each device took, of the first variant."""
    found = {}
    for first in [row[0] for row in journal.rows("SELECT exchange FROM passes WHERE variant = 1")]:
        rows = tuple(
            journal.rows("SELECT request, position, tokens FROM pass_rows WHERE (variant, exchange) = (1, ?)", first)
        )
        for number in range(3):
            ((phase, took_ns),) = journal.rows(
                "SELECT phase, end_ns - depart_ns FROM exchanges WHERE (variant, exchange) = (1, ?)", first + number
            )
            devices = dict(
                journal.rows(
                    "SELECT device, uplink_end_ns - downlink_begin_ns FROM transfers "
                    "WHERE (variant, exchange) = (1, ?)",
                    first + number,
                )
            )
            found[rows, number] = phase, took_ns, devices
    return found


def test_layers_are_compared_where_they_carry_the_same_rows(journals):
    ours, theirs = map(layers, journals)
    both = ours.keys() & theirs.keys()
    assert 0 < len(both) < min(len(ours), len(theirs))
    told = {error.what: error.relative for error in policy_errors(*journals)["top-k"]}
    for phase in ("prefill", "decode", "mixed"):
        wanted = [ours[key][1] / theirs[key][1] - 1 for key in both if ours[key][0] == phase]
        assert sorted(told.get(f"layer, {phase}, same rows", [])) == pytest.approx(sorted(wanted)), phase
    of_both = [layers_of.relative for layers_of in device_errors(*journals)]
    wanted = sum(len(ours[key][2]) for key in both)
    assert sum(map(len, of_both)) >= wanted > 0  # the other policy's come on top


def test_what_users_see_is_compared_by_request(journals):
    told = {error.what: error.relative for error in policy_errors(*journals)["top-k"]}

    def seen(journal: Journal) -> dict[str, dict[Any, int]]:
        arrival = dict(journal.rows("SELECT request, arrival_ns FROM requests WHERE variant = 1"))
        ends = dict(journal.rows("SELECT request, end_ns FROM requests WHERE variant = 1 AND ending = 'done'"))
        tokens: dict[tuple[int, int], int] = {}
        first: dict[int, int] = {}
        before = dict(arrival)
        for request, position, end_ns in journal.rows(
            "SELECT request, position, end_ns FROM tokens WHERE variant = 1 ORDER BY request, position"
        ):
            first.setdefault(request, end_ns - arrival[request])
            tokens[request, position] = end_ns - before[request]
            before[request] = end_ns
        return {"token": tokens, "TTFT": first, "end to end": {each: ends[each] - arrival[each] for each in ends}}

    ours, theirs = map(seen, journals)
    for what in ("token", "TTFT", "end to end"):
        both = ours[what].keys() & theirs[what].keys()
        wanted = sorted(ours[what][key] / theirs[what][key] - 1 for key in both)
        assert any(wanted)
        assert sorted(told[what]) == pytest.approx(wanted), what
