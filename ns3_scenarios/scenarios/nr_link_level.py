# SPDX-License-Identifier: GPL-2.0-only
"""The link-level tables of sionna-no-rt: block error rates of NR's code blocks, and the beta of EESM.

They are read from the installed distribution as data. It is never imported, since that would bring PyTorch. Its tables
for PUSCH are of transform precoding, which is not simulated.
"""

from array import array
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import msgspec

from bridge.network import RequestError

DISTRIBUTION = "sionna-no-rt"


class _Sizes(msgspec.Struct):
    bler: list[float] = msgspec.field(name="BLER")


class _Curves(msgspec.Struct):
    sizes: dict[str, _Sizes] = msgspec.field(name="CBS")
    sinr_db: list[float] = msgspec.field(name="SNR_db")


class _Table(msgspec.Struct):
    curves: dict[str, _Curves] = msgspec.field(name="MCS")


class _Category(msgspec.Struct):
    index: dict[str, _Table]


class _Bler(msgspec.Struct):
    category: dict[str, _Category]


class _Betas(msgspec.Struct):
    index: dict[str, list[float]]


def error_model(ns: Any) -> Any:
    """Make an `ns.cosim.NrErrorModel` with those tables. Raises `RequestError` if they are not installed."""
    model = ns.CreateObject[ns.cosim.NrErrorModel]()
    folder = _folder()
    for name in ("PDSCH_table1", "PDSCH_table2", "PDSCH_table3"):
        tables = msgspec.json.decode((folder / "bler_tables" / f"{name}.json").read_bytes(), type=_Bler)
        for held in tables.category.values():
            for table, mcss in held.index.items():
                for mcs, curves in mcss.curves.items():
                    _set_curves(model, int(table), int(mcs), curves)
    betas = msgspec.json.decode((folder / "esm_params" / "eesm_beta_table.json").read_bytes(), type=_Betas)
    for table, values in betas.index.items():
        for index, beta in enumerate(values):
            model.SetBeta(int(table), index, beta)
    model.Complete()
    return model


def _set_curves(model: Any, table: int, mcs: int, curves: _Curves) -> None:
    sinr_db = curves.sinr_db
    step_db = (sinr_db[-1] - sinr_db[0]) / (len(sinr_db) - 1)
    sizes = sorted(curves.sizes, key=int)
    sizes_bits = array("d", map(float, sizes))
    bler = array("d", [value for size in sizes for value in curves.sizes[size].bler])
    model.SetCurves(table, mcs, len(sinr_db), sinr_db[0], step_db, len(sizes), sizes_bits, bler)


def _folder() -> Path:
    try:
        held = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        reason = f"nr needs the link-level tables of {DISTRIBUTION}, which is not installed: pip install {DISTRIBUTION}"
        raise RequestError("radio.scenario", reason) from None
    return Path(str(held.locate_file("sionna/sys")))
