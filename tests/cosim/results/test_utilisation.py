# SPDX-License-Identifier: Apache-2.0
"""How busy devices, links and the base station are, by the closed form of links with rates of their own."""

from contextlib import closing

import numpy as np
import pytest

from bridge.network import NS_PER_S
from cosim.record.journal import Journal
from cosim.results.figures import figures_of
from cosim.results.summary import summarise
from tests.support.small_run import DEVICES, ChannelNetwork, service_run, small_run

RATES_BPS = np.array([ChannelNetwork().rate_bps(device) for device in range(DEVICES)])


@pytest.fixture(scope="module", params=[small_run, service_run])
def run(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("run"))


def test_busy_times_are_bytes_over_rates_and_what_was_computed_over_the_span(run):
    for variant in summarise(run):
        use = variant.use
        with closing(Journal.open(run)) as journal:
            number = journal.rows("SELECT variant FROM variants WHERE policy = ?", variant.policy)[0][0]
            sums = journal.rows(
                "SELECT sum(downlink_bytes), sum(compute_ns), sum(uplink_bytes) FROM transfers "
                "WHERE variant = ? GROUP BY device ORDER BY device",
                number,
            )
            ((end_ns,),) = journal.rows(
                "SELECT max((SELECT max(end_ns) FROM tokens WHERE variant = ?1), "
                "(SELECT coalesce(max(end_ns), 0) FROM requests WHERE variant = ?1))",
                number,
            )
        down, compute, up = np.array(sums, dtype=np.float64).T
        assert use.span_s == pytest.approx(end_ns / NS_PER_S)  # the network was ready at 0
        assert use.downlink * use.span_s == pytest.approx(8 * down / RATES_BPS, rel=1e-6)
        assert use.compute * use.span_s == pytest.approx(compute / NS_PER_S)
        assert use.uplink * use.span_s == pytest.approx(8 * up / RATES_BPS, rel=1e-6)
        assert use.band == pytest.approx((use.downlink.sum(), use.uplink.sum()), rel=1e-6)


def test_parts_of_the_time_add_up(run):
    """Passes are exchanges and what the base station computes; nobody is busy for longer than an exchange goes on."""
    variant = summarise(run)[0]
    with closing(Journal.open(run)) as journal:
        ((air_ns,),) = journal.rows("SELECT sum(end_ns - depart_ns) FROM exchanges WHERE variant = 1")
    air = air_ns / NS_PER_S / variant.use.span_s
    under_way = air + variant.use.base_station
    assert under_way == pytest.approx(variant.service.utilisation if variant.service else 1)
    assert (variant.use.downlink + variant.use.compute + variant.use.uplink <= air + 1e-9).all()


def test_a_row_of_a_study_has_what_users_saw(run):
    variant = summarise(run)[0]
    row = figures_of(variant)
    assert row["uplink_busy"] == pytest.approx(variant.use.uplink.mean())
    assert (row["queueing_p99_s"] is not None) == (variant.service is not None)
    if variant.service is not None:
        assert row["end_to_end_p95_s"] == pytest.approx(np.percentile(variant.service.end_to_end_s, 95))
        assert row["ttft_median_s"] == pytest.approx(np.median(variant.ttft_s))
        assert row["requests_queue_full"] == variant.service.endings["queue-full"]
