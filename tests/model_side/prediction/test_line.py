# SPDX-License-Identifier: Apache-2.0
"""The line through past transfers, on links whose overhead and rates are known."""

import itertools

import pytest

from model_side.prediction.line import Line
from model_side.prediction.predictor import DEFAULT_RATE_BPS, RETRY_S
from tests.support.links import DEADLINE_S, Link, exchange, predict


def test_before_anything_is_known_all_devices_look_alike():
    expected = 2 * 8 * 10_000 / DEFAULT_RATE_BPS + 0.001
    assert predict(Line(3), 0, 10_000, 3) == pytest.approx([expected] * 3)


def test_link_states_stand_in_for_exchanges():
    predictor = Line(2)
    links = [Link(0, 40e6, 10e6), Link(0, 4e6, 1e6)]
    exchange(predictor, links, 0, {}, rates=True)
    expected = [link.latency_s(10_000, 0.001, 10_000) for link in links]
    assert predict(predictor, 0, 10_000, 2) == pytest.approx(expected)


@pytest.mark.parametrize("rates", [True, False])
def test_overhead_and_rate_are_found_from_exchanges_of_several_sizes(rates: bool):
    predictor, links = Line(2), [Link(0.004, 40e6, 10e6), Link(0.020, 5e6, 2e6)]
    now_s = 0.0
    for size in (400_000, 8192, 800_000, 16384, 8192):
        now_s = exchange(predictor, links, now_s, {0: size, 1: size // 2}, rates)[0]
    for size in (8192, 50_000, 600_000):
        expected = [link.latency_s(size, 0.001, size) for link in links]
        assert predict(predictor, now_s, size, 2) == pytest.approx(expected, rel=0.05)


def test_exchanges_of_one_size_are_predicted_at_that_size():
    predictor, links = Line(1), [Link(0.030, 40e6, 10e6)]
    now_s = 0.0
    for _ in range(3):
        now_s = exchange(predictor, links, now_s, {0: 8192}, rates=True)[0]
    assert predict(predictor, now_s, 8192) == pytest.approx([links[0].latency_s(8192, 0.001, 8192)])
    in_proportion = 100 * (links[0].latency_s(8192, 0, 8192)) + 0.001
    assert predict(predictor, now_s, 819_200) == pytest.approx([in_proportion])


def test_a_link_that_gets_worse_is_followed():
    predictor, links = Line(1), [Link(0.004)]
    now_s = exchange(predictor, links, 0, {0: 8192})[0]
    links[0].overhead_s = 0.1
    errors = []
    for _ in range(20):
        now_s = exchange(predictor, links, now_s, {0: 8192})[0]
        errors.append(abs(predict(predictor, now_s, 8192)[0] - links[0].latency_s(8192, 0.001, 8192)))
    assert all(after < before for before, after in itertools.pairwise(errors))
    assert errors[-1] < 0.02 * 0.2


def test_more_bytes_are_never_expected_to_take_less_time():
    predictor, links = Line(1), [Link(0.5)]
    now_s = exchange(predictor, links, 0, {0: 8192})[0]
    links[0].overhead_s = 0.0
    now_s = exchange(predictor, links, now_s, {0: 80_000})[0]  # ten times the bytes in a tenth of the time
    expected = [predict(predictor, now_s, size)[0] for size in (1, 8192, 80_000, 10**7)]
    assert expected == sorted(expected)
    assert expected[0] > 0


def test_a_missed_deadline_counts_at_once_fades_and_is_forgotten_at_the_next_answer():
    predictor, links = Line(2), [Link(), Link()]
    now_s = exchange(predictor, links, 0, {0: 8192, 1: 8192})[0]
    before = predict(predictor, now_s, 8192, 2)
    links[1].alive = False
    now_s = exchange(predictor, links, now_s, {0: 8192, 1: 8192})[0]
    missed = predict(predictor, now_s, 8192, 2)
    assert missed[0] == pytest.approx(before[0])
    assert missed[1] == pytest.approx(before[1] + DEADLINE_S)
    assert predict(predictor, now_s + RETRY_S, 8192, 2)[1] == pytest.approx(before[1] + DEADLINE_S / 2)
    assert predict(predictor, now_s + 20 * RETRY_S, 8192, 2)[1] == pytest.approx(before[1], rel=1e-3)
    again_s = exchange(predictor, links, now_s, {1: 8192})[0]
    lasting = DEADLINE_S * (1 + 0.5 ** (DEADLINE_S / RETRY_S))
    assert predict(predictor, again_s, 8192, 2)[1] == pytest.approx(before[1] + lasting)
    links[1].alive = True
    now_s = exchange(predictor, links, again_s, {1: 8192})[0]
    assert predict(predictor, now_s, 8192, 2) == pytest.approx(before)


def test_a_device_that_is_not_connected_is_known_without_asking_and_comes_back_by_its_link_state():
    predictor, links = Line(2), [Link(), Link()]
    before = predict(predictor, 0, 8192, 2)
    links[1].connected = False
    now_s = exchange(predictor, links, 0, {})[0]
    assert predict(predictor, now_s, 8192, 2)[0] == before[0]
    assert predict(predictor, now_s, 8192, 2)[1] > before[1] + 5
    links[1].connected = True
    now_s = exchange(predictor, links, now_s, {})[0]
    assert predict(predictor, now_s, 8192, 2) == before
