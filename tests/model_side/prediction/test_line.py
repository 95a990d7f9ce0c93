# SPDX-License-Identifier: Apache-2.0
"""The line through past transfers, on links whose overhead and rates are known."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.network import NS_PER_S, LinkState, Outcome, Status, Transfer, TransferOutcome
from model_side.prediction.line import Line
from model_side.prediction.predictor import DEFAULT_RATE_BPS, RETRY_S

DEADLINE_S = 2.0


class Link:
    """One device whose directions take `overhead_s` and bytes over rate; it answers while `alive`."""

    def __init__(self, overhead_s: float = 0.004, down_bps: float = 40e6, up_bps: float = 10e6):
        self.overhead_s, self.down_bps, self.up_bps = overhead_s, down_bps, up_bps
        self.alive = self.connected = True

    def latency_s(self, down_bytes: int, compute_s: float, up_bytes: int) -> float:
        return 2 * self.overhead_s + 8 * down_bytes / self.down_bps + compute_s + 8 * up_bytes / self.up_bps


def exchange(
    predictor: Line, links: Sequence[Link], depart_s: float, asked: dict[int, int], rates: bool = False
) -> float:
    """Let devices carry out `asked` (device: bytes each way), tell the predictor, and return when it was over."""
    depart_ns = round(depart_s * NS_PER_S)
    deadline_ns = depart_ns + round(DEADLINE_S * NS_PER_S)
    transfers, outcomes = [], []
    for device, size in asked.items():
        link = links[device]
        transfers.append(Transfer(device, size, 1_000_000, size))
        if not (link.alive and link.connected):
            status = Status.LATE if link.connected else Status.UNREACHABLE
            outcomes.append(TransferOutcome(device, status, depart_ns, None, None, None))
            continue
        received_ns = depart_ns + round((link.overhead_s + 8 * size / link.down_bps) * NS_PER_S)
        end_ns = received_ns + 1_000_000 + round((link.overhead_s + 8 * size / link.up_bps) * NS_PER_S)
        times = (depart_ns, received_ns, received_ns + 1_000_000, end_ns)
        outcomes.append(TransferOutcome(device, Status.DONE, *times))
    now_ns = max((o.uplink_end_ns or deadline_ns for o in outcomes), default=depart_ns)
    states = [
        LinkState(
            device,
            link.connected,
            downlink_rate_bps=link.down_bps if rates else None,
            uplink_rate_bps=link.up_bps if rates else None,
        )
        for device, link in enumerate(links)
    ]
    outcome = Outcome(now_ns, tuple(outcomes), tuple(states))
    predictor.observe(transfers, outcome, depart_ns, deadline_ns, np.ones(len(links)))
    return now_ns / NS_PER_S


def predict(predictor: Line, now_s: float, size: int, devices: int = 1) -> list[float]:
    sizes = np.full(devices, size)
    return predictor.predict(round(now_s * NS_PER_S), sizes, np.full(devices, 0.001), sizes).seconds.tolist()


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
        now_s = exchange(predictor, links, now_s, {0: size, 1: size // 2}, rates)
    for size in (8192, 50_000, 600_000):
        expected = [link.latency_s(size, 0.001, size) for link in links]
        assert predict(predictor, now_s, size, 2) == pytest.approx(expected, rel=0.05)


def test_exchanges_of_one_size_are_predicted_at_that_size():
    predictor, links = Line(1), [Link(0.030, 40e6, 10e6)]
    now_s = 0.0
    for _ in range(3):
        now_s = exchange(predictor, links, now_s, {0: 8192}, rates=True)
    assert predict(predictor, now_s, 8192) == pytest.approx([links[0].latency_s(8192, 0.001, 8192)])
    in_proportion = 100 * (links[0].latency_s(8192, 0, 8192)) + 0.001
    assert predict(predictor, now_s, 819_200) == pytest.approx([in_proportion])


def test_a_link_that_gets_worse_is_followed():
    predictor, links = Line(1), [Link(0.004)]
    now_s = exchange(predictor, links, 0, {0: 8192})
    links[0].overhead_s = 0.1
    errors = []
    for _ in range(20):
        now_s = exchange(predictor, links, now_s, {0: 8192})
        errors.append(abs(predict(predictor, now_s, 8192)[0] - links[0].latency_s(8192, 0.001, 8192)))
    assert all(after < before for before, after in itertools.pairwise(errors))
    assert errors[-1] < 0.02 * 0.2


def test_more_bytes_are_never_expected_to_take_less_time():
    predictor, links = Line(1), [Link(0.5)]
    now_s = exchange(predictor, links, 0, {0: 8192})
    links[0].overhead_s = 0.0
    now_s = exchange(predictor, links, now_s, {0: 80_000})  # ten times the bytes in a tenth of the time
    expected = [predict(predictor, now_s, size)[0] for size in (1, 8192, 80_000, 10**7)]
    assert expected == sorted(expected)
    assert expected[0] > 0


def test_a_missed_deadline_counts_at_once_fades_and_is_forgotten_at_the_next_answer():
    predictor, links = Line(2), [Link(), Link()]
    now_s = exchange(predictor, links, 0, {0: 8192, 1: 8192})
    before = predict(predictor, now_s, 8192, 2)
    links[1].alive = False
    now_s = exchange(predictor, links, now_s, {0: 8192, 1: 8192})
    missed = predict(predictor, now_s, 8192, 2)
    assert missed[0] == pytest.approx(before[0])
    assert missed[1] == pytest.approx(before[1] + DEADLINE_S)
    assert predict(predictor, now_s + RETRY_S, 8192, 2)[1] == pytest.approx(before[1] + DEADLINE_S / 2)
    assert predict(predictor, now_s + 20 * RETRY_S, 8192, 2)[1] == pytest.approx(before[1], rel=1e-3)
    again_s = exchange(predictor, links, now_s, {1: 8192})
    lasting = DEADLINE_S * (1 + 0.5 ** (DEADLINE_S / RETRY_S))
    assert predict(predictor, again_s, 8192, 2)[1] == pytest.approx(before[1] + lasting)
    links[1].alive = True
    now_s = exchange(predictor, links, again_s, {1: 8192})
    assert predict(predictor, now_s, 8192, 2) == pytest.approx(before)


def test_a_device_that_is_not_connected_is_known_without_asking_and_comes_back_by_its_link_state():
    predictor, links = Line(2), [Link(), Link()]
    before = predict(predictor, 0, 8192, 2)
    links[1].connected = False
    now_s = exchange(predictor, links, 0, {})
    assert predict(predictor, now_s, 8192, 2)[0] == before[0]
    assert predict(predictor, now_s, 8192, 2)[1] > before[1] + 5
    links[1].connected = True
    now_s = exchange(predictor, links, now_s, {})
    assert predict(predictor, now_s, 8192, 2) == before


histories = st.lists(
    st.tuples(
        st.floats(0, 3), st.dictionaries(st.integers(0, 2), st.integers(1, 10**7), max_size=3), st.integers(0, 7)
    ),
    max_size=12,
)


@given(histories, st.lists(st.integers(1, 10**8), min_size=3, max_size=3))
def test_predictions_are_positive_finite_grow_with_bytes_and_repeat(
    history: list[tuple[float, dict[int, int], int]], sizes: list[int]
):
    results = []
    for _ in range(2):
        predictor, links = Line(3), [Link(0, 1e9, 1e9), Link(), Link(0.5, 1e5, 1e4)]
        now_s = 0.0
        for pause_s, asked, flags in history:
            for device, link in enumerate(links):
                link.alive = bool(flags >> device & 1)
            now_s = exchange(predictor, links, now_s + pause_s, asked, rates=flags % 2 == 0)
        now_ns = round(now_s * NS_PER_S)
        results.append(predictor.predict(now_ns, sizes, [0.0, 0.1, 0.2], sizes).seconds)
        larger = predictor.predict(now_ns, np.array(sizes) * 2, [0.0, 0.1, 0.2], sizes).seconds
        assert (larger >= results[-1]).all()
    assert np.isfinite(results[0]).all()
    assert (results[0] > 0).all()
    assert results[0].tolist() == results[1].tolist()
