# SPDX-License-Identifier: Apache-2.0
"""A model that is loaded and looked at: what it is, what it takes where, and whether it can be split exactly."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from bridge.network import RequestError
from cosim.config import Config
from cosim.fleet import placement_of
from cosim.networks.catalogue import device_count
from cosim.powers import hardware_of
from model_side.hardware.memory import expert_bytes, room, stored_bytes
from model_side.hardware.profiles import PROFILES
from model_side.placing import replicated
from model_side.shapes import ModelShape
from model_side.wire_profiles import wire_shape

if TYPE_CHECKING:
    from model_side.model.moe import SplitModel

TOKENS = 8
"""A prompt of so many, and one more, are run to see whether a split model answers as the unmodified one."""
_MB = 1e6


@dataclass(frozen=True)
class DeviceMemory:
    """What a device has to hold: experts of all layers together, and their bytes."""

    device: int
    hardware: str
    experts: int
    needs_bytes: int
    has_bytes: int


@dataclass(frozen=True)
class Checked:
    """A model that was loaded. `is_exact`: whether split it answers as the unmodified model, and `verdict` says why.

    What can be told only of one that can be split, or of a dense one, is None else. `base_station_bytes`: of all but
    the routed experts, of a dense model of all its matrices.
    """

    path: str
    family: str
    architecture: str
    parameters: int
    is_exact: bool
    verdict: str
    base_station: str
    base_station_bytes: int | None = None
    decoder_layers: int | None = None
    moe_layers: int = 0
    experts: int = 0
    top_k: int = 0
    token_bytes: int | None = None
    expert_bytes: int | None = None
    devices: tuple[DeviceMemory, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def check_model(config: Config) -> Checked:
    """Load the model of a configuration and look at it. Raises `RequestError` for one that does not load."""
    from model_side.model.loaded_model import shape_of  # noqa: PLC0415
    from model_side.model.loading import Place, loaded  # noqa: PLC0415  (PyTorch)
    from model_side.model.moe import SplitModel  # noqa: PLC0415
    from model_side.model.routers import find_blocks  # noqa: PLC0415
    from model_side.model_sizes import dense_sizes  # noqa: PLC0415

    place = Place(config.model.device, config.model.experts)
    model, checkpoint = loaded(config.model.path, config.model.dtype, place, dense=True)
    named = (config.model.path, model.config.model_type, type(model).__name__, model.num_parameters())
    base_station = config.base_station
    try:
        split = SplitModel(model) if find_blocks(model) else None
    except RequestError as error:
        return Checked(*named, False, error.reason, base_station.hardware)
    if split is None:
        own = msgspec.convert(dense_sizes(model, checkpoint.dtype), ModelShape)
        verdict = "it has no experts; it can stand beside a model that has, whole at the base station (--baseline)"
        size_bytes = stored_bytes(own.weights, base_station.weight_bits)
        return Checked(*named, False, verdict, base_station.hardware, size_bytes, own.decoder_layers)
    own = shape_of(split, checkpoint.dtype)
    shape = wire_shape(config.model.wire_profile, own)
    return Checked(
        *named,
        *_held_against_itself(split),
        base_station.hardware,
        stored_bytes(shape.weights - shape.routed_weights, base_station.weight_bits),
        own.decoder_layers,
        len(own.moe_layers),
        own.experts,
        own.top_k,
        shape.token_bytes,
        expert_bytes(shape, config.devices.weight_bits),
        _devices(config, own, shape),
    )


def print_checked(found: Checked, config: Config, console: Console) -> None:
    """Print what was found."""
    lines = {"model": f"{found.path}: {found.architecture} ({found.family}), {found.parameters:,} parameters"}
    if found.experts:
        layers = f"in {found.moe_layers} of {found.decoder_layers} layers"
        lines["experts"] = f"{found.experts}, of which a token takes {found.top_k}, {layers}"
        lines["a token"] = f"{found.token_bytes:,} bytes to an expert, and as many back"
        lines["an expert"] = f"{found.expert_bytes:,} bytes in {config.devices.weight_bits} bits"
    if found.base_station_bytes is not None:
        what = "all but the experts" if found.experts else "all of it"
        takes = f"{found.base_station_bytes:,} bytes in {config.base_station.weight_bits} bits, {what}"
        lines["base station"] = f"{takes}; {found.base_station} has {PROFILES[found.base_station].memory_bytes:,}"
    lines["split exactly"] = f"{'yes' if found.is_exact else 'no'}, {found.verdict}"
    for what, words in lines.items():
        console.print(f"{what}: {words}", highlight=False, markup=False, soft_wrap=True)
    if found.devices:
        console.print(_device_table(found.devices, config))


def _device_table(devices: Sequence[DeviceMemory], config: Config) -> Table:
    where = config.placement
    rule = where.experts if isinstance(where.experts, str) and not where.layers else "as listed"
    table = Table(title=f"devices, experts {rule}", title_justify="left", show_edge=False, pad_edge=False)
    for heading in ("device", "hardware", "experts", "need MB", "has MB", ""):
        table.add_column(heading, justify="left" if heading in ("hardware", "") else "right")
    for each in devices:
        lacking = each.needs_bytes - each.has_bytes
        verdict = f"{lacking / _MB:,.1f} MB are lacking" if lacking > 0 else "fits"
        sizes = (f"{each.needs_bytes / _MB:,.1f}", f"{each.has_bytes / _MB:,.1f}")
        table.add_row(str(each.device), each.hardware, str(each.experts), *sizes, verdict)
    return table


def _devices(config: Config, own: ModelShape, shape: ModelShape) -> tuple[DeviceMemory, ...]:
    """Under the placement of the configuration, on as many devices as its scenario has."""
    where = config.placement
    if where.experts == "ranked":
        raise RequestError("placement.experts", "ranked is measured when a run begins; take round-robin or memory")
    count = device_count(config)
    if count is None:
        raise RequestError("radio.scenario", f"{config.scenario} does not say how many devices it has; take a built-in")
    hardware = [PROFILES[name] for name in hardware_of(config, count)]
    size_bytes = expert_bytes(shape, config.devices.weight_bits)
    there = room(hardware, size_bytes)
    placement = placement_of(config, own, there)
    if where.replicas > 1:
        equal = np.ones((len(own.moe_layers), own.experts))
        placement = replicated(placement, where.replicas, there, equal, np.arange(count))
    held = np.sum([layer.holds.sum(axis=0) for layer in placement.layers], axis=0).tolist()
    return tuple(
        DeviceMemory(device, each.name, experts, experts * size_bytes, each.memory_bytes)
        for device, (each, experts) in enumerate(zip(hardware, held, strict=True))
    )


def _held_against_itself(split: "SplitModel") -> tuple[bool, str]:
    """Whether the model answers bit for bit as the unmodified one when it is steered to its own choice.

    That its blocks give zeros without their experts' answers has been seen when it was split.
    """
    import torch  # noqa: PLC0415

    vocabulary = int(split.model.get_input_embeddings().weight.shape[0])
    tokens = (torch.arange(TOKENS, device=split.model.device) * 7919 % vocabulary)[None]
    plain_cache = steered_cache = None
    for given in (tokens, tokens[:, :1]):
        plain, plain_cache = split.forward(given, plain_cache, "a check, unmodified")
        with split.routed(lambda gate: (gate.weights.clone(), gate.indices.clone())):
            steered, steered_cache = split.forward(given, steered_cache, "a check, steered")
        if not torch.equal(plain, steered):
            most = float((plain - steered).abs().max())
            return False, f"its logits differ by up to {most:.3g} from those of the unmodified model"
    said = f"{TOKENS + 1} tokens got the unmodified model's logits bit for bit"
    return True, f"{said}, and without its experts its blocks give zeros"
