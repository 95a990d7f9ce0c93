# SPDX-License-Identifier: GPL-2.0-only
"""RLC's acknowledged mode with polls and STATUS PDUs, held against the rules of TS 38.322 as told here anew."""

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.nr_arq_pipe import Pipe, carry

PACKETS = 120
MS = 1_000_000
SENT, RECEIVED, STATUS, BLOCK, LEFT = range(5)
END = 2**32 - 1

pipes = {
    "seed": st.integers(0, 2**32 - 1),
    "failing": st.sampled_from([0.0, 0.05, 0.3, 0.5]),
    "latest_slots": st.sampled_from([0, 3, 12]),
    "poll_pdus": st.sampled_from([0, 1, 4, 16]),
    "poll_bytes": st.sampled_from([0, 1000, 25_000]),
    "times_ms": st.tuples(st.sampled_from([5, 20, 80]), st.sampled_from([0, 5, 20]), st.sampled_from([0, 10, 50])),
}


def assert_exactly_once(pipe: Pipe) -> None:
    assert pipe.is_whole
    assert pipe.came == [[*range(PACKETS)]] * 2


class Judge:
    """Follows one direction, byte by byte, and tells what polls and status PDUs the rules demand."""

    def __init__(self, poll_pdus: int, poll_bytes: int):
        self.poll_pdus, self.poll_bytes = poll_pdus, poll_bytes
        self.got: dict[int, set[int]] = defaultdict(set)
        self.size: dict[int, int] = {}
        self.sent: dict[int, int] = defaultdict(int)  # bytes that were sent, up to which
        self.pdus = self.bytes = 0  # since the last poll
        self.told_ns = -(10**12)
        self.polls = 0

    def send(self, sequence: int, begin: int, end: int, poll: int, size: int) -> None:
        self.size[sequence] = size
        assert 0 <= begin < end <= size
        if end > self.sent[sequence]:  # clause 5.3.3.2: what was never sent counts
            assert begin == self.sent[sequence]
            self.sent[sequence] = end
            self.pdus += 1
            self.bytes += end - begin
        due = (self.poll_pdus and self.pdus >= self.poll_pdus) or (self.poll_bytes and self.bytes >= self.poll_bytes)
        assert poll or not due
        if poll:
            self.pdus = self.bytes = 0
            self.polls += 1

    def receive(self, sequence: int, begin: int, end: int) -> None:
        self.got[sequence].update(range(begin, end))

    def whole(self, sequence: int) -> bool:
        return sequence in self.size and len(self.got[sequence]) == self.size[sequence]

    def status(self, now_ns: int, prohibit_ns: int, told: int, size_bytes: int, missing: list[int]) -> None:
        """Clause 5.3.4: what is before ACK_SN has come, or is listed; and nothing is listed that has come."""
        assert now_ns - self.told_ns >= prohibit_ns
        self.told_ns = now_ns
        parts: dict[int, set[int]] = defaultdict(set)
        entries = list(zip(missing[::3], missing[1::3], missing[2::3], strict=True))
        assert entries == sorted(entries)
        for sequence, begin, end in entries:
            assert sequence < told
            parts[sequence].update(range(begin, self.size.get(sequence, begin + 1) if end == END else end))
        for sequence in range(told):
            if sequence in parts:
                assert parts[sequence] == set(range(self.size[sequence])) - self.got[sequence]
            else:
                assert self.whole(sequence)
        # Clause 6.2.2.5: 3 bytes, and 3 for each NACK_SN, with a range at least for each run of whole SDUs.
        wholes = [sequence for sequence, begin, end in entries if (begin, end) == (0, END)]
        runs = sum(sequence - 1 not in wholes for sequence in wholes)
        ranges = sum(sequence - 1 not in wholes and sequence + 1 in wholes for sequence in wholes)
        others = len(entries) - len(wholes)
        if len(wholes) < 255:
            assert size_bytes == 3 + 3 * runs + ranges + 7 * others


def judged(pipe: Pipe, poll_pdus: int, poll_bytes: int, prohibit_ms: int) -> list[Judge]:
    judges = [Judge(poll_pdus, poll_bytes) for _ in range(2)]
    for now_ns, kind, end, *figures in pipe.rows:
        if kind == SENT:
            judges[end].send(*figures)
        elif kind == RECEIVED:
            judges[end].receive(*figures[:3])
        elif kind == STATUS:
            judges[end].status(now_ns, prohibit_ms * MS, figures[0], figures[1], figures[2:])
        elif kind == BLOCK:
            waiting, most, left, still = figures
            assert left == most if waiting == 0 else left < most
            if waiting <= most:  # what is said to wait is what a block must hold
                assert most - left == waiting
                assert still == 0
    return judges


@given(**pipes)
@settings(max_examples=30)
def test_over_a_lossy_pipe_all_comes_once_and_in_order_by_the_rules(ns3, **given):
    pipe = ns3(carry, packets=PACKETS, **given)
    assert_exactly_once(pipe)
    judges = judged(pipe, given["poll_pdus"], given["poll_bytes"], given["times_ms"][2])
    for judge in judges:
        assert judge.polls > 0
        assert all(judge.whole(sequence) for sequence in range(PACKETS))


@given(**pipes, leaving=st.sampled_from([0.01, 0.1]))
@settings(max_examples=20)
def test_handed_from_cell_to_cell_all_comes_once_and_in_order(ns3, **given):
    assert_exactly_once(ns3(carry, packets=PACKETS, **given))


def test_without_losses_nothing_is_sent_again_but_upon_a_poll_that_no_status_answers_in_time(ns3):
    """Answers take 1.5 slots of 0.5 ms at most, 10 ms if prohibited: below t-PollRetransmit."""
    pipe = ns3(carry, 1, PACKETS, 0.0, latest_slots=0, times_ms=(20, 20, 10))
    assert_exactly_once(pipe)
    for end in (0, 1):
        sent = [row[3:6] for row in pipe.rows if row[1:3] == [SENT, end]]
        assert len({tuple(part) for part in sent}) == len(sent)


def test_what_is_missing_is_sent_again_after_reassembly_and_the_way_there(ns3):
    """Of one block that fails among many that do not: t-Reassembly, then a slot each way."""
    pipe = ns3(carry, 4, PACKETS, 0.02, latest_slots=0, times_ms=(80, 20, 0), poll_pdus=1)
    assert_exactly_once(pipe)
    late_ns = []
    first_ns: dict[tuple[int, int, int], int] = {}
    for now_ns, kind, *figures in pipe.rows:
        if kind == SENT:
            end, sequence, begin = figures[:3]
            at = (end, sequence, begin)
            if at in first_ns:
                late_ns.append(now_ns - first_ns[at])
            first_ns.setdefault(at, now_ns)
    assert late_ns
    assert min(late_ns) >= 20 * MS
    assert min(late_ns) <= 20 * MS + 4 * 500_000
