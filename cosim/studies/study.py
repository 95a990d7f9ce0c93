# SPDX-License-Identifier: Apache-2.0
"""A study as its file says it: a base configuration, and the points that are laid over it.

    record = "runs/first"             # what-ifs of this run, or of each in a list; without it, runs

    [base]                            # as in a CONFIG.toml; or base = "CONFIG.toml"
    networks = ["analytic"]

    [grid]                            # every combination
    seed = {from = 1, to = 10}
    policies = ["top-k", "wdmoe"]

    [[list]]                          # these very ones
    radio.devices = 4

    [sample]                          # so many, drawn together
    method = "sobol"
    points = 64
    [sample.keys]
    radio.bs_power_dbm = {from = 20.0, to = 43.0}

What stands in several of the three is crossed. Each run has one policy on one network, so that it is one row.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from bridge.names import misfit
from bridge.network import RequestError
from cosim.settings import merge_names, read
from cosim.studies.axes import Axis, Sample, axes_of, crossed, grid, leaves, sampled

NAMES = ("policies", "networks")
"""Keys that are lists in a configuration; in a study one of their names is a value by itself."""


class StudyFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tables of a study's file. `record`: the run, or each of the runs, that is asked what would have been.

    `keep`: whether the runs' folders stay, or only their rows. `tune`: what `cosim tune` looks for.
    """

    base: str | dict[str, Any] = field(default_factory=dict)
    record: str | list[str] = field(default_factory=list)
    keep: bool = False
    grid: dict[str, Any] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(name="list", default_factory=list)
    sample: Sample | None = None
    tune: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """One combination: `values` by their whole names, to be laid over the base, or over what `record` was run with."""

    record: str | None
    values: dict[str, Any]


@dataclass(frozen=True)
class Study:
    """A study. `name`: of its file; `base`: plain values of a configuration; `records`: runs to ask, if any.

    `axes`: what each key of `[grid]` and of `[sample]` can be, for who draws points in a way of his own.
    """

    name: str
    base: dict[str, Any]
    records: tuple[str, ...]
    keep: bool
    grid: dict[str, Axis]
    entries: tuple[dict[str, Any], ...]
    sample: Sample | None
    sample_axes: dict[str, Axis]
    tune: dict[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this study and no other, as plain values: all but its name and what it keeps."""
        sections: dict[str, Any] = {
            "base": self.base,
            "record": list(self.records),
            "grid": msgspec.to_builtins(self.grid),
            "list": list(self.entries),
            "sample": msgspec.to_builtins(self.sample),
            "tune": self.tune,
        }
        return dict(msgspec.to_builtins(sections))

    @property
    def axes(self) -> dict[str, Axis]:
        """What each key of `[grid]` and `[sample]` can be."""
        return self.grid | self.sample_axes

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """All of them: records, then list, then grid, then sample, what comes first changing slowest.

        Raises `RequestError` naming the part that has none.
        """
        parts = [list(self.entries) or [{}], grid(self.grid)]
        parts.append([{}] if self.sample is None else sampled(self.sample_axes, self.sample))
        values = crossed(*parts)
        return tuple(Point(record, each) for record in (self.records or (None,)) for each in values)


def read_study(source: Path | str | Mapping[str, Any], name: str = "study") -> Study:
    """The study in a TOML file, or in the plain values that one would give, which are called `name`.

    A base and records that are named by a path are looked for from the working directory. Raises `RequestError` naming
    STUDY for what cannot be read, or the key that makes no sense.
    """
    if isinstance(source, Mapping):
        return study_of(dict(msgspec.to_builtins(source)), name)
    path = Path(source)
    try:
        return study_of(read(path), path.stem)
    except RequestError as error:
        raise RequestError("STUDY", error.reason) if error.field == "CONFIG" else error from None


def study_of(values: dict[str, Any], name: str) -> Study:
    """A study from plain values, as `read_study`."""
    try:
        file = msgspec.convert(values, StudyFile)
    except msgspec.ValidationError as error:
        wrong = misfit(error, StudyFile)
        field_ = ".".join(filter(None, (wrong.place.lstrip("."), wrong.unknown))) or "STUDY"
        told = ", ".join(each.encode_name for each in msgspec.structs.fields(StudyFile))
        reason = f"is not known here; a study has {told}" if wrong.unknown else wrong.reason
        raise RequestError(field_, reason + wrong.hint) from None
    base = read(Path(file.base)) if isinstance(file.base, str) else file.base
    merge_names(base)
    records = (file.record,) if isinstance(file.record, str) else tuple(file.record)
    axes = {_name(key): axis for key, axis in axes_of(file.grid, "grid").items()}
    entries = tuple(
        {_name(key): value for key, value in leaves(entry, lambda value: not isinstance(value, dict))}
        for entry in file.entries
    )
    drawn = axes_of(file.sample.keys, "sample.keys") if file.sample else {}
    drawn = {_name(key): axis for key, axis in drawn.items()}
    _check_parts(file, records, axes, entries, drawn)
    return Study(name, base, records, file.keep, axes, entries, file.sample, drawn, file.tune)


def _check_parts(
    file: StudyFile,
    records: tuple[str, ...],
    axes: Mapping[str, Axis],
    entries: tuple[dict[str, Any], ...],
    drawn: Mapping[str, Axis],
) -> None:
    if file.sample and not drawn:
        raise RequestError("sample.keys", "is empty; name the keys that are drawn, and what they can be")
    if not (axes or entries or drawn or len(records) > 1 or file.tune):
        raise RequestError("STUDY", "varies nothing: it has no key in [grid], [[list]] or [sample.keys]; name some")
    if len(set(records)) < len(records):
        raise RequestError("record", "each can be named once")
    parts = {"[grid]": set(axes), "[[list]]": {key for entry in entries for key in entry}, "[sample]": set(drawn)}
    for (one, keys), (other, others) in (
        (first, second) for number, first in enumerate(parts.items()) for second in list(parts.items())[number + 1 :]
    ):
        for key in sorted(keys & others):
            raise RequestError(key, f"is in {one} and in {other}; say in one of them what it is")


def _name(key: str) -> str:
    """`scenario` is another name of `radio`."""
    return re.sub(r"^scenario(?=\.|$)", "radio", key)
