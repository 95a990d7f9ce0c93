# SPDX-License-Identifier: Apache-2.0
"""Every way of predicting, on links of closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import NS_PER_S
from model_side.prediction import PREDICTORS
from model_side.prediction.predictor import DEFAULT_RATE_BPS
from tests.support.links import Link, exchange, expected_s, predict

every = pytest.mark.parametrize("name", PREDICTORS)
histories = st.lists(
    st.tuples(
        st.floats(0, 3),
        st.dictionaries(st.integers(0, 2), st.integers(1, 10**7), max_size=3),
        st.integers(0, 7),
        st.none() | st.sampled_from([(0.2, 0.3, 0.5), (0.0, 1.0, 0.0)]),
    ),
    max_size=12,
)


@every
@settings(deadline=None)
@given(histories, st.lists(st.integers(1, 10**8), min_size=3, max_size=3), st.lists(st.booleans(), min_size=3))
def test_predictions_are_positive_finite_grow_with_bytes_and_repeat(
    name: str,
    history: list[tuple[float, dict[int, int], int, tuple[float, ...] | None]],
    sizes: list[int],
    is_asked: list[bool],
):
    asked = np.array(is_asked[:3])
    for shares in (None, (0.1, 0.0, 0.9)):
        results = []
        for _ in range(2):
            predictor, links = PREDICTORS[name](3), [Link(0, 1e9, 1e9, 1), Link(cell=2), Link(0.5, 1e5, 1e4, 1)]
            now_s = 0.0
            for pause_s, work, flags, given_shares in history:
                for device, link in enumerate(links):
                    link.alive = bool(flags >> device & 1)
                rates = flags % 2 == 0
                now_s, _ = exchange(predictor, links, now_s + pause_s, work, rates, shares=given_shares)
            now_ns = round(now_s * NS_PER_S)
            for factor in (1, 2):
                size = np.array(sizes) * factor
                results.append(predictor.predict(now_ns, size, [0.0, 0.1, 0.2], size, shares, asked).seconds)
            single = predictor.predict(now_ns, np.add(sizes, [1000, 0, 0]), [0.0, 0.1, 0.2], sizes, shares, asked)
            assert single.seconds[0] >= results[-2][0]
        assert np.isfinite(results).all()
        assert np.greater(results, 0).all()
        assert (results[1] >= results[0]).all()
        assert np.array(results[:2]).tolist() == np.array(results[2:]).tolist()


@every
def test_before_anything_is_known_all_devices_look_alike(name: str):
    predicted = predict(PREDICTORS[name](3), 0, 10_000, 3)
    assert predicted == [predicted[0]] * 3
    alone = 2 * 8 * 10_000 / DEFAULT_RATE_BPS + 0.001
    assert alone <= predicted[0] <= 4 * alone


@every
def test_a_steady_link_that_is_asked_for_one_size_is_learned(name: str):
    predictor, links = PREDICTORS[name](1), [Link(0.030, 40e6, 10e6)]
    now_s = 0.0
    for _ in range(60):
        now_s, took_s = exchange(predictor, links, now_s, {0: 8192}, rates=True)
    assert predict(predictor, now_s, 8192) == pytest.approx(took_s, rel=0.02)


@every
def test_loads_along_further_axes_are_predicted_each_for_itself(name: str):
    predictor, links = PREDICTORS[name](3), [Link(), Link(0.01, 5e6, 2e6), Link()]
    now_s, _ = exchange(predictor, links, 0, {0: 8192, 1: 50_000, 2: 16384}, rates=True)
    chance = np.random.default_rng(1)
    sizes, asked = chance.integers(1, 10**6, (2, 4, 3)).astype(float), chance.random((2, 4, 3)) < 0.6
    shares = chance.random((2, 4, 3)) / 3
    now_ns = round(now_s * NS_PER_S)
    compute_s = np.full(3, 0.001)
    for some in (None, shares):
        together = predictor.predict(now_ns, sizes, compute_s, sizes, some, asked).seconds
        assert together.shape == sizes.shape
        for at in np.ndindex(2, 4):
            of = None if some is None else some[at]
            apart = predictor.predict(now_ns, sizes[at], compute_s, sizes[at], of, asked[at]).seconds
            assert together[at] == pytest.approx(apart, rel=1e-12)


@every
def test_with_shares_floor_and_efficiency_are_learned_from_exchanges_with_shares(name: str):
    """A floor of 12 ms, and 70 % of the link state's rate for the payload."""
    predictor, chance = PREDICTORS[name](3), np.random.default_rng(1)
    told = [Link(0.012, rate, rate / 4) for rate in (10e6, 40e6, 90e6)]
    real = [Link(0.012, 0.7 * link.down_bps, 0.7 * link.up_bps) for link in told]
    for device, link in enumerate(told):
        predictor.rate_bps[:, device] = link.down_bps, link.up_bps
    now_s = 0.0
    for _ in range(60):
        shares = chance.dirichlet([3, 3, 3])
        asked = {device: int(chance.integers(1, 12)) * 8192 for device in range(3)}
        now_s, took_s = exchange(predictor, real, now_s, asked, shares=shares)
    assert expected_s(predictor, now_s, asked, shares) == pytest.approx(took_s, rel=0.03)
    halved = predictor.predict(round(now_s * NS_PER_S), [1e5] * 3, [0] * 3, [1e5] * 3, [0.2, 0.4, 0.4])
    whole = predictor.predict(round(now_s * NS_PER_S), [1e5] * 3, [0] * 3, [1e5] * 3, [0.1, 0.2, 0.2])
    for way in ("down_s", "up_s"):
        floor_s = 2 * getattr(halved, way) - getattr(whole, way)
        assert floor_s == pytest.approx([0.012] * 3, rel=0.1)


