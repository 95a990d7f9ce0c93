# SPDX-License-Identifier: Apache-2.0
"""Joules for each token, device by device."""

import numpy as np

from cosim.reporting.cases import Case, Data
from cosim.reporting.figures.drawn import MOST_DEVICES, Drawn, Lacking, busiest, padded
from cosim.reporting.style import HATCHES, colour, legend, panels
from cosim.results.energy import DEVICE_PARTS
from model_side.routing import Floats

NAME = "energy"
TITLE = "Energy for each token"


def draw(data: Data) -> Drawn:
    groups = {label: [case for case in cases if len(case.tokens["latency_s"])] for label, cases in data.groups.items()}
    groups = {label: cases for label, cases in groups.items() if cases}
    drawn = {label: np.mean([_drawn_mj(case) for case in cases], axis=0) for label, cases in groups.items()}
    is_known = bool(drawn) and not any(np.isnan(each).any() for each in drawn.values())
    if not is_known:
        drawn = {label: np.mean([_radiated_mj(case) for case in cases], axis=0) for label, cases in groups.items()}
    if not drawn or any(np.isnan(each).any() for each in drawn.values()):
        raise Lacking("neither what devices drew nor what they radiated is known (docs/model/energy.md)")
    devices = max((case.devices for case in data.cases), key=len)
    figure, (panel,) = panels()
    width, told = 0.8 / len(drawn), busiest(data.cases, MOST_DEVICES)
    for index, (label, each_mj) in enumerate(drawn.items()):
        at = np.arange(len(told)) + (index - (len(drawn) - 1) / 2) * width
        panel.bar(
            at,
            padded(each_mj, len(devices))[told],
            width,
            color=colour(index),
            hatch=HATCHES[index % 6],
            lw=0.3,
            label=label,
        )
    slanted = len(told) > 4
    names = [devices[device] for device in told]
    panel.set_xticks(range(len(told)), names, rotation=40 if slanted else 0, ha="right" if slanted else "center")
    panel.set_ylabel("mJ a token")
    panel.grid(visible=False, axis="x")
    legend(figure, panel, 2)
    what = "drew to receive, compute and send" if is_known else "radiated; what it drew is not known"
    said = [f"{label}: {each.sum():.3g} mJ over all devices" for label, each in drawn.items()]
    return Drawn(figure, f"What each device {what}, for each token. {'; '.join(said)}.")


def _drawn_mj(case: Case) -> Floats:
    parts = case.transfer_energy.parts
    return _by_device(case, sum((parts[name] for name in DEVICE_PARTS), np.zeros(1)))


def _radiated_mj(case: Case) -> Floats:
    return _by_device(case, case.transfer_energy.radiated_j[1])


def _by_device(case: Case, joules: Floats) -> Floats:
    found = np.bincount(case.transfer_energy.device, joules, minlength=len(case.devices))
    return np.asarray(1e3 * found / len(case.tokens["latency_s"]))
