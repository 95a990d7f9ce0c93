# SPDX-License-Identifier: Apache-2.0
"""What a run was, in one number: equal runs have equal fingerprints, and a changed record has another one.

It is made of parts, a digest for each table and for each key of `meta` that describes the run. A run that comes to
its end leaves them in `meta` as its seal, so that whoever has the record can tell what was changed in it since.
"""

import hashlib
import json
import os.path
import sqlite3
from typing import Any

from cosim.config import NO_NETWORK
from cosim.record.baseline_meta import KEY as BASELINE
from cosim.record.schema import TABLES, UNREPEATABLE, columns

SEAL = "seal"
PLACES = ("folder", "record", "made")
"""Keys of `meta` that say where something lay and when it was made, which is no part of what the run was."""


def parts(db: sqlite3.Connection, variant: int | None = None) -> dict[str, str]:
    """A SHA-256 for each part of the record, by its name; of one variant, or of the whole run."""
    found = {f"meta.{key}": _digest(json.dumps(value, sort_keys=True)) for key, value in _described(db, variant)}
    return found | {
        table: _table(db, table, variant) for table in TABLES if table != "meta" and table not in UNREPEATABLE
    }


def combined(found: dict[str, str]) -> str:
    """The fingerprint that parts make."""
    return _digest(json.dumps(found, sort_keys=True))


def _described(db: sqlite3.Connection, variant: int | None) -> list[tuple[str, Any]]:
    described = []
    for key, text in db.execute("SELECT key, value FROM meta ORDER BY key"):
        if key in (SEAL, *PLACES) or (key == "calibration" and variant is not None):  # whose digest is in `variants`
            continue
        if key == BASELINE and variant is not None and not _is_baseline(db, variant):
            continue
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if key == "config" and variant is not None:
            value = _of_variant(db, value, variant)
        if key == "versions" and isinstance(value, dict):
            value = {name: version.partition("+")[0] for name, version in value.items()}  # 2.9.0+cpu is 2.9.0
        described.append((key, _placeless(value)))
    return described


def _of_variant(db: sqlite3.Connection, config: dict[str, Any], variant: int) -> dict[str, Any]:
    """The configuration as if the variant were the whole run."""
    policy, network = db.execute("SELECT policy, network FROM variants WHERE variant = ?", [variant]).fetchone()
    options = {name: value for name, value in config.get("policy", {}).items() if name == policy}
    if not _is_baseline(db, variant) and "model" in config:
        config = {**config, "model": {**config["model"], "baseline": "", "baseline_profile": ""}}
    return {**config, "policies": [policy], "networks": [network], "policy": options}


def _is_baseline(db: sqlite3.Connection, variant: int) -> bool:
    return bool(db.execute("SELECT network = ? FROM variants WHERE variant = ?", [NO_NETWORK, variant]).fetchone()[0])


def _placeless(value: Any) -> Any:
    """A value in which absolute paths are the names at their ends."""
    if isinstance(value, dict):
        return {key: _placeless(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_placeless(item) for item in value]
    return os.path.basename(value) if isinstance(value, str) and os.path.isabs(value) else value


def _table(db: sqlite3.Connection, table: str, variant: int | None) -> str:
    digest = hashlib.sha256()
    names = [column.name for column in columns()[table]]
    shown = ", ".join(name for name in names if variant is None or name != "variant")
    where = "" if variant is None else f"WHERE variant = {int(variant)}"
    for row in db.execute(f"SELECT {shown} FROM {table} {where} ORDER BY {', '.join(names[:3])}"):
        digest.update(repr(row).encode())
    return digest.hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
