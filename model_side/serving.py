# SPDX-License-Identifier: Apache-2.0
"""What a base station serves: requests, whether a model answers them or a recording of one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from model_side.base_station import BaseStation
from model_side.quality import GateProxy, PassQuality, TextQuality
from model_side.shapes import ModelShape
from model_side.tasks.score import ItemScore


@dataclass(frozen=True)
class TokenRecord:
    """One generated token: it stands at `position` of request number `request`.

    It took from `start_ns` to `end_ns` of virtual time; the first of a request includes the prefill.
    `quality` compares the forward pass that gave it with the unmodified model, where that was asked for;
    where no model ran, it holds a proxy, and where there is none to compare with, what the text alone tells. `items`:
    of tasks, if this token is the last that they take.
    """

    request: int
    position: int
    token_id: int
    start_ns: int
    end_ns: int
    quality: PassQuality | TextQuality | GateProxy | None
    items: tuple[ItemScore, ...] = ()


class Serving(Protocol):
    """Requests and what answers them, the same ones again at each call of `serve`.

    `model` names it, `shape` has its own sizes, `probabilities` says whether the router's are known.
    `exchanges`: how many exchanges all requests take, at most. `record`: what else a journal's `meta` has to say of it.
    """

    model: str
    shape: ModelShape
    probabilities: bool
    exchanges: int
    record: Mapping[str, Any]

    def serve(self, base_station: BaseStation) -> Iterator[TokenRecord]:
        """Serve all requests over `base_station`; yields each token as soon as it is there."""
