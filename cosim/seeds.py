# SPDX-License-Identifier: Apache-2.0
"""The seed of each random choice on this side of the bridge, derived from the configuration's by the choice's name."""

import numpy as np

from cosim.config import Config


def seed_of(config: Config, name: str) -> int:
    """The seed, of 64 bits, with which `name` is drawn: of what `[seeds]` says for it, or else of `seed`.

    NumPy's `SeedSequence` is spawned with the name's bytes as key, so that the choices of one seed are independent
    of each other, and those of any two seeds as well, whatever is drawn with them.
    """
    number = config.seed_for(name)
    sequence = np.random.SeedSequence(number, spawn_key=tuple(name.encode()))
    return int(sequence.generate_state(1, np.uint64)[0])
