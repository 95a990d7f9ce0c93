# SPDX-License-Identifier: Apache-2.0
"""A dense model beside the policies of a run: served whole at the base station, on its roofline, without an exchange.

With a wire profile, the model that runs has the profile's sizes and its own number of layers. A published dense model
beside it counts as deep in proportion: 80 layers beside 6 of the 32 of Mixtral 8x7B are 15. Its memory is that of all.
"""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from bridge.network import NS_PER_S, NetworkInfo
from cosim.config import DENSE, NO_NETWORK, Config
from cosim.powers import powers_of
from cosim.record.baseline_meta import KEY, BaselineMeta, BaselineWeights
from cosim.record.journal import Journal
from cosim.screen.display import Display
from cosim.seeds import seed_of
from model_side.hardware.profiles import PROFILES
from model_side.hardware.roofline import RooflineTimes
from model_side.hardware.whole import WholeMemory, whole_memory
from model_side.quality import TextQuality
from model_side.serving import Serving
from model_side.shapes import ModelShape
from model_side.wire_profiles import DENSE_PROFILES, OWN, WIRE_PROFILES, dense_profile

if TYPE_CHECKING:
    from model_side.model.dense_run import DenseRun
    from model_side.model.model_run import Asked


@dataclass(frozen=True)
class Baseline:
    """The dense model of a run: `profile` has the sizes `shape` that count, its first `layers` for its time."""

    run: "DenseRun"
    profile: str
    shape: ModelShape
    layers: int
    memory: WholeMemory


def baseline_of(config: Config, serving: Serving, asked: "Asked") -> Baseline:
    """The dense model beside what a run serves.

    Raises `RequestError` naming `model.baseline` for what is no dense model, and a field of `base_station` for what
    lacks memory there.
    """
    model, base_station = config.model, config.base_station
    run = _run_of(config, serving, asked)
    profile = dense_profile(model.baseline_profile, model.wire_profile)
    shape = run.shape if profile == OWN else DENSE_PROFILES[profile]
    layers = shape.decoder_layers if profile == OWN else layers_of(shape, model.wire_profile, serving.shape)
    hardware = PROFILES[base_station.hardware]
    memory = whole_memory(shape, hardware, base_station.weight_bits, run.longest, base_station.boards)
    return Baseline(run, profile, shape, layers, memory)


def _run_of(config: Config, serving: Serving, asked: "Asked") -> "DenseRun":
    from model_side.model.dense_run import DensePrompts, DenseTasks  # noqa: PLC0415  (PyTorch)

    model, work = config.model, config.workload
    which = (model.baseline, model.path, model.dtype, model.threads, model.device)
    if work.tasks:
        return DenseTasks(*which, work.tasks, work.items, seed_of(config, "prompts"))
    return DensePrompts(*which, asked, serving.record["prompts"], config.quality)


def layers_of(shape: ModelShape, wire_profile: str, own: ModelShape) -> int:
    """How many layers of a published dense model count beside one of `own` layers that has a profile's sizes."""
    if wire_profile == OWN:
        return shape.decoder_layers
    depth = own.decoder_layers / WIRE_PROFILES[wire_profile].decoder_layers
    return max(1, round(shape.decoder_layers * depth))


def run_baseline(
    config: Config, baseline: Baseline, number: int, journal: Journal, display: Display
) -> dict[str, float]:
    """Let the dense model answer all requests, as variant `number`. Returns the wall-clock seconds of each part."""
    began_s = time.perf_counter()
    requests = len(baseline.run.requests)
    display.say(f"{DENSE}: {requests} requests to {config.model.baseline}, whole at the base station, no exchanges")
    model, weights = baseline.run.load()
    set_up_s = time.perf_counter() - began_s
    base_station = config.base_station
    bits, shape = base_station.weight_bits, baseline.shape
    journal.describe({KEY: to_builtins(_described(config, baseline, weights))})
    info = NetworkInfo(NO_NETWORK, (), 0, {}, {})
    journal.add_variant(number, DENSE, NO_NETWORK, info, powers_of(config, 0), [])
    layers = replace(shape, decoder_layers=baseline.layers, layers=shape.layers[: baseline.layers])
    compute = RooflineTimes(layers, PROFILES[base_station.hardware], [], bits, bits)
    qualities: dict[int, TextQuality] = {}
    for token in baseline.run.serve(model, lambda new, of: round(compute.head_s(new, of) * NS_PER_S)):
        journal.add_token(number, token)
        for item in token.items:
            journal.add_item(number, item)
        if isinstance(token.quality, TextQuality) and token.quality.scored:  # of the prompt; an answer is not scored
            qualities[token.request] = token.quality
    for request, quality in qualities.items():
        journal.add_quality(number, request, {"scored": float(quality.scored), "nll_nats": quality.nll_nats})
    journal.hold_complete(number)
    return {"set-up": set_up_s, "model": time.perf_counter() - began_s - set_up_s}


def _described(config: Config, baseline: Baseline, weights: dict[str, Any]) -> BaselineMeta:
    run, memory, base_station = baseline.run, baseline.memory, config.base_station
    return BaselineMeta(
        config.model.baseline,
        baseline.profile,
        baseline.shape,
        baseline.layers,
        base_station.hardware,
        base_station.weight_bits,
        memory.boards,
        memory.weight_bytes,
        memory.cache_bytes,
        run.own_tokens,
        [list(request.prompt) for request in run.requests] if run.own_tokens and not config.workload.tasks else None,
        BaselineWeights(**weights),
    )
