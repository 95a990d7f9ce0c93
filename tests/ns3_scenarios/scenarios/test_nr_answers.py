# SPDX-License-Identifier: GPL-2.0-only
"""HARQ answers in a cell whose PUCCH has no room for all of them."""

from collections import Counter
from math import ceil

from bridge.network import Transfer
from tests.support.nr_blocks import heard

PATTERN = "D" * 18 + "SU"  # all 19 slots with downlink are answered in one uplink slot
DEVICES, PRBS = 18, 24  # of 10 MHz at 30 kHz
GRANTS = 8  # in a slot: as many control channel elements as 2 symbols have
SHIFTS = 12 * PRBS  # of the uplink slot's last symbol


def shifts(bits: int) -> int:
    """That a device's answers take: of format 0 (TS 38.213 tables 9.2.3-3, 9.2.3-4), of format 2 from three bits on."""
    return 2 * bits if bits <= 2 else 12 * ceil(bits / 0.35 / 16)


def test_no_more_is_sent_than_answers_have_room_for(ns3):
    """Eight devices in each slot would have 8.4 blocks each: 18 times two PRBs of format 2, of 24."""
    parameters = {"pattern": PATTERN, "bandwidth_mhz": 10, "scheduler": "rr", "path_loss": "friis"}
    parameters |= {"distances_m": [50.0 + i for i in range(DEVICES)]}
    blocks = ns3(heard, [Transfer(i, 1_000_000, 0, 1) for i in range(DEVICES)], 0.1, parameters)
    down = [block for block in blocks if not block.is_uplink]
    assert max(Counter(block.slot for block in down).values()) == GRANTS
    answers = Counter((block.slot // len(PATTERN), block.device) for block in down)
    taken = Counter[int]()
    for (period, _), bits in answers.items():
        taken[period] += shifts(bits)
    assert max(taken.values()) == SHIFTS
    saturated = range(1, max(taken) - 1)
    assert [taken[period] for period in saturated] == [SHIFTS] * len(saturated)
    for period in saturated:
        assert sum(block.slot // len(PATTERN) == period for block in down) < GRANTS * (len(PATTERN) - 1)
