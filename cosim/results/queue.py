# SPDX-License-Identifier: Apache-2.0
"""How many requests wait and how many run, over virtual time."""

from dataclasses import dataclass

import numpy as np

from model_side.routing import Floats, Indices


@dataclass(frozen=True)
class Queue:
    """Of a service: from `time_s` [T] on, in order, until the next of them so many requests are `waiting` and
    `running` [T]. The last time is that at which the last request was over, and nobody is there."""

    time_s: Floats
    waiting: Indices
    running: Indices


def queue_of(arrival_s: Floats, admitted_s: Floats, end_s: Floats) -> Queue:
    """The curve of requests that arrived, were admitted (NaN: never) and were over then.

    Waits and stays are areas under it (J. D. C. Little, "A proof for the queuing formula L = λW", Operations Research
    9, 1961): that under `waiting` is the sum of all that requests waited.
    """
    begun_s = np.where(np.isnan(admitted_s), end_s, admitted_s)
    time_s = np.unique(np.concatenate([arrival_s, begun_s, end_s]))

    def by_then(of_s: Floats) -> Indices:
        return np.searchsorted(np.sort(of_s), time_s, side="right")

    begun = by_then(begun_s)
    return Queue(time_s, by_then(arrival_s) - begun, begun - by_then(end_s))
