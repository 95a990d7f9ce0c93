# SPDX-License-Identifier: Apache-2.0
"""How long decisions took: the figures against Python's statistics; they are no part of what a run was."""

import sqlite3
import statistics
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.experiment import replay
from cosim.record.decisions import Decisions
from cosim.record.journal import FILE_NAME, Journal
from cosim.results.summary import summarise
from tests.support.small_run import small_run


@given(st.lists(st.floats(0, 10), min_size=2, max_size=50))
def test_they_are_mean_and_quantiles(took_s):
    told = Decisions.of(took_s)
    percentiles = statistics.quantiles(took_s, n=100, method="inclusive")
    assert (told.count, told.max_s) == (len(took_s), max(took_s))
    expected = (statistics.fmean(took_s), statistics.median(took_s), percentiles[94])
    assert (told.mean_s, told.p50_s, told.p95_s) == pytest.approx(expected)


def test_each_variant_has_them_and_a_run_is_the_same_without(tmp_path):
    run = small_run(tmp_path)
    with closing(Journal.open(run)) as journal:
        whole = journal.fingerprint()
        policies_s = dict(journal.rows("SELECT variant, wall_s FROM costs WHERE part = 'policy'"))
        for number, variant in enumerate(summarise(journal), 1):
            assert variant.decisions is not None
            exchanges = sum(map(len, variant.layer_s.values()))
            assert variant.decisions.count == exchanges
            assert variant.decisions.mean_s * exchanges == pytest.approx(policies_s[number])
    with closing(sqlite3.connect(run / FILE_NAME)) as db, db:
        db.execute("UPDATE decisions SET p50_s = p50_s + 1")
    replay(run)
    with closing(Journal.open(run)) as journal:
        assert journal.fingerprint() == whole
