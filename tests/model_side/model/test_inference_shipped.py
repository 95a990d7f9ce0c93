# SPDX-License-Identifier: Apache-2.0
"""The shipped models over a network that delivers everything: the unmodified ones, bit for bit."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from model_side.base_station import BaseStation
from model_side.element import WireFormat
from model_side.hardware.profiles import PROFILES
from model_side.hardware.roofline import RooflineTimes
from model_side.model.inference import generate, routed_by
from model_side.model.loaded_model import shape_of
from model_side.model.loading import load_model, load_tokenizer
from model_side.model.model_folder import SHIPPED_MODELS
from model_side.model.workload import make_requests
from model_side.placement import place
from model_side.policies import make_policy
from model_side.prediction.line import Line
from model_side.selection import Phase
from model_side.wire_profiles import wire_shape
from tests.support.fixed_network import FixedNetwork
from tests.support.shipped import MIXTURES


@pytest.mark.parametrize("name", MIXTURES)
@torch.no_grad()
def test_logits_and_greedy_tokens_are_the_unmodified_models(name):
    split = load_model(name)
    stock = AutoModelForCausalLM.from_pretrained(SHIPPED_MODELS[name], dtype=torch.float32).eval()
    requests = make_requests(split, load_tokenizer(name), 2, 48, 12, seed=1)
    shape = wire_shape("mixtral-8x7b", shape_of(split))
    placement = place(len(split.blocks), split.num_experts, 8)
    compute = RooflineTimes(shape, PROFILES["nvidia-l4"], [PROFILES["jetson-agx-orin"]] * 8, 16, 4)
    network = FixedNetwork(devices=8)
    base_station = BaseStation(
        network, placement, compute, make_policy("top-k"), Line(8), WireFormat(shape.token_bytes), 10**12
    )
    tokens = list(generate(split, base_station, requests))
    for number, request in enumerate(requests):
        prompt = torch.tensor([request.prompt])
        base_station.begin(Phase.PREFILL, number, 0)
        with split.routed(routed_by(base_station)):
            assert torch.equal(split.model(prompt).logits, stock(prompt).logits)
        expected = stock.generate(prompt, max_new_tokens=12, do_sample=False, eos_token_id=-1)[0, 48:]
        np.testing.assert_array_equal([token.token_id for token in tokens if token.request == number], expected)
