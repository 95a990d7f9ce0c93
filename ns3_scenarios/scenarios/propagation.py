# SPDX-License-Identifier: GPL-2.0-only
"""Path loss, line of sight and shadowing, one model of each for both directions."""

import math
from typing import Any, Literal

from ..scenario import create

PathLoss = Literal["umi", "uma", "rma", "inh", "log-distance", "friis"]
Sight = Literal["random", "always", "never"]

# TR 38.901 table 7.2-1 and the like: BS antenna height in m; the least distance of table 7.4.1-1; ns-3's names.
HEIGHT_M = {"umi": 10.0, "uma": 25.0, "rma": 35.0, "inh": 3.0}
LEAST_DISTANCE_M = {"umi": 10.0, "uma": 10.0, "rma": 10.0, "inh": 1.0}
NS3_NAME = {"umi": "UmiStreetCanyon", "uma": "Uma", "rma": "Rma", "inh": "IndoorOffice"}
SIGHT_NAME = {"umi": "UmiStreetCanyon", "uma": "Uma", "rma": "Rma", "inh": "IndoorMixedOffice"}
FADING_NAME = {"umi": "UMi-StreetCanyon", "uma": "UMa", "rma": "RMa", "inh": "InH-OfficeMixed"}
# Standard deviation of shadowing in dB with line of sight and without, TR 38.901 table 7.4.1-1. `rma` has two with it.
SIGMA_DB = {"umi": (4.0, 7.82), "uma": (4.0, 6.0), "inh": (3.0, 8.03)}
# Correlation distance of shadowing in m with line of sight and without, TR 38.901 table 7.5-6.
CORRELATION_M = {"umi": (10.0, 13.0), "uma": (37.0, 50.0), "rma": (37.0, 120.0), "inh": (10.0, 6.0)}
SIGHT_CORRELATION_M = 50.0  # of the state of line of sight, TR 38.901 table 7.6.3.1-2, UMi and UMa
SPEED_OF_LIGHT = 299792458


def watts(power_dbm: float) -> float:
    """A power in W."""
    return float(10 ** (power_dbm / 10) / 1000)


def path_loss(
    ns: Any,
    kind: PathLoss,
    frequency_hz: float,
    *,
    exponent: float,
    line_of_sight: Sight,
    shadowing_sigma_db: float | None,
    is_moving: bool,
    condition: Any = None,
) -> tuple[Any, Any]:
    """Make ns-3's models of path loss, with shadowing behind it, and of line of sight (None where there is none).

    `shadowing_sigma_db` None is what TR 38.901 prescribes: ns-3's own where nobody moves, and for `rma`. Ours else,
    since ns-3's is drawn anew at each look, so that on a walk it would be another one with other traffic. With a
    `condition` of sight, which another frequency has already, that is taken.
    """
    sigmas_db = (shadowing_sigma_db, shadowing_sigma_db)
    is_prescribed = shadowing_sigma_db is None
    if is_prescribed and is_moving and kind in SIGMA_DB:
        sigmas_db, is_prescribed = SIGMA_DB[kind], False
    model, condition = _plain(ns, kind, frequency_hz, exponent, line_of_sight, is_prescribed, is_moving, condition)
    if any(sigmas_db):
        shadowing = create(ns, "ns3::cosim::LogNormalShadowing", ns.PropagationLossModel)
        sight_m, no_sight_m = CORRELATION_M.get(kind, CORRELATION_M["umi"])
        shadowing.SetAttribute("Sigma", ns.DoubleValue(sigmas_db[0]))
        shadowing.SetAttribute("SigmaNoSight", ns.DoubleValue(sigmas_db[1]))
        shadowing.SetAttribute("CorrelationDistance", ns.DoubleValue(sight_m))
        shadowing.SetAttribute("CorrelationDistanceNoSight", ns.DoubleValue(no_sight_m))
        if condition:
            shadowing.SetAttribute("ChannelConditionModel", ns.PointerValue(condition))
        model.SetNext(shadowing)
    return model, condition


def _plain(
    ns: Any,
    kind: PathLoss,
    frequency_hz: float,
    exponent: float,
    sight: Sight,
    shadowed: bool,
    is_moving: bool,
    condition: Any,
) -> tuple[Any, Any]:
    if kind == "friis":
        model = create(ns, "ns3::FriisPropagationLossModel", ns.PropagationLossModel)
        model.SetAttribute("Frequency", ns.DoubleValue(frequency_hz))
        return model, None
    if kind == "log-distance":
        model = create(ns, "ns3::LogDistancePropagationLossModel", ns.PropagationLossModel)
        model.SetAttribute("Exponent", ns.DoubleValue(exponent))
        reference_db = 20 * math.log10(4 * math.pi * frequency_hz / SPEED_OF_LIGHT)
        model.SetAttribute("ReferenceLoss", ns.DoubleValue(reference_db))
        return model, None
    if sight == "random" and is_moving and kind in ("umi", "uma"):
        soft = condition or _moving_line_of_sight(ns, kind, frequency_hz)
        model = create(ns, "ns3::cosim::SoftPathLoss", ns.PropagationLossModel)
        always, never = _line_of_sight(ns, kind, "always"), _line_of_sight(ns, kind, "never")
        for name, state in (("Sight", always), ("NoSight", never)):
            model.SetAttribute(name, ns.PointerValue(_three_gpp(ns, kind, frequency_hz, shadowed, state)))
        model.SetAttribute("LineOfSight", ns.PointerValue(soft))
        return model, soft
    condition = condition or _line_of_sight(ns, kind, sight)
    return _three_gpp(ns, kind, frequency_hz, shadowed, condition), condition


def _three_gpp(ns: Any, kind: PathLoss, frequency_hz: float, shadowed: bool, condition: Any) -> Any:
    model = create(ns, f"ns3::ThreeGpp{NS3_NAME[kind]}PropagationLossModel", ns.PropagationLossModel)
    model.SetAttribute("Frequency", ns.DoubleValue(frequency_hz))
    model.SetAttribute("ShadowingEnabled", ns.BooleanValue(shadowed))
    model.SetAttribute("ChannelConditionModel", ns.PointerValue(condition))
    return model


def _moving_line_of_sight(ns: Any, kind: PathLoss, frequency_hz: float) -> Any:
    condition = create(ns, "ns3::cosim::MovingLineOfSight", ns.ChannelConditionModel)
    condition.SetAttribute("Macro", ns.BooleanValue(kind == "uma"))
    condition.SetAttribute("TransitionDistance", ns.DoubleValue(transition_m(frequency_hz)))
    return condition


def transition_m(frequency_hz: float) -> float:
    """
    Over which line of sight comes or goes: that in which, by its correlation distance, the normal variable of TR 38.901
    clause 7.6.3.3 changes as much as takes the soft state from 1/4 to 3/4, which is 2 / sqrt(20 m / wavelength).
    """
    return 2 * SIGHT_CORRELATION_M * math.sqrt(SPEED_OF_LIGHT / frequency_hz / 20)


def _line_of_sight(ns: Any, kind: PathLoss, sight: Sight) -> Any:
    name = {"random": f"ThreeGpp{SIGHT_NAME[kind]}", "always": "AlwaysLos", "never": "NeverLos"}[sight]
    return create(ns, f"ns3::{name}ChannelConditionModel", ns.ChannelConditionModel)
