# SPDX-License-Identifier: GPL-2.0-only
"""Parts of the NR MAC without a cell, in a process that has ns-3."""

import math
from collections.abc import Sequence
from typing import Any

from ns3_scenarios.scenarios.nr_link_level import error_model
from ns3_scenarios.wheel import loader

PRBS = 273
ELEMENTS = 132


def _ns() -> Any:
    return loader.load(("spectrum",), ("nr-link-adaptation.h", "nr-power-control.h", "nr-uplink-buffer.h"))


def status(sizes: Sequence[int]) -> list[int]:
    """What status reports of buffers of such sizes say."""
    buffer = _ns().cosim.NrUplinkBuffer
    return [int(buffer.GetStatus(size)) for size in sizes]


def wanted(steps: Sequence[tuple[str, int, int]]) -> list[int]:
    """What the gNB believes to wait after each step: a `NrUplinkBuffer`'s method, bytes and slot."""
    buffer = _ns().cosim.NrUplinkBuffer()
    found = []
    for method, count, slot in steps:
        getattr(buffer, method)(count, slot)
        found.append(int(buffer.GetWantedBytes()))
    return found


def requests(steps: Sequence[tuple[str, tuple[int, ...]]]) -> list[tuple[Any, bool]]:
    """After each call of a `NrUplinkRequests`, what it returned and whether a request is open."""
    device = _ns().cosim.NrUplinkRequests()
    return [(getattr(device, method)(*given), bool(device.IsRequesting())) for method, given in steps]


def psd_mw(numerology: int, most_dbm: float, nominal_dbm: float, factor: float, loss_db: float, prbs: int) -> float:
    """What a device sends on each PRB."""
    return float(_ns().cosim.NrPowerControl(numerology, most_dbm, nominal_dbm, factor).GetPsdMw(loss_db, prbs))


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
    expected = link.adaptation.GetExpectedDb(link.settings.grid.GetAll(), 10 ** (power_db / 10), 1)
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
    every = link.settings.grid.GetAll()
    begin_db = float(link.adaptation.GetExpectedDb(every, 1.0, 1))
    found = []
    for is_decoded in outcomes:
        link.adaptation.Judge(mcs, is_decoded)
        found.append((float(link.adaptation.GetExpectedDb(every, 1.0, 1)) - begin_db, float(link.adaptation.GetBler())))
    return found
