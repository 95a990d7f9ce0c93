# SPDX-License-Identifier: Apache-2.0
"""What came of an item: its scores over the network, and beside each that of the unmodified model."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.network import RequestError

ACC, ACC_NORM, EXACT_MATCH = "acc", "acc_norm", "exact_match"
"""1 for an item that was answered rightly, 0 for another."""
NLL, TOKENS, BYTES, WORDS = "nll_nats", "tokens", "bytes", "words"
"""Of a text: the negative log-likelihood of all of it, and what it is divided by."""
CUT = "cut_tokens"
"""Tokens at the beginning of the context that the model's own context had no room for; only of items where it is so."""


@dataclass(frozen=True)
class ItemScore:
    """Item number `item` of a run, of which `requests` requests asked, from number `request` on.

    `answer` is right, `given` is what came, `reference` what the unmodified model says, None where it did not run; all
    three as numbers of choices or as text, "" of a text that is only measured. `scores`: by name of the measure.
    """

    item: int
    task: str
    subject: str
    line: int
    request: int
    requests: int
    answer: str
    given: str
    reference: str | None
    scores: Mapping[str, tuple[float, float | None]]


class UnusableItem(RequestError):
    """An item that this model cannot be asked."""

    def __init__(self, file: str, line: int, field: str, reason: str):
        super().__init__("workload.tasks", f"{file}:{line}: {field}: {reason}")
