# SPDX-License-Identifier: Apache-2.0
"""How far a model's answers are from those of the unmodified model."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PassQuality:
    """One forward pass against the reference, as sums that can be added up over passes.

    `positions`: logits compared, one set a position; at `agreements` of them both models name the same
    next token. `kl_nats`: Kullback-Leibler divergence of the model from the reference, D(reference ||
    model), summed over the positions. `scored`: positions whose next token the prompt tells; `nll_nats`,
    `reference_nll_nats`: negative log-likelihood of those tokens, summed.
    """

    positions: int
    agreements: int
    kl_nats: float
    scored: int
    nll_nats: float
    reference_nll_nats: float


@dataclass(frozen=True)
class TextQuality:
    """One forward pass of a model that is compared with none: the part of `PassQuality` that the prompt alone tells."""

    scored: int
    nll_nats: float


@dataclass(frozen=True)
class Quality:
    """Quality over many passes. Perplexities are None where no prompt had a second token, that of the reference also
    where there is none; `agreement` and `mean_kl_nats` are NaN then."""

    perplexity: float | None
    reference_perplexity: float | None
    agreement: float
    mean_kl_nats: float

    @property
    def is_compared(self) -> bool:
        """Whether there was anything to compare with."""
        return not math.isnan(self.mean_kl_nats)


@dataclass(frozen=True)
class GateProxy:
    """What stands for quality where no model ran, as sums over forward passes: it is none.

    Over `proxy_token_layers` (one token in one MoE layer each) the model's own gate weights sum to
    `proxy_gate_weight`, those of the experts whose answers came back to `proxy_kept_weight`, whatever weight a
    policy gave them instead. In `proxy_best_lost` of them the expert that the gate weighed most was not among those.
    """

    proxy_token_layers: int
    proxy_gate_weight: float
    proxy_kept_weight: float
    proxy_best_lost: int


Sums = TypeVar("Sums", bound=PassQuality | TextQuality | GateProxy)


def summed(parts: Sequence[Sums]) -> Sums:
    """Several, of which there is at least one, as one."""
    kind = type(parts[0])
    return kind(**{field.name: sum(getattr(part, field.name) for part in parts) for field in fields(kind)})


def compare(logits: "Tensor", reference: "Tensor", tokens: "Tensor") -> PassQuality:
    """Compare `logits` [N, V] with those of the reference, both after reading `tokens` [N]."""
    log_p, log_q = (part.double().log_softmax(dim=-1) for part in (reference, logits))
    following = tokens[1:, None]
    return PassQuality(
        positions=len(tokens),
        agreements=int((logits.argmax(dim=-1) == reference.argmax(dim=-1)).sum()),
        kl_nats=float(divergence(log_p, log_q).sum()),
        scored=len(following),
        nll_nats=-float(log_q[:-1].gather(1, following).sum()),
        reference_nll_nats=-float(log_p[:-1].gather(1, following).sum()),
    )


def score(logits: "Tensor", tokens: "Tensor") -> TextQuality:
    """Of `logits` [N, V], after reading `tokens` [N]."""
    log_p = logits[:-1].double().log_softmax(dim=-1)
    return TextQuality(len(tokens) - 1, -float(log_p.gather(1, tokens[1:, None]).sum()))


def divergence(log_p: "Tensor", log_q: "Tensor") -> "Tensor":
    """The terms of D(p || q) in nats, of logarithms of probabilities; those with p = 0 are 0, whatever q is.

    A model may mask tokens: the logit of such a one is -inf.
    """
    return (log_p.exp() * (log_p - log_q)).masked_fill(log_p == -math.inf, 0)


def perplexity(nll_nats: float, tokens: int) -> float:
    """Of so many tokens; inf where it is beyond what a float holds."""
    try:
        return math.exp(nll_nats / tokens)
    except OverflowError:
        return math.inf


def pool_text(passes: Iterable[TextQuality]) -> Quality:
    """The quality over all `passes` of a model that is compared with none."""
    passes = list(passes)
    scored = sum(part.scored for part in passes)
    found = perplexity(sum(part.nll_nats for part in passes), scored) if scored else None
    return Quality(found, None, math.nan, math.nan)


def pool(passes: Iterable[PassQuality]) -> Quality | None:
    """The quality over all `passes`, each position weighing the same; None if there are none."""
    passes = list(passes)
    if not passes:
        return None
    positions = sum(part.positions for part in passes)
    scored = sum(part.scored for part in passes)
    return Quality(
        perplexity=perplexity(sum(part.nll_nats for part in passes), scored) if scored else None,
        reference_perplexity=(perplexity(sum(part.reference_nll_nats for part in passes), scored) if scored else None),
        agreement=sum(part.agreements for part in passes) / positions,
        mean_kl_nats=sum(part.kl_nats for part in passes) / positions,
    )