def test_last_takes_the_latest_time_a_byte():
    predictor, links = PREDICTORS["last"](1), [Link(0.030)]
    now_s, took_s = exchange(predictor, links, 0, {0: 8192})
    now_s, took_s = exchange(predictor, links, now_s, {0: 16384})
    assert predict(predictor, now_s, 32768) == pytest.approx([2 * (took_s[0] - 0.001) + 0.001])


def test_ewma_finds_the_fixed_part_by_the_rate_and_smooths_the_rest():
    predictor, links = PREDICTORS["ewma"](1), [Link(0.030)]
    now_s, _ = exchange(predictor, links, 0, {0: 8192}, rates=True)
    assert predict(predictor, now_s, 819_200) == pytest.approx([links[0].latency_s(819_200, 0.001, 819_200)])
    links[0].overhead_s = 0.040
    now_s, took_s = exchange(predictor, links, now_s, {0: 8192}, rates=True)
    assert 0.063 < predict(predictor, now_s, 8192)[0] < took_s[0]


def test_cqi_rate_divides_the_rate_by_those_who_transmit():
    predictor, links = PREDICTORS["cqi-rate"](4), [Link(0, 40e6, 10e6)] * 4
    exchange(predictor, links, 0, {}, rates=True)
    alone_s = 8 * 50_000 / 40e6 + 8 * 50_000 / 10e6
    expected = expected_s(predictor, 0, dict.fromkeys(range(3), 50_000))
    assert expected[:3] == pytest.approx([3 * alone_s + 0.001] * 3)
    assert expected[3] == pytest.approx(0.001 + 4 * 8 / 40e6 + 4 * 8 / 10e6)  # one byte, if it were asked as well


def off_by(name: str, links: list[Link], rates: bool = True) -> float:
    """The median error of a way of predicting over the later half of 120 exchanges of unlike devices and sizes."""
    predictor, chance = PREDICTORS[name](len(links)), np.random.default_rng(3)
    now_s, off = 0.0, []
    for number in range(120):
        asked = {
            int(device): int(chance.choice([1, 2, 8, 24])) * 8192
            for device in chance.choice(len(links), chance.integers(1, len(links) + 1), replace=False)
        }
        expected = expected_s(predictor, now_s, asked)
        now_s, took_s = exchange(predictor, links, now_s, asked, rates, one_band=True)
        if number >= 60:
            off += np.abs(took_s / expected - 1)[list(asked)].tolist()
    return float(np.median(off))


def test_where_devices_share_one_band_shared_is_nearer_than_line():
    links = [Link(0.004, rate, rate / 3) for rate in (20e6, 40e6, 40e6, 60e6, 90e6, 120e6)]
    shared, line = off_by("shared", links), off_by("line", links)
    assert shared < 0.15
    assert shared < 0.65 * line
    assert off_by("shared", links, rates=False) < line


def test_other_cells_take_no_part_of_the_band():
    rates_bps = (20e6, 40e6, 40e6, 60e6, 90e6, 120e6)
    cells = [Link(0.004, rate, rate / 3, cell=1 + device % 2) for device, rate in enumerate(rates_bps)]
    assert off_by("shared", cells) < 0.1
    predictor = PREDICTORS["shared"](6)
    exchange(predictor, cells, 0, {}, rates=True)
    beside = [expected_s(predictor, 0, {0: 10**5, other: 10**5})[0] for other in (1, 2)]
    assert beside[0] == expected_s(predictor, 0, {0: 10**5})[0] < beside[1]
