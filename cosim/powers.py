# SPDX-License-Identifier: Apache-2.0
"""The powers of an experiment's devices and base station: as configured, else their hardware profile's."""

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.network import NetworkInfo
from cosim.config import Config
from model_side.energy import Powers
from model_side.hardware.profiles import PROFILES


def hardware_of(config: Config, devices: int) -> list[str]:
    """The profile of each device."""
    return _in_turn(config.devices.hardware, devices)


def powers_of(config: Config, devices: int, air_w: Sequence[tuple[float, float] | None] | None = None) -> Powers:
    """Of so many devices; `air_w` as in `bridge.network.NetworkInfo`."""
    hardware = hardware_of(config, devices)
    own, bs = config.devices, config.base_station
    computing = zip(_in_turn(own.compute_w, devices), hardware, strict=True)
    known = [pair or (nan, nan) for pair in air_w or [None] * devices]
    return Powers(
        compute_w=np.array([_computing(given, name) for given, name in computing]),
        receive_w=_numbers(own.receive_w, devices),
        transmit_w=_numbers(own.transmit_w, devices),
        efficiency=_numbers(own.amplifier_efficiency, devices),
        air_w=np.array(known, dtype=np.float64).reshape(-1, 2).T,
        bs_compute_w=_computing(bs.compute_w, bs.hardware),
        bs_transmit_w=_number(bs.transmit_w),
        bs_efficiency=_number(bs.amplifier_efficiency),
        hardware=hardware,
    )


def powers_in(config: Config, info: NetworkInfo) -> Powers:
    """Those of the devices of a network."""
    return powers_of(config, len(info.devices), info.air_w)


def _in_turn(given: Any, devices: int) -> list[Any]:
    """One for all devices, or a list taken in turn."""
    values = given if isinstance(given, list) else [given]
    return [values[device % len(values)] for device in range(devices)]


def _numbers(given: Any, devices: int) -> NDArray[np.float64]:
    """Of each device, NaN for a word."""
    return np.array([_number(each) for each in _in_turn(given, devices)])


def _computing(given: float | str, hardware: str) -> float:
    """What is given, or what the profile says."""
    by_profile = PROFILES[hardware].compute_w
    return _number(by_profile if given == "profile" and by_profile is not None else given)


def _number(given: float | str) -> float:
    """NaN for a word."""
    return nan if isinstance(given, str) else float(given)
