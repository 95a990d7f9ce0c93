# SPDX-License-Identifier: Apache-2.0
"""The powers of an experiment's devices and base station: as configured, else their hardware profile's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.network import NetworkInfo
from cosim.config import Config
from model_side.energy import Powers
from model_side.hardware.profiles import PROFILES

Watts = float | list[float] | None


def hardware_of(config: Config, devices: int) -> list[str]:
    """The profile of each device."""
    return _in_turn(config.devices.hardware, devices)


def powers_of(config: Config, devices: int, air_w: Sequence[tuple[float, float] | None] | None = None) -> Powers:
    """Of so many devices; `air_w` as in `bridge.network.NetworkInfo`."""
    hardware = hardware_of(config, devices)
    own, bs = config.devices, config.base_station
    by_profile = _known([PROFILES[name].compute_w for name in hardware])
    known = [(None, None) if pair is None else pair for pair in air_w or [None] * devices]
    return Powers(
        compute_w=by_profile if own.compute_w is None else _known(_in_turn(own.compute_w, devices)),
        receive_w=_known(_in_turn(own.receive_w, devices)),
        transmit_w=_known(_in_turn(own.transmit_w, devices)),
        efficiency=_known(_in_turn(own.amplifier_efficiency, devices)),
        air_w=np.stack([_known([pair[way] for pair in known]) for way in (0, 1)]),
        bs_compute_w=float(_known(PROFILES[bs.hardware].compute_w if bs.compute_w is None else bs.compute_w)),
        bs_transmit_w=float(_known(bs.transmit_w)),
        bs_efficiency=float(_known(bs.amplifier_efficiency)),
        hardware=hardware,
    )


def powers_in(config: Config, info: NetworkInfo) -> Powers:
    """Those of the devices of a network."""
    return powers_of(config, len(info.devices), info.air_w)


def _in_turn(given: Any, devices: int) -> list[Any]:
    """One for all devices, or a list taken in turn."""
    values = given if isinstance(given, list) else [given]
    return [values[device % len(values)] for device in range(devices)]


def _known(figures: Any) -> NDArray[np.float64]:
    """None as NaN."""
    return np.array(figures, dtype=np.float64)
