# SPDX-License-Identifier: GPL-2.0-only
"""Native functions of NR's physical layer, in a process that has ns-3: lists in, lists out."""

from array import array
from collections.abc import Sequence
from functools import cache
from typing import Any

from ns3_scenarios.scenarios import nr_link_level
from ns3_scenarios.wheel import loader


@cache
def _model() -> tuple[Any, Any]:
    ns = loader.load(("spectrum",), ("nr-error-model.h",))
    return ns, nr_link_level.error_model(ns)


def _table(ns: Any, table: int) -> Any:
    return {1: ns.cosim.NrMcsTable.QAM64, 2: ns.cosim.NrMcsTable.QAM256, 3: ns.cosim.NrMcsTable.QAM64_LOW_SE}[table]


def mcs_table(table: int) -> list[tuple[int, float]]:
    ns, _ = _model()
    return [(int(mcs.modulationOrder), mcs.codeRate) for mcs in ns.cosim.GetNrMcsTable(_table(ns, table))]


def cqi_table(table: int) -> list[tuple[int, float]]:
    ns, _ = _model()
    return [(int(mcs.modulationOrder), mcs.codeRate) for mcs in ns.cosim.GetNrCqiTable(_table(ns, table))]


def blocks(cases: Sequence[tuple[int, int, int, int, int]]) -> list[tuple[int, int, int]]:
    """For each case (PRBs, elements, table, MCS, layers) the transport block's bits, its code blocks, their bits."""
    ns, _ = _model()
    found = []
    for prbs, elements, table, mcs, layers in cases:
        entry = ns.cosim.GetNrMcsTable(_table(ns, table))[mcs]
        bits = ns.cosim.GetNrTbsBits(prbs, elements, entry, layers)
        code = ns.cosim.GetNrCodeBlocks(bits, entry.codeRate)
        found.append((int(bits), int(code.count), int(code.bits)))
    return found


def bler(cases: Sequence[tuple[int, int, int, float]]) -> list[float]:
    """For each case (table, MCS, bits, SINR)."""
    ns, model = _model()
    return [float(model.GetBler(_table(ns, table), mcs, bits, db)) for table, mcs, bits, db in cases]


def combined(
    cases: Sequence[tuple[int, int, int, Sequence[float], bool]], parts: Sequence[float] | None = None
) -> list[float]:
    """For each case (table, MCS, bits, SINRs, incremental); each SINR with such a part of the first one's bits."""
    ns, model = _model()
    found = []
    for table, mcs, bits, dbs, incremental in cases:
        each = array("d", parts or [1.0] * len(dbs))
        found.append(
            float(model.GetCombinedBler(_table(ns, table), mcs, bits, array("d", dbs), each, len(dbs), incremental))
        )
    return found


def effective(cases: Sequence[tuple[int, int, Sequence[float]]]) -> list[float]:
    """For each case (table, MCS, linear SINRs), in dB."""
    ns, model = _model()
    return [
        float(model.GetEffectiveSinrDb(_table(ns, table), mcs, array("d", sinr), len(sinr)))
        for table, mcs, sinr in cases
    ]


def threshold(cases: Sequence[tuple[int, int, int, float]]) -> list[float]:
    ns, model = _model()
    return [float(model.GetThresholdDb(_table(ns, t), mcs, bits, target)) for t, mcs, bits, target in cases]


def best_mcs(cases: Sequence[tuple[int, float, int, int, int, float]]) -> list[int]:
    ns, model = _model()
    return [int(model.GetBestMcs(_table(ns, table), *rest)) for table, *rest in cases]


def cqi(cases: Sequence[tuple[int, float, int, int]]) -> list[int]:
    ns, model = _model()
    return [int(model.GetCqi(_table(ns, table), *rest)) for table, *rest in cases]
