# SPDX-License-Identifier: Apache-2.0
"""The values that a key of a study takes: all of a list or a range, or those that a sample draws from them.

Samples are by `scipy.stats.qmc`: Latin hypercube and scrambled Sobol sequences; each point is a place in the unit cube,
and each key's place in [0, 1) becomes a value.
"""

import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct, field

from bridge.names import misfit
from bridge.network import RequestError

MOST_VALUES = 1_000_000
"""More than a study can have of one key."""


class Range(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers from `begin` to `end`, both included; whole ones where both are whole (`from` and `to` in a file).

    `step`: between neighbours; 1 for whole numbers. `count`: so many, evenly, instead. `scale`: whether even means
    equal differences, or equal ratios. A sample draws from all of them: from `step` or whole numbers, or else any.
    """

    begin: float | int = field(name="from")
    end: float | int = field(name="to")
    step: float | int | None = None
    count: Annotated[int, Meta(ge=2)] | None = None
    scale: Literal["linear", "log"] = "linear"

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return all(isinstance(number, int) for number in (self.begin, self.end, self.step or 1))

    def check(self, name: str) -> None:
        """Raise `RequestError` naming the key for a range that has no numbers."""
        if not np.isfinite([self.begin, self.end]).all() or self.end < self.begin:
            raise RequestError(name, f"goes from {self.begin} to {self.end}, which is no range; turn it around")
        if self.scale == "log" and self.begin <= 0:
            raise RequestError(name, f"is a range of ratios, which cannot begin at {self.begin}; take scale = 'linear'")
        if self.step is not None and (self.count is not None or self.scale == "log"):
            raise RequestError(name, "has a step beside a count or a scale of ratios; leave one away")
        if self.step is not None and not self.step > 0:
            raise RequestError(name, f"has a step of {self.step}, which leads nowhere; take one above 0")
        if self._steps > MOST_VALUES:
            raise RequestError(name, f"has more than {MOST_VALUES:,} values; take a larger step")

    def values(self, name: str) -> list[float] | list[int]:
        """All of them. Raises `RequestError` naming the key where it cannot be told how many there are."""
        if self.count is not None:
            space = np.geomspace if self.scale == "log" else np.linspace
            found = [float(value) for value in space(self.begin, self.end, self.count)]
            return list(dict.fromkeys(map(round, found))) if self.is_whole else found
        if self._stride is None:
            raise RequestError(name, "needs a step or a count: how many numbers there are cannot be told")
        return [self._whole(self.begin + number * self._stride) for number in range(self._steps)]

    def at(self, place: float) -> float | int:
        """The value at a place in [0, 1); equal lengths of it have equal numbers of values."""
        if self._stride is not None and self.scale == "linear":
            return self._whole(self.begin + int(place * self._steps) * self._stride)
        if self.scale == "log":
            value = float(self.begin * (self.end / self.begin) ** place)
            return round(value) if self.is_whole else value
        return float(self.begin + (self.end - self.begin) * place)

    @property
    def _stride(self) -> float | int | None:
        return self.step if self.step is not None else 1 if self.is_whole else None

    @property
    def _steps(self) -> int:
        stride = self._stride
        return 1 if stride is None else int((self.end - self.begin) / stride * (1 + 1e-12) + 1e-9) + 1

    def _whole(self, value: float) -> float | int:
        return value if self.is_whole else float(value)


Axis = Range | list[Any]
"""What one key can be."""


class Sample(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many `points`, drawn together from what `keys` can be; the same ones for the same `seed`."""

    keys: dict[str, Any]
    points: Annotated[int, Meta(ge=1, le=MOST_VALUES)]
    method: Literal["random", "latin-hypercube", "sobol"] = "sobol"
    seed: Annotated[int, Meta(ge=0)] = 1


def axes_of(section: Mapping[str, Any], where: str) -> dict[str, Axis]:
    """The keys of a section of a study, by their whole names, each with what it can be.

    Raises `RequestError` naming the key, behind `where`, for what is neither a list nor a range, and for an empty one.
    """
    found: dict[str, Axis] = {}
    for name, given in leaves(section, is_leaf=lambda value: not isinstance(value, dict) or "from" in value):
        at = f"{where}.{name}"
        if isinstance(given, dict):
            try:
                axis = msgspec.convert(given, Range)
            except msgspec.ValidationError as error:
                wrong = misfit(error, Range)
                field_ = f"{at}{wrong.place}" + (f".{wrong.unknown}" if wrong.unknown else "")
                reason = "is not known here" if wrong.unknown else wrong.reason
                raise RequestError(field_, reason + wrong.hint) from None
            axis.check(at)
            found[name] = axis
        elif isinstance(given, list):
            if not given:
                raise RequestError(at, "is an empty list, of which there is no run; name its values")
            found[name] = given
        else:
            raise RequestError(at, "is one value; give a list, or a range {from = …, to = …}, or put it into [base]")
    return found


def leaves(section: Mapping[str, Any], is_leaf: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """What stands in tables within tables, by whole names; whatever `is_leaf` is a value."""
    found: list[tuple[str, Any]] = []
    for key, value in section.items():
        if is_leaf(value):
            found.append((prefix + key, value))
        else:
            found += leaves(value, is_leaf, f"{prefix}{key}.")
    return found


def grid(axes: Mapping[str, Axis], where: str = "grid") -> list[dict[str, Any]]:
    """Every combination; the first key changes slowest."""
    columns = [axis.values(f"{where}.{name}") if isinstance(axis, Range) else axis for name, axis in axes.items()]
    count = 1
    for column in columns:
        count *= len(column)
    if count > MOST_VALUES:
        raise RequestError(where, f"has {count:,} combinations, which is more than {MOST_VALUES:,}; take a sample")
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*columns)]


def sampled(axes: Mapping[str, Axis], sample: Sample) -> list[dict[str, Any]]:
    """The points of a sample, in the order in which they are drawn."""
    places = _places(sample.method, sample.points, len(axes), sample.seed)
    return [
        {name: _at(axis, float(place)) for (name, axis), place in zip(axes.items(), row, strict=True)} for row in places
    ]


def _places(method: str, points: int, keys: int, seed: int) -> "np.ndarray":
    """Where the points lie in the unit cube [points, keys]."""
    rng = np.random.default_rng(seed)
    if method == "random":
        return rng.random((points, keys))
    from scipy.stats import qmc  # noqa: PLC0415  (it takes a second to load)

    if method == "latin-hypercube":
        return np.asarray(qmc.LatinHypercube(keys, rng=rng).random(points))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that other numbers than powers of 2 are less even: in the docs
        return np.asarray(qmc.Sobol(keys, rng=rng).random(points))


def _at(axis: Axis, place: float) -> Any:
    return axis.at(place) if isinstance(axis, Range) else axis[int(place * len(axis))]


def crossed(*parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every way to take one of each part, laid together."""
    return [{key: value for part in each for key, value in part.items()} for each in itertools.product(*parts)]
