# SPDX-License-Identifier: Apache-2.0
"""
A run, its tables, and a question to it
=======================================

Two policies on the same 5G cell, their journal as data frames, and what a third one would have done.
"""

# %%
# A run
# -----
# The configuration is a dictionary as a TOML file would give it, and has a default for everything. This one is small
# and takes seconds: one prompt of 32 tokens, four new ones. ``cosim.run`` starts ns-3 in a process of its own.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import cosim

folder = Path(tempfile.mkdtemp())
config = {"workload": {"requests": 1, "prompt_tokens": 32, "new_tokens": 4}}
run = cosim.run(config, policies=["top-k", "lookahead"], out=folder / "run")

# %%
# ``cosim.summarise`` has what ``cosim show`` prints, latencies as arrays.

for variant in cosim.summarise(run):
    first_s, each_s = variant.ttft_s[0], variant.tpot_s.mean()
    print(f"{variant.policy:10} first token after {first_s:.3f} s, then {each_s:.4f} s a token")

# %%
# Its tables
# ----------
# Every exchange, transfer and link state is in the journal. A transfer's way has three parts: down to the device,
# computing there, and up again.

tables = cosim.load(run)
transfers = tables["transfers"].query("status == 'done'")
parts = {
    "down": transfers["downlink_end_ns"] - transfers["downlink_begin_ns"],
    "computing": transfers["compute_end_ns"] - transfers["downlink_end_ns"],
    "up": transfers["uplink_end_ns"] - transfers["compute_end_ns"],
}
of_prompt = tables["exchanges"].query("phase == 'prefill'")[["variant", "exchange"]]
shown = transfers.assign(**{name: ns / 1e6 for name, ns in parts.items()}).merge(of_prompt)
means_ms = shown.groupby(["variant", "device"])[list(parts)].mean()

figure, axes = plt.subplots(1, 2, sharey=True, figsize=(8, 3.2), layout="constrained")
for axis, row in zip(axes, tables["variants"].itertuples(), strict=True):
    means_ms.loc[row.variant].plot.bar(stacked=True, ax=axis, rot=0, title=row.policy)
axes[0].set_ylabel("mean of a layer of the prompt, ms")

# %%
# A layer waits for its last device. ``lookahead`` leaves out what costs much time and little quality, so that the band
# is there for the rest.
#
# What if?
# --------
# The record answers for other policies without ns-3, within the error that :doc:`/docs/runs/what-if` states. ``oracle``
# knows what each link will do, which no real policy can: it is the bound.

answer = cosim.what_if(run, [], policies=["lookahead", "oracle"], out=folder / "what-if")
for variant in cosim.summarise(answer):
    print(f"{variant.policy:10} first token after {variant.ttft_s[0]:.3f} s")
