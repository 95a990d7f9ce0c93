# SPDX-License-Identifier: Apache-2.0
"""Both sides of a run in containers, as `docker/compose.yaml` has them: what they do, print and record."""

import json
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands import Failed, attempt, beside, run
from engine import Engine

from cosim.record.journal import FILE_NAME

PROJECT = "wdmoe-cosim-check"
COMPOSE = ("docker", "compose", "-p", PROJECT, "-f", "docker/compose.yaml")
BUILD_S, RUN_S, CALL_S = 1200.0, 600.0, 60.0


@dataclass(frozen=True)
class Composed:
    """The composed services, of a clone of the working tree."""

    engine: Engine
    clone: Path
    uid: int
    gid: int

    def docker(self, *words: str, limit_s: float = CALL_S) -> str:
        """What `docker WORDS` says."""
        return run(["docker", *words], limit_s, environment=self.environment(), folder=self.clone)

    def compose(self, *words: str, run_name: str = "default", arguments: str = "", limit_s: float = CALL_S) -> str:
        """What `docker compose WORDS` says; `run_name` is the run's folder, `arguments` are the model's side's."""
        chosen = {"RUN": run_name, "ARGUMENTS": arguments}
        return run([*COMPOSE, *words], limit_s, environment=self.environment() | chosen, folder=self.clone)

    def building(self, service: str) -> AbstractContextManager[Callable[[], None]]:
        """The building of a service's image, which goes on meanwhile, as `beside` says."""
        return beside([*COMPOSE, "build", service], BUILD_S, environment=self.environment(), folder=self.clone)

    def container(self, service: str) -> str:
        """A container's name."""
        return f"{PROJECT}-{service}-1"

    def log(self, service: str) -> str:
        """What a container has printed, on both streams."""
        command = ["docker", "logs", self.container(service)]
        _, output, errors = attempt(command, CALL_S, environment=self.engine.environment)
        return output + errors

    def state(self, service: str, field: str) -> Any:
        """What Docker says of a container under such a name."""
        return json.loads(self.docker("inspect", "--format", f"{{{{json .{field}}}}}", self.container(service)))

    def until(self, service: str, pattern: str) -> None:
        """Wait until what a container has printed matches."""
        end_s = time.monotonic() + RUN_S
        while not re.search(pattern, self.log(service)):
            if time.monotonic() > end_s:
                raise Failed(f"{service} did not print {pattern!r} within {RUN_S:g} s, but:\n{self.log(service)}")
            time.sleep(0.2)

    def until_recorded(self, run_name: str, exchanges: int) -> None:
        """Wait until a run's journal has so many exchanges."""
        place = f"file:{self.clone / 'runs' / run_name / FILE_NAME}?mode=ro"
        end_s = time.monotonic() + RUN_S
        while time.monotonic() < end_s:
            with suppress(sqlite3.OperationalError), closing(sqlite3.connect(place, uri=True)) as db:
                if db.execute("SELECT count(*) FROM exchanges").fetchone()[0] >= exchanges:
                    return
            time.sleep(0.2)
        raise Failed(
            f"{run_name} did not record {exchanges} exchanges within {RUN_S:g} s; it printed:\n{self.log('model')}"
        )

    def wait_for_end(self) -> None:
        """Wait until the model's side has come to its end, and hold its exit code."""
        end_s = time.monotonic() + RUN_S
        while self.state("model", "State.Status") != "exited":
            if time.monotonic() > end_s:
                raise Failed(f"the model's side did not end within {RUN_S:g} s; it printed:\n{self.log('model')}")
            time.sleep(0.2)
        if (code := self.state("model", "State.ExitCode")) != 0:
            raise Failed(f"the model's side ended with exit code {code}; it printed:\n{self.log('model')}")

    def environment(self) -> dict[str, str]:
        return self.engine.environment | {"COSIM_UID": str(self.uid), "COSIM_GID": str(self.gid)}
