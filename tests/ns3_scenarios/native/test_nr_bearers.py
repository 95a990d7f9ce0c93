# SPDX-License-Identifier: GPL-2.0-only
"""NR's QoS flows, each on a bearer: which packet is of which, what blocks are filled with, and that nothing is lost."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.nr_bearers import OTHER_PORT, SERVER_PORT, TCP, UDP, Piece, carry_over, fill, flow_of

HIDDEN_STATES, BACKGROUND = 0, 1
ICMP = 1
PDCP_BYTES = 3
FULL = 8  # bytes of a block in which no more fits: RLC and MAC headers
PACKETS = 150


def test_a_packet_is_of_the_flow_that_its_protocol_and_the_edge_server_s_port_say(ns3):
    """TS 23.501 clause 5.7.6.2: protocol and remote port, which are a sender's down and a receiver's up."""
    headers, flows = [], []
    for protocol, source, target, options, is_uplink in product(
        (UDP, TCP, ICMP), (SERVER_PORT, OTHER_PORT), (SERVER_PORT, OTHER_PORT), (0, 40), (False, True)
    ):
        headers.append((protocol, source, target, options, is_uplink))
        is_served = protocol != ICMP and (target if is_uplink else source) == SERVER_PORT
        flows.append(HIDDEN_STATES if is_served else BACKGROUND)
    edges = [(19_999, 1), (20_000, 0), (29_999, 0), (30_000, 1)]
    found = ns3(flow_of, headers + [(UDP, port, 0, 0, False) for port, _ in edges])
    assert found == flows + [flow for _, flow in edges]


def header_bytes(piece: Piece, packet_bytes: int, acknowledged: bool) -> int:
    """RLC with 18 or 12 bit sequence numbers (TS 38.322 clause 6.2.2), and a MAC subheader (TS 38.321 clause 6.1.2)."""
    is_whole = piece.begin == 0 and piece.end == packet_bytes + PDCP_BYTES
    rlc = (3 if acknowledged else 1 if is_whole else 2) + (2 if piece.begin > 0 else 0)
    return rlc + (2 if rlc + piece.end - piece.begin < 256 else 3)


PACKET = st.tuples(st.sampled_from([HIDDEN_STATES, BACKGROUND]), st.integers(28, 1500))
STEPS = st.lists(st.one_of(PACKET, PACKET, st.tuples(st.integers(9, 5000))), max_size=40)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([(68, 90), (90, 68), (90, 90)]), st.booleans(), STEPS)
def test_blocks_are_filled_by_priority_and_equally_where_it_is_the_same(ns3, priorities, acknowledged, steps):
    """TS 38.321 clause 5.4.3.1.3, told anew: what waits of lower priority finds room only where nothing of higher does,
    and of equal priority nobody has more than another who still waits. All of each packet goes out once, in order."""
    blocks = iter(ns3(fill, priorities, acknowledged, steps))
    queues: tuple[list[int], list[int]] = ([], [])
    began, place = [0, 0], [0, 0]  # of each flow, the packet that is next and how much of it is out
    for step in steps:
        if len(step) == 2:
            queues[step[0]].append(step[1])
            continue
        block, used, before = next(blocks), [0, 0], waiting_bytes(queues, began, place)
        for piece in block.pieces:
            flow, size = piece.flow, queues[piece.flow][piece.sequence]
            assert (piece.sequence, piece.begin) == (began[flow], place[flow])
            assert piece.begin < piece.end <= size + PDCP_BYTES
            used[flow] += piece.end - piece.begin + header_bytes(piece, size, acknowledged)
            is_out = piece.end == size + PDCP_BYTES
            began[flow], place[flow] = (began[flow] + 1, 0) if is_out else (began[flow], piece.end)
        left = waiting_bytes(queues, began, place)
        assert sum(used) <= step[0]
        assert sum(left) == 0 or step[0] - sum(used) <= FULL
        if priorities[0] == priorities[1]:
            for flow in (HIDDEN_STATES, BACKGROUND):
                assert left[flow] == 0 or used[flow] >= step[0] // 2 - FULL
                assert (block.waiting[0] == 0) == (sum(left) == 0)
                assert block.waiting[1] == 0
        else:
            first = priorities.index(min(priorities))
            assert left[first] == 0 or used[1 - first] == 0
            assert [waiting == 0 for waiting in block.waiting] == [left[first] == 0, left[1 - first] == 0]
        assert [was - size for was, size in zip(before, left, strict=True)] == [
            sum(piece.end - piece.begin for piece in block.pieces if piece.flow == flow) for flow in (0, 1)
        ]


def waiting_bytes(queues: tuple[list[int], list[int]], began: list[int], place: list[int]) -> list[int]:
    """Of both flows, without headers but PDCP's."""
    return [
        sum(size + PDCP_BYTES for size in queue[first:]) - at
        for queue, first, at in zip(queues, began, place, strict=True)
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("priorities", [(68, 90), (90, 90)])
@pytest.mark.parametrize(("failing", "leaving"), [(0.3, 0.1), (0.5, 0.5), (0.2, 0.0)])
def test_each_flow_comes_once_and_in_order_over_failures_and_handovers(ns3, seed, priorities, failing, leaving):
    came = ns3(carry_over, seed, PACKETS, True, failing, leaving, priorities)
    for flow in (HIDDEN_STATES, BACKGROUND):
        assert [number for each, number in came if each == flow] == [*range(PACKETS)]


@pytest.mark.parametrize("seed", range(4))
def test_in_unacknowledged_mode_nothing_is_doubled_or_out_of_order(ns3, seed):
    came = ns3(carry_over, seed, PACKETS, False, 0.0, 0.05, (68, 90))
    for flow in (HIDDEN_STATES, BACKGROUND):
        numbers = [number for each, number in came if each == flow]
        assert numbers == sorted({*numbers})
        assert PACKETS / 2 < len(numbers) < PACKETS
