# SPDX-License-Identifier: GPL-2.0-only
"""NR's link adaptation: reports, the outer loop, ranks and capacities against closed forms and the error model."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import nr_mac, nr_physics
from tests.support.ns3_worker import Call

HIGHEST_MCS = 27  # of the table for 256QAM


def test_each_cqi_begins_where_the_error_model_says(ns3):
    found, below, above = ns3(nr_mac.thresholds)
    assert found == sorted(found)
    assert below == list(range(15))
    assert above == list(range(1, 16))


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("sinr_db", [-5.0, 3.3, 17.0, 28.0])
def test_a_flat_channel_is_reported_as_it_is_and_power_shifts_it(ns3, sinr_db, is_told):
    wide_db, expected_db, cqi = ns3(nr_mac.flat, sinr_db, is_told, 3.0)
    thresholds, *_ = ns3(nr_mac.thresholds)
    assert wide_db == pytest.approx(sinr_db, abs=1e-9)
    assert cqi == (sum(threshold <= sinr_db for threshold in thresholds) if is_told else 0)
    known_db = thresholds[cqi - 1] if is_told else sinr_db  # what a CQI says is the least that it stands for
    assert expected_db == pytest.approx(known_db + 3.0, abs=1e-9)


def block_bits(ns3: Call, layer_db: float, layers: int) -> int:
    """Of the largest block whose BLER is no more than a tenth; 0 if there is none."""
    found = ns3(nr_physics.blocks, [(nr_mac.PRBS, nr_mac.ELEMENTS, 2, mcs, layers) for mcs in range(HIGHEST_MCS + 1)])
    blers = ns3(nr_physics.bler, [(2, mcs, bits, layer_db) for mcs, (bits, _, _) in enumerate(found)])
    return max((bits for (bits, _, _), bler in zip(found, blers, strict=True) if bler <= 0.1), default=0)


@pytest.mark.parametrize("is_told", [False, True])
@pytest.mark.parametrize(
    ("first", "second", "crossed", "single"),
    [
        *((10 ** (db / 10), 10 ** (db / 10), 0.0, 10 ** (db / 10)) for db in range(-12, 46, 3)),  # flat
        *((10 ** (db / 10), 10 ** (db / 10), 0.0, 2 * 10 ** (db / 10)) for db in range(-12, 46, 3)),  # and in phase
        *((1e4, share * 1e4, 0.0, 1e4) for share in (0.5, 0.1, 0.01)),
        *((1e4, 1e4, share * 1e8, 2e4) for share in (0.3, 0.9, 0.99)),
        (0.0, 0.0, 0.0, 10.0),
    ],
)
def test_the_rank_is_that_of_the_larger_block_behind_an_mmse_receiver(ns3, first, second, crossed, single, is_told):
    """For two columns of norms a, b and product c, the SINR of the first at half the power is a/2 - (c/4)/(1 + b/2).

    One layer where neither rank gives a block (TS 38.214 clause 5.2.2: what the tables give with 10 % of errors).
    """
    rank, wide_db, *_ = ns3(nr_mac.rank, first, second, crossed, single, is_told)
    layers = [first / 2 - crossed / 4 / (1 + second / 2), second / 2 - crossed / 4 / (1 + first / 2)]
    shannon = [math.log2(1 + single), sum(math.log2(1 + sinr) for sinr in layers) / 2]
    wanted_db = [10 * math.log10(max(2**bits - 1, 1e-9)) for bits in shannon]
    assert wide_db[0] == pytest.approx(wanted_db[0], abs=1e-6)
    blocks = [block_bits(ns3, db, number) for number, db in enumerate(wanted_db, 1)]
    assert rank == (2 if blocks[1] > blocks[0] else 1)


@pytest.mark.parametrize("is_told", [False, True])
@pytest.mark.parametrize("most_layers", [3, 4])
@pytest.mark.parametrize(
    "singular",
    [(1e3,) * 4, (1e3, 1e3, 1e3, 1.0), (300.0, 100.0, 30.0, 10.0), (30.0, 20.0, 4.0, 2.0), (9.0, 1.0, 0.1, 0.1)],
)
def test_the_rank_of_four_ports_is_that_of_the_largest_block(ns3, singular, most_layers, is_told):
    """Of layers in the directions of the strongest singular values each has its share of the power."""
    rank, wide_db, bits = ns3(nr_mac.rank_of_four, singular, most_layers, is_told)
    blocks = []
    for layers in range(1, 5):
        shannon = sum(math.log2(1 + value**2 / layers) for value in singular[:layers]) / layers
        assert wide_db[layers - 1] == pytest.approx(10 * math.log10(2**shannon - 1), abs=1e-6)
        blocks.append(block_bits(ns3, wide_db[layers - 1], layers))
    assert bits == max(blocks[:most_layers])
    assert rank == blocks.index(bits) + 1


def test_more_power_on_fewer_prbs_may_carry_two_layers_where_the_whole_carrier_has_none(ns3):
    """The gNB knows its uplink; of the downlink it knows only the rank that the device told."""
    for is_told in (False, True):
        rank, _, rank_at_more, bits = ns3(nr_mac.rank, 0.1, 0.1, 0.0, 0.1, is_told)
        assert (rank, rank_at_more, bits) == (1, 1 if is_told else 2, 0)


@pytest.mark.parametrize("sinr_db", [-9.0, 0.0, 10.0, 20.0, 35.0])
def test_the_capacity_is_the_block_of_the_best_mcs(ns3, sinr_db):
    found, wanted = ns3(nr_mac.capacity, sinr_db)
    assert found == wanted


@settings(deadline=None, max_examples=25)
@given(
    mcs=st.integers(0, HIGHEST_MCS),
    outcomes=st.lists(st.booleans(), min_size=1, max_size=300),
    step_db=st.floats(0.01, 1),
    target=st.floats(0.01, 0.5),
)
def test_the_outer_loop_balances_failures_at_the_target(ns3, mcs, outcomes, step_db, target):
    """A failure lowers by a step, a success raises by target / (1 - target) of it; an MCS at its end has no way on."""
    shift_db, failed = 0.0, 0
    for number, (outcome, (found_db, bler)) in enumerate(
        zip(outcomes, ns3(nr_mac.outer_loop, mcs, outcomes, step_db, target), strict=True), 1
    ):
        if outcome and mcs < HIGHEST_MCS:
            shift_db = min(shift_db + step_db * target / (1 - target), 20)
        if not outcome and mcs > 0:
            shift_db = max(shift_db - step_db, -20)
        failed += not outcome
        assert found_db == pytest.approx(shift_db, abs=1e-6)
        if number <= 100:
            assert bler == pytest.approx(failed / number, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(
    numerology=st.integers(0, 3),
    most_dbm=st.floats(0, 26),
    nominal_dbm=st.floats(-110, -60),
    factor=st.floats(0, 1),
    loss_db=st.floats(40, 150),
    prbs=st.integers(1, 273),
)
def test_power_control_is_the_open_loop_of_38_213(ns3, numerology, most_dbm, nominal_dbm, factor, loss_db, prbs):
    """Clause 7.1.1: min(P_CMAX, P0 + 10 log10(2^mu M) + alpha PL), over M PRBs."""
    asked_dbm = nominal_dbm + 10 * math.log10(2**numerology * prbs) + factor * loss_db
    found = ns3(nr_mac.psd_mw, numerology, most_dbm, nominal_dbm, factor, loss_db, prbs)
    assert 10 * math.log10(found * prbs) == pytest.approx(min(most_dbm, asked_dbm), abs=1e-9)
