# SPDX-License-Identifier: GPL-2.0-only
"""What befalls devices: absence, outage, a battery that runs out, computing slowed by heat."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec

from bridge.network import NS_PER_S, RequestError

from .streams import LIFE

MOST_S = 1e9  # 31 years, well within 63 bits of nanoseconds

Time = Annotated[float, msgspec.Meta(ge=0, le=MOST_S)]
Mean = Annotated[float, msgspec.Meta(gt=0, le=MOST_S)]
Interval = Annotated[tuple[Time, ...], msgspec.Meta(min_length=1, max_length=2)]
Intervals = Annotated[tuple[Interval, ...], msgspec.Meta(min_length=1)]
Power = Annotated[float, msgspec.Meta(ge=0)]

STREAMS = 2**20  # for each entry, one a device
FOR_GOOD = -1


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Something that befalls devices. Times are virtual, in s from 0.

    `devices`: by index; all of them if none is named.
    """

    devices: tuple[Annotated[int, msgspec.Meta(ge=0)], ...] = ()


class Absence(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="absence"):
    """The device says goodbye and switches off.

    `intervals_s`: each [from, until], or [from] for good.
    """

    intervals_s: Intervals


class RandomAbsence(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="random-absence"):
    """Present and absent by turns, each for an exponentially distributed time, present at first.

    `mean_present_s`: of the times present.
    `mean_absent_s`: of the times absent.
    """

    mean_present_s: Mean
    mean_absent_s: Mean


class Outage(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="outage"):
    """No signal passes from or to the device.

    `intervals_s`: each [from, until], or [from] for good.
    """

    intervals_s: Intervals


class RandomOutage(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="random-outage"):
    """Free and cut off by turns, each for an exponentially distributed time, free at first.

    `mean_free_s`: of the times free.
    `mean_cut_s`: of the times cut off.
    """

    mean_free_s: Mean
    mean_cut_s: Mean


class Battery(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="battery"):
    """The device is absent for good once its battery is empty. Absent, it draws nothing.

    `capacity_j`: of the full battery, with which the device begins.
    `idle_w`: power of the whole device while nothing is asked of it.
    `receiving_w`: while its downlink is under way.
    `computing_w`: while it computes.
    `transmitting_w`: while its uplink is under way.
    """

    capacity_j: Annotated[float, msgspec.Meta(gt=0)]
    idle_w: Power
    receiving_w: Power
    computing_w: Power
    transmitting_w: Power


class Heat(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="heat"):
    """Computing slowed by heat, a first-order model of our own.

    `warming_s`: time constant with which warmth goes towards 1 while the device computes.
    `cooling_s`: time constant with which it goes towards 0 while it does not.
    `threshold`: warmth above which the speed falls, linearly,
    `slowest`: from 1 to this, at warmth 1.
    """

    warming_s: Mean
    cooling_s: Mean
    threshold: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    slowest: Annotated[float, msgspec.Meta(gt=0, le=1)]


Life = Absence | RandomAbsence | Outage | RandomOutage | Battery | Heat


def begin(engine: Any, life: Sequence[Life], devices: Sequence[Any]) -> None:
    """Let all of it befall the devices of an `ns.cosim.ExchangeEngine`. Raises `RequestError` naming the entry."""
    once: set[tuple[type, int]] = set()
    for number, entry in enumerate(life):
        field = f"radio.life[{number}]"
        for device in entry.devices or range(len(devices)):
            if device >= len(devices):
                raise RequestError(f"{field}.devices", f"{device} is none of the {len(devices)} devices")
            if isinstance(entry, Battery | Heat):
                if (type(entry), device) in once:
                    kind = type(entry).__struct_config__.tag
                    raise RequestError(f"{field}.devices", f"a second {kind} for {devices[device].name}")
                once.add((type(entry), device))
            if isinstance(entry, Outage | RandomOutage) and not engine.Obstruct(device):
                raise RequestError(f"{field}.kind", f"{devices[device].name} has no channel that can be cut off")
            _befall(engine.GetLife(device), entry, field, LIFE[number * STREAMS + device])


def _befall(native: Any, entry: Life, field: str, stream: int) -> None:
    match entry:
        case Absence():
            for interval in _intervals_ns(entry, field):
                native.AddAbsence(*interval)
        case RandomAbsence():
            native.AddRandomAbsence(entry.mean_present_s, entry.mean_absent_s, stream)
        case Outage():
            for interval in _intervals_ns(entry, field):
                native.AddOutage(*interval)
        case RandomOutage():
            native.AddRandomOutage(entry.mean_free_s, entry.mean_cut_s, stream)
        case Battery():
            native.SetBattery(
                entry.capacity_j, entry.idle_w, entry.receiving_w, entry.computing_w, entry.transmitting_w
            )
        case Heat():
            native.SetHeat(entry.warming_s, entry.cooling_s, entry.threshold, entry.slowest)


def _intervals_ns(entry: Absence | Outage, field: str) -> Iterator[tuple[int, int]]:
    for i, (begin_s, *until_s) in enumerate(entry.intervals_s):
        if until_s and until_s[0] <= begin_s:
            raise RequestError(f"{field}.intervals_s[{i}]", f"{until_s[0]:g} s is not after {begin_s:g} s")
        yield round(begin_s * NS_PER_S), round(until_s[0] * NS_PER_S) if until_s else FOR_GOOD
