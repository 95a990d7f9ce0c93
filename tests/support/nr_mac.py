# SPDX-License-Identifier: GPL-2.0-only
"""Parts of the NR MAC without a cell, in a process that has ns-3."""

import math
from collections.abc import Sequence
from typing import Any

from ns3_scenarios.scenarios.nr_link_level import error_model
from ns3_scenarios.wheel import loader

HEADERS = (
    "nr-answers.h",
    "nr-configured-grants.h",
    "nr-control-channel.h",
    "nr-link-adaptation.h",
    "power-control.h",
    "nr-scheduler.h",
    "nr-uplink-buffer.h",
)
PRBS = 273
ELEMENTS = 132


def _ns() -> Any:
    return loader.load(("spectrum",), HEADERS)


def status(sizes: Sequence[int]) -> list[int]:
    """What status reports of buffers of such sizes say."""
    buffer = _ns().cosim.NrUplinkBuffer
    return [int(buffer.GetStatus(size)) for size in sizes]


Waiting = tuple[int, int]
"""Bytes of the logical channel group that goes first, and of the other."""


def _waiting(given: Any) -> Any:
    """A pair as C++ has it; all else as it is."""
    import cppyy

    return cppyy.gbl.std.array["uint64_t", 2](given) if isinstance(given, tuple) else given


def wanted(steps: Sequence[tuple[str, int | Waiting, int]]) -> list[Waiting]:
    """What the gNB believes to wait after each step: a `NrUplinkBuffer`'s method, bytes and slot."""
    buffer = _ns().cosim.NrUplinkBuffer()
    found = []
    for method, count, slot in steps:
        getattr(buffer, method)(_waiting(count), slot)
        first, second = buffer.GetWantedBytes()
        found.append((int(first), int(second)))
    return found


def requests(steps: Sequence[tuple[str, tuple[Any, ...]]]) -> list[tuple[Any, bool]]:
    """After each call of a `NrUplinkRequests`, what it returned and whether a request is open."""
    device = _ns().cosim.NrUplinkRequests()
    return [(getattr(device, method)(*map(_waiting, given)), bool(device.IsRequesting())) for method, given in steps]


def control(prbs: int, symbols: int, groups: int, sinrs_db: Sequence[float]) -> tuple[int, int, list[int]]:
    """Elements of the PDCCH, reports that a PUCCH of as many symbols takes, and the aggregation levels."""
    found = _ns().cosim.NrControlChannel(prbs, symbols, symbols, groups)
    levels = [int(found.GetAggregationLevel(db)) for db in sinrs_db]
    return int(found.CountElements()), int(found.CountReports()), levels


