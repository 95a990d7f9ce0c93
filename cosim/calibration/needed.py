# SPDX-License-Identifier: Apache-2.0
"""The calibration that an experiment's policies need: found before anything starts, and then a part of its record."""

from pathlib import Path

from bridge.network import RequestError
from cosim.config import Config
from model_side.calibrating.store import of_model, of_routing
from model_side.calibration import Calibration, NoTable
from model_side.policies import policy_kinds


def ranks_by_calibration(config: Config) -> bool:
    """Whether experts are ranked by what the model's calibration says of them."""
    return config.placement.experts == "ranked" and not (config.placement.routing or config.model.routing)


def calibration_of(config: Config, recorded: Calibration | None = None) -> dict[str, str]:
    """The table for the journal's `meta`, by its key; nothing where neither a policy nor the placement needs one.

    `recorded`: the one of the run that a what-if is asked of, which is taken if it tells enough. Raises `NoTable` with
    the policies' names where there is none, or where one of them needs experts' outputs and it does not tell these;
    `RequestError` naming `placement.routing` where ranked experts have nothing to be counted by.
    """
    if ranks_by_calibration(config):
        try:
            known = recorded if recorded is not None and recorded.outputs is not None else of_model(config.model.path)
        except NoTable as error:
            reason = f"is what ranked counts by; name recorded routing of this model, or else: {error.reason}"
            raise RequestError("placement.routing", reason) from None
        return {"calibration": known.encoded()}
    needs = {
        kind.name: kind.needs_calibration
        for policy in config.policies
        for kind in policy_kinds(policy)
        if kind.needs_calibration
    }
    if not needs:
        return {}
    outputs = [name for name, need in needs.items() if need == "outputs"]
    names = ", ".join(needs)
    table = recorded
    if table is None or (outputs and table.outputs is None):
        try:
            routing = config.model.routing
            table = of_routing(Path(routing).expanduser()) if routing else of_model(config.model.path)
        except NoTable as error:
            raise NoTable(f"{names}: {error.reason}") from None
    if outputs and table.outputs is None:
        raise NoTable(
            f"{', '.join(outputs)}: the calibration is of recorded routing, which does not tell what experts put out; "
            "run cosim calibrate MODEL where the model is"
        )
    return {"calibration": table.encoded()}
