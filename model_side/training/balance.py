# SPDX-License-Identifier: Apache-2.0
"""How evenly the tokens of each layer fall on its experts."""

from collections.abc import Sequence

import torch
from torch import Tensor


def expert_load(router_logits: Tensor, top_k: int) -> Tensor:
    """Share of one layer's assignments that each expert gets, summing to 1.

    `router_logits` is [tokens, experts]; each token is assigned to its `top_k` experts.
    """
    experts = router_logits.shape[-1]
    chosen = router_logits.topk(top_k, dim=-1).indices
    return torch.bincount(chosen.flatten(), minlength=experts) / chosen.numel()


def load_balance_loss(router_logits: Sequence[Tensor], top_k: int) -> Tensor:
    """Mean over layers of `experts * sum(load * probability)`; 1 where every layer is balanced.

    `router_logits` holds one [tokens, experts] tensor a layer. Load is `expert_load`, without gradient;
    probability is the mean of the softmax over tokens. The loss of one layer is that of Switch
    Transformers (Fedus et al. 2022, equation 4) with load over all `top_k` choices. Hugging Face's
    own pools the layers first, and so cannot see experts that starve in one layer and feast in another.
    """
    losses = []
    for logits in router_logits:
        probability = logits.float().softmax(dim=-1).mean(dim=0)
        losses.append(logits.shape[-1] * torch.dot(expert_load(logits.detach(), top_k), probability))
    return torch.stack(losses).mean()