def answers(prbs: int, symbols: int, asked: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """For each uplink slot and device in turn: cyclic shifts that a bit more takes, and those that are left then."""
    made, found = _ns().cosim.NrAnswers(prbs, symbols), []
    for slot, device in asked:
        cost = int(made.GetCost(slot, device))
        made.Add(slot, device, slot - 4)
        found.append((cost, int(made.GetFree(slot))))
    return found


def psd_mw(numerology: int, most_dbm: float, nominal_dbm: float, factor: float, loss_db: float, prbs: int) -> float:
    """What a device sends on each PRB."""
    return float(_ns().cosim.PowerControl(numerology, most_dbm, nominal_dbm, factor).GetPsdMw(loss_db, prbs))


def _all_prbs(grid: Any, allocation: Any) -> list[int]:
    """Those of an allocation."""
    found = list(range(allocation.begin, allocation.end))
    for group in range(grid.CountGroups()):
        if int(allocation.groups) >> group & 1:
            found += range(grid.GetBegin(group), grid.GetBegin(group) + grid.GetSize(group))
    return found


def taken(prbs: int, blocked: Sequence[bool], wishes: Sequence[int]) -> tuple[int, list[list[int]]]:
    """The size of a group, and which PRBs those who wish for so many get, one after another, of what is not blocked."""
    import cppyy

    ns = _ns()
    grid = ns.cosim.NrGrid(prbs)
    free = grid.GetFree(cppyy.gbl.std.vector[bool](blocked))
    return int(grid.GetSize(0)), [_all_prbs(grid, grid.Take(free, wish)) for wish in wishes]


def configured(prbs: int, each: int, granted: Sequence[bool]) -> tuple[list[int], list[list[int]], list[int]]:
    """PRBs that are free if just these devices are granted some; each device's own; and those of at most one PRB."""
    import cppyy

    ns = _ns()
    grid = ns.cosim.NrGrid(prbs)
    grants = ns.cosim.NrConfiguredGrants(grid, each, len(granted))
    free = grants.GetFree(cppyy.gbl.std.vector[bool](granted))
    found = _all_prbs(grid, ns.cosim.NrAllocation(free.groups, 0, 0))
    for part in free.parts:
        found += _all_prbs(grid, part)
    own = [_all_prbs(grid, grants.Get(device, prbs)) for device in range(len(granted))]
    return sorted(found), own, [int(grid.CountPrbs(grants.Get(device, 1))) for device in range(len(granted))]


def turns(
    prbs: int,
    kind: str,
    devices: Sequence[tuple[float, int]],
    slots: int,
    elements: int = 10_000,
    answers: int = 10_000,
) -> list[list[int]]:
    """PRBs of each slot and device, each of which always has so many bits to send and power for so many PRBs, and takes
    two of the elements of control and two of what answers take."""
    always = [((int(bits // 8), 0), most) for bits, most in devices]
    return shared(prbs, kind, [always] * slots, elements, answers)


def shared(
    prbs: int,
    kind: str,
    slots: Sequence[Sequence[tuple[Waiting, int]]],
    elements: int = 10_000,
    answers: int = 10_000,
    bits: float = 2.0,
) -> list[list[int]]:
    """The same where devices have these bytes to send in each slot, in each of two logical channel groups, and a block
    has so many bits on each element."""
    import cppyy

    ns, devices = _ns(), slots[0]
    grid = ns.cosim.NrGrid(prbs)
    scheduler = ns.cosim.NrScheduler()
    kinds = {"rr": ns.cosim.NrScheduler.Kind.ROUND_ROBIN, "pf": ns.cosim.NrScheduler.Kind.PROPORTIONAL_FAIR}
    scheduler.Configure(kinds[kind], grid, len(devices))
    expected = cppyy.gbl.std.vector["double"]([2.0] * grid.CountGroups())
    taken = cppyy.gbl.std.vector["uint32_t"]([0] * len(devices))

    def count_bits(candidate: Any) -> int:
        return int(bits * ELEMENTS * grid.CountPrbs(candidate.allocation))

    found = []
    for slot, wishes in enumerate(slots):
        candidates = cppyy.gbl.std.vector["ns3::cosim::NrCandidate"]()
        for device, (waiting, most_prbs) in enumerate(wishes):
            candidate = ns.cosim.NrCandidate()
            candidate.device, candidate.waiting, candidate.mostPrbs = device, _waiting(waiting), most_prbs
            candidate.elements, candidate.layers, candidate.bitsPerElement = ELEMENTS, 1, expected
            candidate.control, candidate.answer = 2, 2
            candidates.push_back(candidate)
        free = ns.cosim.NrFreePrbs(grid.GetAll())
        free.control, free.answers = elements, answers
        scheduler.Allocate(slot, free, candidates, taken, count_bits)
        of_device = {int(each.device): int(grid.CountPrbs(each.allocation)) for each in candidates}
        found.append([of_device[device] for device in range(len(devices))])
    return found


class _Link:
    """One direction of a link, over a channel that is the same on all PRBs."""

    def __init__(self, is_told: bool, step_db: float = 0.25, target: float = 0.1):
        self.ns = ns = _ns()
        self.settings = ns.cosim.NrLinkSettings()
        self.errors = error_model(ns)
        self.settings.errors = self.errors
        self.table = self.settings.table = ns.cosim.NrMcsTable.QAM256
        self.settings.grid = ns.cosim.NrGrid(PRBS)
        self.settings.elements = ELEMENTS
        self.settings.targetBler, self.settings.stepDb, self.settings.isTold = target, step_db, is_told
        adaptation = ns.cosim.NrLinkAdaptation
        self.settings.thresholdDb = adaptation.GetThresholdsDb(self.errors.__deref__(), self.table, PRBS, ELEMENTS)
        self.adaptation = adaptation()
        self.adaptation.Begin(self.settings)

    def everything(self) -> Any:
        return self.ns.cosim.NrAllocation(self.settings.grid.GetAll(), 0, 0)

    def measure(self, gains: Sequence[tuple[float, float, float, float]], slot: int, known: int) -> None:
        import cppyy

        listed = cppyy.gbl.std.vector["ns3::cosim::NrPrbGain"]()
        for gain in gains:
            listed.push_back(self.ns.cosim.NrPrbGain(*gain))
        self.adaptation.Measure(listed, 1.0, slot, known)


def thresholds() -> tuple[list[float], list[int], list[int]]:
    """The least SINR of each CQI, and which CQIs the error model finds 0.002 dB below and above."""
    link = _Link(is_told=True)
    found = list(map(float, link.settings.thresholdDb))

    def cqi(sinr_db: float) -> int:
        return int(link.errors.GetCqi(link.table, sinr_db, PRBS, ELEMENTS))

    return found, [cqi(db - 0.002) for db in found], [cqi(db + 0.002) for db in found]


def flat(sinr_db: float, is_told: bool, power_db: float) -> tuple[float, float, int]:
    """On a flat channel of that SINR: it as reported, as expected at more power, and the CQI."""
    link = _Link(is_told)
    link.measure([(10 ** (sinr_db / 10), 0.0, 0.0, 0.0)] * PRBS, 0, 4)
    before = float(link.adaptation.GetReport(3).GetQuality().wideDb)
    report = link.adaptation.GetReport(4)
    assert math.isnan(before)  # nothing is known before slot 4
    expected = link.adaptation.GetExpectedDb(link.everything(), 10 ** (power_db / 10), 1)
    return float(report.GetQuality().wideDb), float(expected), int(report.cqi)


def rank(
    first: float, second: float, crossed: float, single: float, is_told: bool = False
) -> tuple[int, list[float], int, int]:
    """The rank over a flat channel of such gains, the reported SINR of a layer with one and with two, in dB, the rank
    at 20 dB more power, and the bits of a block."""
    link = _Link(is_told)
    link.measure([(single, first, second, crossed)] * PRBS, 0, 0)
    report = link.adaptation.GetReport(0)
    wide_db = [float(quality.wideDb) for quality in report.layers]
    bits = int(link.adaptation.GetCapacityBits(PRBS, 1.0, ELEMENTS))
    return int(report.rank), wide_db, int(link.adaptation.GetRank(100.0)), bits


def rank_of_four(singular: Sequence[float], most_layers: int, is_told: bool) -> tuple[int, list[float], int]:
    """Over a flat channel between four ports of these singular values, whose layers do not disturb each other.

    The rank, the reported SINR of a layer by their number, in dB, and the bits of a block.
    """
    import cppyy

    link = _Link(is_told)
    ns, squares = link.ns, [value**2 for value in singular]
    link.settings.layers = most_layers
    ns.cosim.NrLinkAdaptation.SetMcsThresholds(link.settings)
    gains = cppyy.gbl.std.vector["ns3::cosim::NrPrbGain"]()
    many = cppyy.gbl.std.vector["ns3::cosim::NrManyGain"]()
    for _ in range(PRBS):
        gains.push_back(ns.cosim.NrPrbGain(squares[0], squares[0], squares[1], 0.0))
        gain = ns.cosim.NrManyGain()
        for layers, gram in ((3, gain.three), (4, gain.four)):
            for layer in range(layers):
                gram.norms[layer] = squares[layer]
        many.push_back(gain)
    link.adaptation.Measure(gains, 1.0, 0, 0, ns.cosim.NrPrecoder(), many)
    report = link.adaptation.GetReport(0)
    wide_db = [float(quality.wideDb) for quality in report.layers]
    return int(report.rank), wide_db, int(link.adaptation.GetCapacityBits(PRBS, 1.0, ELEMENTS))


def capacity(sinr_db: float) -> tuple[int, int]:
    """Bits of a block by link adaptation, and by the error model's best MCS and the size of its block; 0 if none."""
    link = _Link(is_told=False)
    link.measure([(10 ** (sinr_db / 10), 0.0, 0.0, 0.0)] * PRBS, 0, 0)
    found = int(link.adaptation.GetCapacityBits(PRBS, 1.0, ELEMENTS))
    mcs = link.errors.GetBestMcs(link.table, sinr_db, PRBS, ELEMENTS, 1, 0.1)
    if mcs < 0:
        return found, 0
    entry = link.ns.cosim.GetNrMcsTable(link.table)[mcs]
    return found, int(link.ns.cosim.GetNrTbsBits(PRBS, ELEMENTS, entry, 1))


def outer_loop(mcs: int, outcomes: Sequence[bool], step_db: float, target: float) -> list[tuple[float, float]]:
    """After each first transmission: by how much the expected SINR is shifted, and the BLER."""
    link = _Link(False, step_db, target)
    link.measure([(100.0, 0.0, 0.0, 0.0)] * PRBS, 0, 0)
    link.adaptation.GetReport(0)
    every = link.everything()
    begin_db = float(link.adaptation.GetExpectedDb(every, 1.0, 1))
    found = []
    for is_decoded in outcomes:
        link.adaptation.Judge(mcs, is_decoded)
        found.append((float(link.adaptation.GetExpectedDb(every, 1.0, 1)) - begin_db, float(link.adaptation.GetBler())))
    return found
