# SPDX-License-Identifier: GPL-2.0-only
"""Random access of an NR cell, held against the rules of TS 38.321 clause 5.1 and against what chance gives."""

import math
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.nr_access import Air
from tests.support.nr_random_access import ALONE, COLLIDED, PREAMBLE, UNHEARD, Row, accessed

MS = 1_000_000
WINDOW_NS, CONTENTION_NS = 10 * MS, 64 * MS
RUNS = 1500


@pytest.mark.parametrize(("preambles", "devices"), [(64, 8), (8, 3), (2, 2), (1, 1)])
def test_devices_collide_as_often_as_chance_has_it(ns3, preambles, devices):
    """One is alone with probability (1 - 1/P)^(n - 1); within four standard deviations."""
    runs = ns3(accessed, [0] * devices, range(1000, 1000 + RUNS), preambles=preambles)
    alone = [sum(row.kind == ALONE and row.time_ns == 2 * MS for row in rows) / devices for rows in runs]
    chance = (1 - 1 / preambles) ** (devices - 1)
    error = math.sqrt(sum((share - chance) ** 2 for share in alone)) / RUNS
    assert sum(alone) / RUNS == pytest.approx(chance, abs=4 * error + 1e-12)


def judge(rows: list[Row], begin_ns: list[int], backoff_ns: int, unheard_until_ns: int) -> None:
    """Each device sends at the first occasion from when it may, until it is alone, once; who is not, is not alone."""
    air = Air(1, "DDDSU", 0.0, {})
    may_ns = {device: float(at_ns) for device, at_ns in enumerate(begin_ns)}
    sent: dict[int, set[int]] = defaultdict(set)
    collided: dict[int, int] = defaultdict(int)
    done = set()
    for row in rows:
        last_ns = max(sent[row.device], default=-1)
        slot = round(last_ns / air.slot_ns)
        if row.kind == PREAMBLE:
            assert row.time_ns == air.preamble(math.ceil(may_ns.pop(row.device))) * air.slot_ns
            sent[row.device].add(row.time_ns)
        elif row.kind == ALONE:
            assert row.time_ns == last_ns >= unheard_until_ns
            assert row.message_3 == air.message_3(slot)
            assert row.device not in done
            done.add(row.device)
        elif row.kind == UNHEARD:
            assert last_ns < unheard_until_ns
            assert row.time_ns == (slot + 1) * air.slot_ns + WINDOW_NS  # behind U comes D
            may_ns[row.device] = row.time_ns
        else:
            assert row.kind == COLLIDED
            end_ns = (air.message_3(slot) + 13 / 14) * air.slot_ns + CONTENTION_NS
            assert -1 <= row.time_ns - end_ns <= backoff_ns + 1
            collided[last_ns] += 1
            may_ns[row.device] = row.time_ns
    assert done == set(range(len(begin_ns)))
    assert not may_ns
    assert all(count > 1 for count in collided.values())


@settings(max_examples=60, deadline=None)
@given(
    begins=st.lists(st.integers(0, 60 * MS), min_size=1, max_size=8),
    preambles=st.sampled_from([2, 3, 8, 64]),
    backoff_ms=st.sampled_from([0, 20, 160]),
    unheard_until_ns=st.sampled_from([0, 0, 25 * MS, 70 * MS]),
    stream=st.integers(1, 10**6),
)
def test_each_device_is_found_in_the_end(ns3, begins, preambles, backoff_ms, unheard_until_ns, stream):
    options = {"backoff_ms": backoff_ms, "unheard_until_ns": unheard_until_ns}
    (rows,) = ns3(accessed, begins, [stream], preambles=preambles, **options)
    judge(rows, begins, backoff_ms * MS, unheard_until_ns)
