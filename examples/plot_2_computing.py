# SPDX-License-Identifier: Apache-2.0
"""
What a device takes to compute, and what the air takes
======================================================

The roofline of the built-in hardware profiles for an expert of Mixtral 8x7B, beside the time that its bytes are in the
air. No model and no ns-3 run here: it is arithmetic.
"""

# %%
# An expert is read from memory once for all tokens that it gets, so a few tokens cost what one does. From some number
# on arithmetic lasts longer than reading, and time grows with the tokens (:doc:`/docs/model/devices`). A hidden state
# takes its bytes down, and as many up; here at a rate that stays as it is.

import matplotlib.pyplot as plt
import numpy as np

from model_side.hardware.profiles import PROFILES, expert_work
from model_side.wire_profiles import WIRE_PROFILES

shape = WIRE_PROFILES["mixtral-8x7b"]
token_bytes = shape.hidden * shape.element_bytes
print(f"{token_bytes} bytes of a token each way")

tokens = 2 ** np.arange(11)
work = expert_work(tokens, shape.hidden, shape.intermediate, shape.element_bytes, weight_bits=4)

figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
for name in ("snapdragon-8-gen-3", "jetson-orin-nano", "jetson-orin-nano-super", "jetson-agx-orin"):
    axis.loglog(tokens, PROFILES[name].latency_s(*work) * 1e3, marker=".", label=name)
for rate_mbps, style in ((20, "k--"), (200, "k:")):
    air_s = 2 * 8 * tokens * token_bytes / (rate_mbps * 1e6)
    axis.loglog(tokens, air_s * 1e3, style, label=f"air, {rate_mbps} Mb/s each way")
axis.set(xlabel="tokens of one expert", ylabel="ms")
axis.legend()

# %%
# Where a line of the air is above a device's, that device waits for its radio more than it computes. How a radio's rate
# comes about, who else is on it, and what a transfer takes beside bytes over rate is what ns-3 is there for.
