# SPDX-License-Identifier: Apache-2.0
"""Expert selection as a Gymnasium environment: an agent decides MoE layer by MoE layer which experts are asked.

    env = ExpertSelection(records="runs/first", routing="own.parquet")
    observation, info = env.reset(seed=1)
    observation, reward, terminated, truncated, info = env.step(thresholds)

An episode is a run's workload on one network: `workload.requests` prompts, prefill and decode, each a number of passes
through all MoE layers, a step each. docs/scripts/learning.md goes through it.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from bridge.network import NS_PER_S, PartnerLost, RequestError
from cosim.config import Config, load
from cosim.episodes.episode import Episode, Passed
from cosim.episodes.servings import Servings
from cosim.episodes.worlds import POLICIES, Ns3World, RecordedWorld, Stage, World, with_routing
from cosim.fitted import working_in
from cosim.fleet import fleet_of
from cosim.networks.ns3_side import Ns3Place
from cosim.powers import powers_in
from cosim.variant import base_station_of
from model_side.exchange import LayerExchange
from model_side.layer_view import FEATURES, keep_above, view
from model_side.quality import PassQuality
from model_side.routing import kept_of
from model_side.selection import Layer
from model_side.serving import Serving

_MOST_SEED = 2**32
_HERE = Ns3Place()

Array = NDArray[np.float32]


class ExpertSelection(gymnasium.Env[Array, Array]):
    """Which experts of a MoE layer are asked, with E experts on D devices; the same seeds give the same episode.

    Where it takes place: `records`, folders of recorded runs, whose links are fitted (what-if: no ns-3, the quickest);
    or else `config`, as `cosim.run` takes it, with ns-3 on the `network` live or analytic. `settings`, each `KEY=VALUE`
    as after `--set`, go over either. `routing`: recorded routing that stands in for the model, so that none runs. `at`:
    where ns-3 is.

    Observation: `Box(-1, 1, (E, F))`, of each expert the F features of `model_side.layer_view.view`: what the gate asks
    of it and with what weight, what its device is expected to take with all that, and the state of its link.

    Action: `Box(0, 1, (E,))`, a threshold for each expert: a token asks it only if its weight, beside that of the
    token's best expert, reaches it (`model_side.layer_view.keep_above`). 0 is the model's own choice, 1 leaves an
    expert to the tokens whose best it is; a mask of experts is an action of zeros and ones. One shape fits prompts of
    any length and single tokens; why it is a threshold is told there.

    Reward: `-(per_second * layer_s + per_lost * lost + per_nat * kl_nats)`. `layer_s` is virtual time from the layer's
    departure to its end, `lost` the part of the layer's gate weight whose experts did not answer, as they were left
    out or came late (a proxy of quality, see `model_side.quality.GateProxy`). `kl_nats` is that of the pass that the
    layer ended, the mean over its positions of the divergence from the unmodified model: 0 in other layers, and known
    only where a model runs and `quality` is true. So the undiscounted return is that of the whole workload.

    `info` has `layer_s`, `lost`, the layer's `request`, `position`, `phase`, `layer` and `tokens`, and in the step that
    ends a pass `token_s`, and `kl_nats` where it is known. `reset` tells the `seed` of the episode.

    Raises `RequestError` for bad input, and `PartnerLost` where ns-3 is lost; `reset` then goes on with a new one.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (as Gymnasium has it)

    def __init__(
        self,
        config: Config | Mapping[str, Any] | Path | str | None = None,
        *,
        records: Sequence[Path | str] | Path | str = (),
        network: str = "live",
        settings: Sequence[str] = (),
        routing: Path | str | None = None,
        per_second: float = 50.0,
        per_lost: float = 1.0,
        per_nat: float = 0.0,
        at: Ns3Place = _HERE,
    ):
        weights = {"per_second": per_second, "per_lost": per_lost, "per_nat": per_nat}
        _check_weights(weights)
        self._weights = dict(zip(("layer_s", "lost", "kl_nats"), weights.values(), strict=True))
        self._servings = Servings()
        self._episode: Episode | None = None
        self._stage: Stage | None = None
        self._layer: Layer | None = None
        self._world = _world(config, records, network, settings, None if routing is None else Path(routing), at)
        try:
            if per_nat:
                _check_compared(self._world.config)
            shape = self._serving(self._world.config, self._world.folder).shape
        except BaseException:
            self._world.close()
            raise
        self._experts = shape.experts
        self.observation_space = Box(-1, 1, (self._experts, len(FEATURES)), np.float32)
        self.action_space = Box(0, 1, (self._experts,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begin an episode; without `seed` one that the episodes before decide.

        A `seed` that a run can have, from 1 to 2**32 - 1, is the seed of the episode as of a run. On records it is that
        of prompts, sampling and losses, and says on which record. `options` are not used.
        """
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(1, _MOST_SEED))
        own = seed if seed is not None and 1 <= seed < _MOST_SEED else drawn
        self._leave()
        try:
            self._stage = self._world.stage(own)
            self._episode = self._begin(self._stage)
            self._layer = self._episode.begin()
        except BaseException as error:
            self._lose(error)
            raise
        assert self._layer is not None
        return view(self._layer), {"seed": own}

    def step(self, action: Array) -> tuple[Array, SupportsFloat, bool, bool, dict[str, Any]]:
        """Decide the layer that was shown, and go on to the next one; `terminated` after the last."""
        if self._episode is None or self._layer is None:
            raise gymnasium.error.ResetNeeded("the episode is over; call reset")
        thresholds = np.asarray(action, np.float64)
        if thresholds.shape != (self._experts,) or not ((thresholds >= 0) & (thresholds <= 1)).all():
            raise gymnasium.error.InvalidAction(f"an action is {self._experts} thresholds within 0 and 1")
        try:
            passed = self._episode.decide(keep_above(self._layer, thresholds))
        except BaseException as error:
            self._lose(error)
            raise
        self._layer = passed.layer
        info = _info(passed)
        reward = -sum(weight * info.get(name, 0.0) for name, weight in self._weights.items())
        over = passed.layer is None
        if passed.layer is None:
            self._leave()
            observation = np.zeros((self._experts, len(FEATURES)), np.float32)
        else:
            observation = view(passed.layer)
        return observation, float(reward), over, False, info

    def close(self) -> None:
        """Leave the episode, and stop ns-3 if it was started here."""
        self._leave()
        self._world.close()

    def _serving(self, config: Config, folder: str) -> Serving:
        with working_in(folder):
            return self._servings.of(config)

    def _begin(self, stage: Stage) -> Episode:
        config, network = stage.config, stage.network
        serving = self._serving(config, stage.folder)
        with working_in(stage.folder):
            fleet = fleet_of(config, serving.shape, len(network.info.devices), stage.near, stage.calibration)
        powers = powers_in(config, network.info)
        return Episode(
            serving,
            lambda policy, listen: base_station_of(config, network, policy, fleet, powers, listen, stage.calibration),
        )

    def _leave(self) -> None:
        """Have done with the episode that is open, if one is."""
        episode, stage = self._episode, self._stage
        self._episode = self._stage = self._layer = None
        if episode is not None:
            episode.close()
        if stage is not None:
            stage.network.close()

    def _lose(self, error: BaseException) -> None:
        """Have done with an episode that failed, and with ns-3 if that is what was lost."""
        if isinstance(error, PartnerLost):
            self._world.abandon()
        with suppress(PartnerLost):
            self._leave()


def _world(
    config: Config | Mapping[str, Any] | Path | str | None,
    records: Sequence[Path | str] | Path | str,
    network: str,
    settings: Sequence[str],
    routing: Path | None,
    at: Ns3Place,
) -> World:
    folders = [Path(each) for each in ([records] if isinstance(records, Path | str) else records)]
    if folders:
        if config is not None:
            raise RequestError("records", "have a configuration of their own; leave config away, or say it by settings")
        return RecordedWorld(folders, settings, routing)
    return Ns3World(with_routing(load(config, settings, POLICIES, networks=[network]), routing), at)


def _check_weights(weights: Mapping[str, float]) -> None:
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise RequestError(name, f"{weight} is no weight; give one that is at least 0")


def _check_compared(config: Config) -> None:
    if config.model.routing or not config.quality:
        reason = "weighs a divergence that is not known: it needs a model, no recorded routing, and quality = true"
        raise RequestError("per_nat", reason)


def _info(passed: Passed) -> dict[str, Any]:
    exchange = passed.exchange
    info: dict[str, Any] = {
        "layer_s": (exchange.outcome.now_ns - exchange.depart_ns) / NS_PER_S,
        "lost": lost_of(exchange),
        "request": exchange.request,
        "position": exchange.position,
        "phase": exchange.phase.value,
        "layer": exchange.layer,
        "tokens": exchange.tokens,
    }
    for token in passed.tokens:
        info["token_s"] = (token.end_ns - token.start_ns) / NS_PER_S
        if isinstance(token.quality, PassQuality):
            info["kl_nats"] = token.quality.kl_nats / token.quality.positions
    return info


def lost_of(exchange: LayerExchange) -> float:
    """The part of the gate's weight of a layer whose experts did not answer."""
    gate = exchange.gate
    came = np.where(exchange.delivered, exchange.selection.indices, gate.experts)
    total = float(gate.weights.sum(dtype=np.float64))
    return 1 - kept_of(gate, came)[0] / total if total > 0 else 0.0


gymnasium.register("cosim/ExpertSelection-v0", entry_point="cosim.env:ExpertSelection")
