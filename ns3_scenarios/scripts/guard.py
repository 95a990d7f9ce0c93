# SPDX-License-Identifier: GPL-2.0-only
"""What a scenario must leave to the simulation that it is part of: its clock, and its random numbers."""

from typing import Any

from ..topology import ScriptError

_CLOCK = "the simulation runs when the model exchanges data; leave it out"
_SETTLE = f"{_CLOCK} (attach_s and Topology's ready let a network settle)"
_CHANCE = "seed and run are the experiment's (the setting seed), so that its record says them; leave it out"

_REFUSED = {
    ("Simulator", "Run"): _SETTLE,
    ("Simulator", "Stop"): _CLOCK,
    ("Simulator", "Destroy"): _CLOCK,
    ("RngSeedManager", "SetSeed"): _CHANCE,
    ("RngSeedManager", "SetRun"): _CHANCE,
    ("RngSeedManager", "ResetNextStreamIndex"): _CHANCE,
}


class Guard:
    """Refuses such calls from Python, from now until `lift`, with a `ScriptError`."""

    def __init__(self, ns: Any):
        self._ns = ns
        self._chance = self._seed_and_run()
        self._originals = {place: vars(getattr(ns, place[0]))[place[1]] for place in _REFUSED}
        for (kind, function), why in _REFUSED.items():
            setattr(getattr(ns, kind), function, _refusal(f"ns.{kind}.{function}", why))

    def lift(self) -> None:
        """Let everyone call everything again."""
        for (kind, function), original in self._originals.items():
            setattr(getattr(self._ns, kind), function, original)

    def check(self) -> None:
        """Raise `ScriptError` if it was done in another way, as by `ns.Config.SetGlobal` or C++ of the script's own."""
        if self._ns.Simulator.Now().GetNanoSeconds() != 0:
            raise ScriptError(f"build has run the simulation; {_SETTLE}")
        if self._seed_and_run() != self._chance:
            raise ScriptError(f"build has set ns-3's RngSeed or RngRun; {_CHANCE}")

    def _seed_and_run(self) -> tuple[int, int]:
        return int(self._ns.RngSeedManager.GetSeed()), int(self._ns.RngSeedManager.GetRun())


def _refusal(name: str, why: str) -> Any:
    def refuse(*_: object) -> None:
        raise ScriptError(f"{name} cannot be called by a scenario: {why}")

    return staticmethod(refuse)
