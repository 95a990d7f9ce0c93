# SPDX-License-Identifier: Apache-2.0
"""The next token: the likeliest, or one drawn."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn: `temperature` divides the logits, and of the likeliest tokens only the fewest are taken
    that have probability `top_p` together (nucleus sampling, Holtzman et al. 2020). Temperature 0 is greedy.

    Each token has a random number of its own, by `seed`, request and position. So every policy and network draws with
    the same numbers, and what differs between them is what the links did.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 1

    def next(self, logits: Tensor, request: int, position: int) -> int:
        """The token at `position` of `request`, after logits [V]."""
        if self.temperature == 0:
            return int(logits.argmax())
        scaled = logits.double().cpu() / self.temperature
        ordered, tokens = (scaled - scaled.max()).softmax(dim=0).sort(descending=True, stable=True)
        reached = ordered.cumsum(dim=0)
        kept = min(int(torch.searchsorted(reached, self.top_p * float(reached[-1]))) + 1, len(ordered))
        drawn = np.random.default_rng([self.seed, request, position]).random() * float(reached[kept - 1])
        return int(tokens[min(int(torch.searchsorted(reached[:kept], drawn, right=True)), kept - 1)])


GREEDY = Sampling()
