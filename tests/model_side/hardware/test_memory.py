# SPDX-License-Identifier: Apache-2.0
"""What experts take of a device's memory."""

import pytest

from bridge.network import RequestError
from cosim.config import Config
from model_side.hardware.memory import check_memory, expert_bytes, room
from model_side.hardware.profiles import PROFILES
from model_side.placement import place
from model_side.wire_profiles import WIRE_PROFILES

MIXTRAL = WIRE_PROFILES["mixtral-8x7b"]
WEIGHTS = 3 * 4096 * 14336


@pytest.mark.parametrize(("bits", "stored"), [(2, 2.5), (3, 3.5), (4, 4.5), (8, 8.5), (16, 16), (32, 32)])
def test_bytes_of_an_expert_are_its_weights_and_their_scales(bits: int, stored: float):
    assert expert_bytes(MIXTRAL, bits) == WEIGHTS * stored / 8


def test_what_a_device_lacks_is_told_to_the_byte():
    nano = PROFILES["jetson-orin-nano"]
    size_bytes = expert_bytes(MIXTRAL, 4)
    most = nano.memory_bytes // size_bytes
    assert room([nano, PROFILES["jetson-agx-orin"]], size_bytes).tolist() == [most, 64 * 2**30 // size_bytes]
    check_memory(place(1, most, 1), [nano], size_bytes, "placement.experts")
    with pytest.raises(RequestError) as caught:
        check_memory(place(1, 2 * (most + 1), 2), [PROFILES["nvidia-l4"], nano], size_bytes, "placement.layers")
    needs = (most + 1) * WEIGHTS * 4.5 / 8
    assert caught.value.field == "placement.layers"
    for words in (
        "device 1, jetson-orin-nano, needs",
        f"needs {needs:,.0f} bytes for {most + 1} experts",
        f"has {8 * 2**30:,}: {needs - 8 * 2**30:,.0f} are lacking",
        'placement.experts = "memory"',
    ):
        assert words in caught.value.reason


def test_the_default_devices_hold_all_of_mixtral_8x7b():
    devices = Config().devices
    hardware = [PROFILES[name] for name in 2 * list(devices.hardware)]
    placement = place(MIXTRAL.decoder_layers, MIXTRAL.experts, len(hardware))
    check_memory(placement, hardware, expert_bytes(MIXTRAL, devices.weight_bits), "placement.experts")
