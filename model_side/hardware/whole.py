# SPDX-License-Identifier: Apache-2.0
"""A dense model that the base station holds whole: its memory and the boards that it takes.

Over several boards the layers lie one after the other, each whole on one board, and a board is filled before the next
one begins. A pass goes through them in turn: so it lasts as long as on one board with memory enough. That the hidden
state goes from board to board is not charged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.network import RequestError
from model_side.hardware.memory import stored_bytes
from model_side.hardware.profiles import Hardware
from model_side.shapes import ModelShape


@dataclass(frozen=True)
class WholeMemory:
    """What a model takes: its matrices, what it keeps of the tokens before, and on how many boards that is."""

    weight_bytes: int
    cache_bytes: int
    boards: int


def whole_memory(shape: ModelShape, hardware: Hardware, weight_bits: int, tokens: int, boards: int) -> WholeMemory:
    """What a model takes that serves one request of `tokens` at a time, on `boards` of a hardware or less.

    Norms, biases and what is computed in between are not counted. Raises `RequestError` naming `base_station.boards`
    with the bytes if there are too few, and `base_station.hardware` if one of its layers has no room on a board.
    """
    caches = [_cache_bytes(shape, layer, tokens) for layer in range(shape.decoder_layers)]
    layers = [_layer_bytes(shape, layer, weight_bits) for layer in range(shape.decoder_layers)]
    vocabulary = stored_bytes(shape.vocab * shape.hidden, weight_bits)
    ends = [vocabulary] * (1 if shape.tied else 2)
    both = [layer + cache for layer, cache in zip(layers, caches, strict=True)]
    weight_bytes, needs_bytes = sum(layers) + sum(ends), sum(both) + sum(ends)
    if needs_bytes <= hardware.memory_bytes:
        return WholeMemory(weight_bytes, sum(caches), 1)
    taken = _boards([vocabulary, *both, vocabulary], hardware)  # first and last board each need the vocabulary
    if taken > boards:
        needs = f"needs {needs_bytes:,} bytes, {weight_bytes:,} of them weights of {weight_bits} bits"
        there = f"{boards} of {hardware.name} have" if boards > 1 else f"{hardware.name} has"
        mend = f"take {taken} boards, another base_station.hardware, or fewer base_station.weight_bits"
        has = f"{there} {boards * hardware.memory_bytes:,}"
        raise RequestError("base_station.boards", f"the dense model {needs}, and {has}; {mend}")
    return WholeMemory(weight_bytes, sum(caches), taken)


def cache_bytes(shape: ModelShape, tokens: int) -> int:
    """What a model keeps of so many tokens of one request, all layers together."""
    return sum(_cache_bytes(shape, layer, tokens) for layer in range(shape.decoder_layers))


def _layer_bytes(shape: ModelShape, layer: int, weight_bits: int) -> int:
    return sum(stored_bytes(part.weights, weight_bits) for part in shape.layer(layer).parts)


def _cache_bytes(shape: ModelShape, layer: int, tokens: int) -> int:
    kept = (
        mixer.cache_elements * min(tokens, mixer.window or tokens) + mixer.state_elements
        for mixer in shape.layer(layer).mixers
    )
    return sum(kept) * shape.element_bytes


def _boards(parts: Sequence[int], hardware: Hardware) -> int:
    """How many boards parts take that follow one another. Raises `RequestError` for one that none has room for."""
    if max(parts) > hardware.memory_bytes:
        reason = f"a layer of the dense model takes {max(parts):,} bytes, and {hardware.name} has"
        raise RequestError("base_station.hardware", f"{reason} {hardware.memory_bytes:,}; take a larger one")
    boards, left = 1, hardware.memory_bytes
    for part in parts:
        if part > left:
            boards, left = boards + 1, hardware.memory_bytes
        left -= part
    return boards
