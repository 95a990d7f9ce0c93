# SPDX-License-Identifier: GPL-2.0-only
"""NR's tables and error model against sionna, and against what sionna's tables say."""

import json
from collections.abc import Iterator
from importlib.metadata import distribution
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator
from sionna.phy.nr.utils import calculate_tb_size, decode_mcs_index
from sionna.sys import EESM

from tests.support import nr_physics
from tests.support.ns3_worker import Call, worker

MCSS = {1: 29, 2: 28, 3: 29}
DMRS = 12


@pytest.fixture(scope="module")
def ns3() -> Iterator[Call]:
    with worker() as call:
        yield call


@pytest.mark.parametrize("table", MCSS)
def test_the_mcs_tables_are_those_of_38_214(ns3, table):
    index = torch.arange(MCSS[table])
    orders, rates = decode_mcs_index(index, table_index=table, is_pusch=False)
    found = ns3(nr_physics.mcs_table, table)
    assert [order for order, _ in found] == orders.tolist()
    assert [rate for _, rate in found] == pytest.approx(rates.tolist(), rel=1e-6)


@pytest.mark.parametrize(
    ("table", "lowest", "highest"), [(1, 0.1523, 5.5547), (2, 0.1523, 7.4063), (3, 0.0586, 4.5234)]
)
def test_the_cqi_tables_rise_from_the_lowest_to_the_highest_efficiency(ns3, table, lowest, highest):
    """The ends as TS 38.214 tables 5.2.2.1-2 to -4 have them."""
    efficiencies = [order * rate for order, rate in ns3(nr_physics.cqi_table, table)]
    assert len(efficiencies) == 15
    assert efficiencies == sorted(efficiencies)
    assert (efficiencies[0], efficiencies[-1]) == pytest.approx((lowest, highest), abs=5e-5)


Case = tuple[int, int, int, int, int]
CASES = st.lists(
    st.sampled_from(sorted(MCSS)).flatmap(
        lambda table: st.tuples(
            st.integers(1, 273), st.integers(3, 13), st.just(table), st.integers(0, MCSS[table] - 1), st.integers(1, 2)
        )
    ),
    min_size=1,
    max_size=60,
)


@settings(deadline=None, max_examples=40)
@given(CASES)
def test_transport_and_code_blocks_are_those_of_sionna(ns3, drawn):
    cases: list[Case] = [(prbs, 12 * symbols - DMRS, table, mcs, layers) for prbs, symbols, table, mcs, layers in drawn]
    for (prbs, symbols, table, mcs, layers), found in zip(drawn, ns3(nr_physics.blocks, cases), strict=True):
        order, rate = decode_mcs_index(mcs, table_index=table, is_pusch=False)
        size, block_bits, count, *_ = calculate_tb_size(
            modulation_order=order,
            target_coderate=rate.double(),
            num_prbs=prbs,
            num_ofdm_symbols=symbols,
            num_dmrs_per_prb=DMRS,
            num_layers=layers,
        )
        assert found == (int(size), int(count), int(block_bits))


def _curves() -> Iterator[tuple[int, int, list[float], list[int], np.ndarray]]:
    folder = Path(str(distribution("sionna-no-rt").locate_file("sionna/sys/bler_tables")))
    for name in ("PDSCH_table1", "PDSCH_table2", "PDSCH_table3"):
        (tables,) = json.loads((folder / f"{name}.json").read_text())["category"].values()
        for table, mcss in tables["index"].items():
            for mcs, held in mcss["MCS"].items():
                sizes = sorted(map(int, held["CBS"]))
                values = np.array([held["CBS"][str(size)]["BLER"] for size in sizes])
                yield int(table), int(mcs), held["SNR_db"], sizes, np.minimum.accumulate(values, axis=1)


def test_the_bler_is_that_of_the_tables(ns3):
    random = np.random.default_rng(1)
    cases, wanted = [], []
    for table, mcs, sinrs_db, sizes, values in _curves():
        between = RegularGridInterpolator((sizes, sinrs_db), values)
        for _ in range(10):
            bits, db = int(random.integers(32, 1900)), random.uniform(sinrs_db[0], sinrs_db[-1])
            cases.append((table, mcs, bits, db))
            wanted.append(float(between([[bits + 16, db]])[0]))  # one code block, with its CRC
    assert ns3(nr_physics.bler, cases) == pytest.approx(wanted, abs=1e-9)


def test_many_code_blocks_fail_together(ns3):
    mcs = 15
    (db,) = ns3(nr_physics.threshold, [(1, mcs, 8000, 0.3)])
    bits = ns3(nr_physics.blocks, [(273, 132, 1, mcs, 2)])[0]
    assert bits[1] > 5
    one = ns3(nr_physics.bler, [(1, mcs, 8000, db)])[0]  # of more than 2000 bits, the largest in the tables
    assert one == pytest.approx(0.3, abs=0.01)
    assert ns3(nr_physics.bler, [(1, mcs, bits[0], db)])[0] == pytest.approx(1 - (1 - one) ** bits[1])


@pytest.mark.parametrize("table", [1, 2])
def test_the_effective_sinr_is_that_of_sionnas_eesm(ns3, table):
    random = np.random.default_rng(table)
    cases = [(table, mcs, random.gamma(1, 10 ** random.uniform(-0.5, 2.5), 50).tolist()) for mcs in range(MCSS[table])]
    eesm = EESM(precision="double")
    wanted = [
        10 * np.log10(float(eesm(torch.tensor(sinr, dtype=torch.float64)[None, :, None, None], mcs, table)))
        for _, mcs, sinr in cases
    ]
    assert ns3(nr_physics.effective, cases) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("table", MCSS)
