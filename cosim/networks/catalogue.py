# SPDX-License-Identifier: Apache-2.0
"""What the ns-3 side knows of scenarios without building one, asked of a process of its own."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bridge.network import PartnerLost, RequestError
from cosim.config import Config
from cosim.networks.last_words import blame


def device_count(config: Config) -> int | None:
    """How many devices the scenario of `config` has, if its parameters tell; without building it.

    Raises `RequestError` for what the scenario refuses. A script is run for it, in a process of its own.
    """
    devices: int | None = described(config.scenario, config.radio_parameters)["devices"]
    return devices


def device_counts(scenario: str, values: Sequence[dict[str, Any]]) -> list[int | None]:
    """Likewise for many parameters of one scenario at once. Raises `RefusedAt` for the first that it refuses."""
    devices: list[int | None] = catalogue(scenario, "--values", values=list(values))["devices"]
    return devices


class RefusedAt(RequestError):
    """What a scenario refuses of many: `number` is the place of those parameters."""

    def __init__(self, field: str, reason: str, number: int):
        super().__init__(field, reason)
        self.number = number


def described(scenario: str, values: dict[str, Any]) -> Any:
    """A scenario and its parameters, as they are with these values. Raises `RequestError` for what it refuses."""
    return catalogue(scenario, "--values", values=values)


def catalogue(*arguments: str, values: dict[str, Any] | list[dict[str, Any]] | None = None) -> Any:
    """What the ns-3 side's catalogue says; raises `RequestError` for what it refuses."""
    command = [sys.executable, "-m", "ns3_scenarios.catalogue", *arguments]
    given = None if values is None else msgspec.msgpack.encode(values)
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    said = done.stderr.decode(errors="replace")
    if done.returncode not in (0, 2):
        file = re.match(r"(.+\.py)(:\w+)?$", arguments[0]) if arguments else None
        refusal = blame(said, Path(file[1]) if file else None)
        how = f"ended with exit code {done.returncode}: {said.strip()}"
        raise refusal or PartnerLost(f"the process that looks at scenarios {how}")
    sys.stderr.write(said)
    answer = json.loads(done.stdout)
    if done.returncode == 2:
        if "number" in answer:
            raise RefusedAt(answer["field"], answer["reason"], answer["number"])
        raise RequestError(answer["field"], answer["reason"])
    return answer
