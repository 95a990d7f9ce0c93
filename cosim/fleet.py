# SPDX-License-Identifier: Apache-2.0
"""What stands behind the links: each device's hardware, how long it computes, and which experts it holds.

Every variant of a run has the same fleet, so that policies and networks are compared on one placement.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bridge.network import RequestError
from cosim.config import Config
from cosim.errors import Diverged
from cosim.networks.probe import Probe, probe_all
from cosim.networks.source import Source
from cosim.record.journal import Journal
from model_side.calibration import Calibration
from model_side.element import WireFormat, wire_format
from model_side.hardware.memory import check_memory, expert_bytes, room
from model_side.hardware.profiles import PROFILES
from model_side.hardware.roofline import RooflineTimes
from model_side.placement import FIELD, LAYERS, Counts, Placement, place, place_layers
from model_side.placing import in_proportion, ranked, replicated
from model_side.routing import Floats
from model_side.routing_trace import RoutingTrace
from model_side.shapes import ModelShape
from model_side.wire_profiles import wire_shape

ROUTING = "placement.routing"

Nearness = Sequence[float | None]
"""Of each device the seconds that a byte takes down and up again, alone on the network; None of one out of reach."""


@dataclass(frozen=True)
class Fleet:
    """The devices of a run.

    `hardware` are their profiles' names, `wire` has the sizes of what they are sent and send.
    """

    hardware: list[str]
    wire: WireFormat
    compute: RooflineTimes
    placement: Placement


def nearness(config: Config, journal: Journal, source: Source | None) -> Nearness | None:
    """How near the devices are, where the placement asks for it: out of the journal, or measured now and recorded.

    It is measured once, on a network of `source` of its own, by a transfer to each device after the other.
    """
    if config.placement.experts != "ranked":
        return None
    found = journal.nearness()
    if found is None:
        if source is None:
            raise Diverged("how near the devices are was never recorded")
        found = measured(source)
        journal.describe_nearness(found)
    return found


def measured(source: Source) -> list[float | None]:
    """How near the devices are, by a transfer to each after the other, on a network of its own."""
    with closing(source.open("nearness")) as network:
        return [_seconds_a_byte(probe) for probe in probe_all(network)]


def fleet_of(
    config: Config, own: ModelShape, devices: int, near: Nearness | None, calibration: Calibration | None = None
) -> Fleet:
    """The fleet of a model with the sizes `own` on so many devices; `calibration`: by which experts may be ranked.

    The last `arrivals.users` devices hold no experts. Raises `RequestError` for a placement that cannot be: with
    experts, layers or devices that there are not, of routing that is another model's, or with a device that lacks
    memory for its experts.
    """
    shape = wire_shape(config.model.wire_profile, own)
    named = config.devices.hardware
    names = [named] if isinstance(named, str) else named
    hardware = [PROFILES[names[device % len(names)]] for device in range(devices)]
    bits = config.devices.weight_bits
    base_station = config.base_station
    compute = RooflineTimes(shape, PROFILES[base_station.hardware], hardware, base_station.weight_bits, bits)
    wire = wire_format(config.exchange.element, shape)
    size_bytes = expert_bytes(shape, bits)
    carriers = devices - config.arrivals.users
    there = room(hardware[:carriers], size_bytes)
    layers, where = len(own.moe_layers), config.placement
    importance, order = np.ones((layers, own.experts)), np.arange(carriers)
    if where.experts == "ranked":
        assert near is not None
        importance, seconds = (
            _importance(config, own, calibration),
            _seconds_a_token(compute, wire, near, devices)[:carriers],
        )
        order = np.argsort(seconds, kind="stable")
        placement = ranked(importance, seconds, there)
    else:
        placement = placement_of(config, own, there)
    check_memory(placement, hardware[:carriers], size_bytes, LAYERS if where.layers else FIELD)
    if where.replicas > 1:
        placement = replicated(placement, where.replicas, there, importance, order)
    placement = placement.beside(config.arrivals.users)
    return Fleet([each.name for each in hardware], wire, compute, placement)


def placement_of(config: Config, own: ModelShape, there: Counts) -> Placement:
    """Where experts are by a list, or a rule that needs no measurement; devices have room for `there` [D].

    Raises `RequestError` for experts, layers or devices that there are not, and where all devices together lack room.
    """
    layers, where = len(own.moe_layers), config.placement
    if where.layers:
        return place_layers(layers, own.experts, len(there), where.layers)
    if where.experts == "memory":
        return in_proportion(layers, own.experts, there)
    return place(layers, own.experts, len(there), where.experts)


def _importance(config: Config, own: ModelShape, calibration: Calibration | None) -> Floats:
    name = config.placement.routing or config.model.routing
    if not name:
        assert calibration is not None
        return calibration.importance
    try:
        trace = RoutingTrace.read(Path(name).expanduser())
    except RequestError as error:
        raise RequestError(ROUTING, error.reason) from None
    importance = trace.importance()
    wanted = (len(own.moe_layers), own.experts)
    if importance.shape != wanted:
        recorded, runs = (f"{experts} experts in {layers} layers" for layers, experts in (importance.shape, wanted))
        raise RequestError(ROUTING, f"{name} has {recorded}, and the model {runs}; record the routing of this model")
    return importance


def _seconds_a_token(compute: RooflineTimes, wire: WireFormat, near: Nearness, devices: int) -> Floats:
    """What one token at one expert of each device takes [D], alone on the network."""
    if len(near) != devices:
        raise Diverged(f"the nearness of {len(near)} devices was recorded, and there are {devices}")
    away_s = np.array([np.inf if each is None else each for each in near]) * wire.token_bytes
    return away_s + compute.devices_s(np.ones(devices, dtype=np.int64), np.arange(devices))


def _seconds_a_byte(probe: Probe) -> float | None:
    if probe.downlink_bps is None or probe.uplink_bps is None:
        return None
    return 8 / probe.downlink_bps + 8 / probe.uplink_bps