def test_bler_falls_with_sinr_and_the_threshold_is_its_inverse(ns3, table):
    for mcs in range(MCSS[table]):
        for bits in (96, 3000, 60_000):
            sweep = ns3(nr_physics.bler, [(table, mcs, bits, db) for db in np.arange(-20, 32, 0.25).tolist()])
            assert all(later <= earlier for earlier, later in pairwise(sweep))
            assert (sweep[0], sweep[-1]) == (1, 0)
        (at_db,) = ns3(nr_physics.threshold, [(table, mcs, 3000, 0.1)])
        around = ns3(nr_physics.bler, [(table, mcs, 3000, at_db + apart) for apart in (0, -0.01)])
        assert around[0] <= 0.1 < around[1]


@pytest.mark.parametrize("table", MCSS)
def test_the_mcs_chosen_is_the_highest_that_the_bler_allows(ns3, table):
    for prbs, elements, layers in ((273, 132, 2), (16, 132, 1), (4, 84, 1)):
        bits = [
            b for b, _, _ in ns3(nr_physics.blocks, [(prbs, elements, table, m, layers) for m in range(MCSS[table])])
        ]
        for db in np.arange(-8, 32, 1.0).tolist():
            sweep = ns3(nr_physics.bler, [(table, mcs, bits[mcs], db) for mcs in range(MCSS[table])])
            wanted = max((mcs for mcs, value in enumerate(sweep) if value <= 0.1), default=-1)
            assert ns3(nr_physics.best_mcs, [(table, db, prbs, elements, layers, 0.1)]) == [wanted]


@pytest.mark.parametrize("table", MCSS)
def test_the_cqi_rises_with_sinr_from_out_of_range_to_15(ns3, table):
    found = ns3(nr_physics.cqi, [(table, db, 273, 132) for db in np.arange(-20, 40, 0.1).tolist()])
    assert found == sorted(found)
    assert set(found) == set(range(16))


@pytest.mark.parametrize("mcs", [4, 9, 16, 27])
def test_retransmissions_help(ns3, mcs):
    bits = 20_000
    for db in np.arange(-5, 25, 0.5).tolist():
        chase = [(1, mcs, bits, [db] * count, False) for count in (1, 2, 4)]
        redundant = [(1, mcs, bits, [db] * count, True) for count in (1, 2, 4)]
        gains_db = [10 * np.log10(count) for count in (1, 2, 4)]  # the energies add up: 3 dB for each doubling
        single = ns3(nr_physics.bler, [(1, mcs, bits, db + gain) for gain in gains_db])
        combined = ns3(nr_physics.combined, chase)
        assert combined == pytest.approx(single, abs=1e-9)
        assert (np.array(ns3(nr_physics.combined, redundant)) <= np.array(combined) + 1e-12).all()


def test_incremental_redundancy_gains_most_where_the_code_rate_is_high(ns3):
    """Where chase combining gains 3 dB by two transmissions, Shannon's formula gives rate 0.93 of 64QAM some 8 dB."""
    target_db = {}
    for incremental in (False, True):
        sweep_db = np.arange(0, 25, 0.05).tolist()
        found = ns3(nr_physics.combined, [(1, 28, 20_000, [db, db], incremental) for db in sweep_db])
        target_db[incremental] = next(db for db, value in zip(sweep_db, found, strict=True) if value <= 0.1)
    assert 4 < target_db[False] - target_db[True] < 7


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("mcs", [4, 14, 20, 28])
def test_a_retransmission_in_fewer_elements_helps_less_down_to_nothing(ns3, mcs, incremental):
    """The coded bits of a transmission are those that its elements take, TS 38.212 clause 5.4.2."""
    bits = 20_000
    for db in np.arange(-5, 22, 0.5).tolist():
        case = (1, mcs, bits, [db, db], incremental)
        falling = [ns3(nr_physics.combined, [case], [1.0, part])[0] for part in (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)]
        assert falling[0] == pytest.approx(ns3(nr_physics.bler, [(1, mcs, bits, db)])[0], abs=1e-9)
        assert falling[4] == pytest.approx(ns3(nr_physics.combined, [case])[0], abs=1e-12)
        assert all(later <= earlier + 1e-9 for earlier, later in pairwise(falling))
        thrice = ns3(nr_physics.combined, [(1, mcs, bits, [db] * 3, incremental)])[0]
        assert falling[-1] == pytest.approx(thrice, abs=1e-9)  # one of twice as many bits is as good as two


def test_half_a_retransmission_has_the_code_rate_of_one_and_a_half(ns3):
    """Of 64QAM, rate 772/1024 of table 1 is about 1.5 times 517/1024: within how far the two are apart by Shannon."""
    high, low, bits = 24, 19, 20_000
    apart_db = 10 * np.log10((2 ** (6 * 772 / 1024 / 1.5) - 1) / (2 ** (6 * 517 / 1024) - 1))
    (low_db,) = ns3(nr_physics.threshold, [(1, low, bits, 0.1)])
    sweep_db = np.arange(low_db - 2, low_db + 4, 0.05).tolist()
    found = [ns3(nr_physics.combined, [(1, high, bits, [db, db], True)], [1.0, 0.5])[0] for db in sweep_db]
    reached_db = next(db for db, value in zip(sweep_db, found, strict=True) if value <= 0.1)
    assert reached_db == pytest.approx(low_db + apart_db, abs=0.1)
