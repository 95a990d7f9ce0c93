# SPDX-License-Identifier: Apache-2.0
"""What a dense model takes that is held whole, and on how many boards."""

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.network import RequestError
from model_side.hardware.profiles import PROFILES
from model_side.hardware.whole import whole_memory
from model_side.shapes import DecoderLayer, FeedForward, Mixer, ModelShape
from model_side.wire_profiles import DENSE_PROFILES

L4 = PROFILES["nvidia-l4"]
LLAMA_7B, LLAMA_70B = DENSE_PROFILES["llama-2-7b"], DENSE_PROFILES["llama-2-70b"]
NORMS_7B = (2 * 32 + 1) * 4096
NORMS_70B = (2 * 80 + 1) * 8192


def test_weights_and_cache_of_llama_2_7b_are_those_that_are_published():
    """6,738,415,616 parameters, and half a megabyte a token: 2 x 32 layers x 4096 elements of 2 bytes."""
    memory = whole_memory(LLAMA_7B, L4, 16, 100, 1)
    assert memory.weight_bytes == 2 * (6_738_415_616 - NORMS_7B)
    assert (memory.cache_bytes, memory.boards) == (100 * 2 * 32 * 4096 * 2, 1)
    assert whole_memory(LLAMA_7B, L4, 4, 100, 1).weight_bytes == (6_738_415_616 - NORMS_7B) * 4.5 / 8


def test_what_lacks_memory_is_refused_with_the_bytes_and_the_boards_that_do():
    needs = 2 * (68_976_648_192 - NORMS_70B) + 80 * 2 * 1024 * 2 * 80
    with pytest.raises(RequestError) as caught:
        whole_memory(LLAMA_70B, L4, 16, 80, 1)
    assert caught.value.field == "base_station.boards"
    for words in (f"needs {needs:,} bytes", f"nvidia-l4 has {24 * 2**30:,};", "take 6 boards"):
        assert words in caught.value.reason
    with pytest.raises(RequestError, match=f"5 of nvidia-l4 have {5 * 24 * 2**30:,}; take 6 boards"):
        whole_memory(LLAMA_70B, L4, 16, 80, 5)
    assert [whole_memory(LLAMA_70B, L4, 16, 80, boards).boards for boards in (6, 9)] == [6, 6]


def test_a_layer_that_no_board_has_room_for_is_refused():
    small = replace(L4, memory_bytes=10**9)
    with pytest.raises(RequestError, match=r"a layer of the dense model takes 1,\d+,\d+,\d+ bytes") as caught:
        whole_memory(LLAMA_70B, small, 16, 80, 1000)
    assert caught.value.field == "base_station.hardware"


def test_the_vocabulary_counts_once_where_head_and_embeddings_are_one_matrix():
    tied = replace(LLAMA_7B, tied=True)
    less = whole_memory(LLAMA_7B, L4, 16, 1, 1).weight_bytes - whole_memory(tied, L4, 16, 1, 1).weight_bytes
    assert less == 2 * 32000 * 4096


def test_windows_bound_a_cache_and_states_do_not_grow():
    layer = DecoderLayer((Mixer(10, cache_elements=6, window=4), Mixer(10, state_elements=50)))
    shape = ModelShape(8, 0, 1, 1, 8, 16, 2, 1, (), 0, 0, layers=(layer,))
    assert [whole_memory(shape, L4, 16, tokens, 1).cache_bytes for tokens in (3, 4, 400)] == [136, 148, 148]


@given(st.lists(st.integers(1, 100), min_size=1, max_size=9), st.integers(0, 3), st.integers(100, 300))
def test_no_other_split_into_consecutive_layers_takes_fewer_boards(weights: list[int], vocab: int, room: int):
    layers = tuple(DecoderLayer(feed_forwards=(FeedForward(each),)) for each in weights)
    shape = ModelShape(8, 0, 1, 1, 8, vocab, 2, len(layers), (), 0, 0, layers=layers)
    parts = [8 * vocab, *weights, 8 * vocab]

    @cache
    def fewest(first: int) -> int:
        ends = [end for end in range(first + 1, len(parts) + 1) if sum(parts[first:end]) <= room]
        return 0 if first == len(parts) else 1 + min(map(fewest, ends))

    assert whole_memory(shape, replace(L4, memory_bytes=2 * room), 16, 1, 99).boards == fewest(0)
