# SPDX-License-Identifier: Apache-2.0
"""Seeds of what is drawn on the model's side: by name, each apart, and independent from seed to seed."""

import itertools
import random

import numpy as np
import pytest
from msgspec import structs, to_builtins
from scipy import stats

from bridge.network import RequestError
from cosim.config import NS3_SEEDS, Config, Seeds, changed, convert
from cosim.networks.what_if import loss_draws
from cosim.seeds import seed_of

NAMES = [name for name in Seeds.__struct_fields__ if name not in NS3_SEEDS]
CHANCE = 1e-9
FIRST_DRAW = {
    "random.Random": lambda seed: random.Random(seed).random(),
    "losses of a what-if": lambda seed: loss_draws(seed, 1, 1)[0, 0],
}


def test_a_seed_is_that_of_numpys_sequence_spawned_by_the_name():
    """Written out, so that it stays: a journal can be replayed only if prompts and losses are drawn again."""
    child = np.random.SeedSequence(7, spawn_key=(108, 111, 115, 115, 101, 115))
    assert seed_of(Config(seed=7), "losses") == int(child.generate_state(1, np.uint64)[0])


def test_each_name_and_each_seed_has_its_own():
    seeds = [seed_of(Config(seed=seed), name) for seed in range(1, 201) for name in NAMES]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("name", Seeds.__struct_fields__)
def test_a_choice_with_a_seed_of_its_own_is_as_by_that_seed_for_all(name):
    apart, one, other = convert({"seeds": {name: 5}}), Config(), Config(seed=5)
    for each in Seeds.__struct_fields__:
        alike = other if each == name else one
        assert apart.seed_for(each) == alike.seed_for(each)
        assert each in NS3_SEEDS or seed_of(apart, each) == seed_of(alike, each)


def test_ns3_is_told_what_differs_from_the_radio():
    assert Config(seed=3).seeds_apart == {}
    assert convert({"seed": 3, "seeds": {"life": 3, "movement": 4, "prompts": 9}}).seeds_apart == {"movement": 4}
    others = dict.fromkeys(NS3_SEEDS[1:], 3)
    radio = convert({"seed": 3, "seeds": {"radio": 8}})
    assert (radio.seed_for("radio"), radio.seeds_apart) == (8, others)


@pytest.mark.parametrize("generator", FIRST_DRAW)
def test_first_draws_by_consecutive_seeds_are_uniform_and_uncorrelated(generator):
    """Each assertion would fail by chance once in 10^9 times or less."""
    draws = {name: [FIRST_DRAW[generator](seed_of(Config(seed=s), name)) for s in range(1, 201)] for name in NAMES}
    for drawn in draws.values():
        assert stats.kstest(drawn, stats.uniform.cdf).pvalue > CHANCE
        assert stats.pearsonr(drawn[1:], drawn[:-1]).pvalue > CHANCE
    for one, other in itertools.combinations(draws.values(), 2):
        assert stats.pearsonr(one, other).pvalue > CHANCE


def test_no_exchange_of_a_what_if_has_draws_of_another():
    draws = np.array([loss_draws(1, exchange, 8) for exchange in range(1, 201)])
    assert len(np.unique(draws)) == draws.size
    assert stats.kstest(draws.ravel(), stats.uniform.cdf).pvalue > CHANCE


@pytest.mark.parametrize("name", Seeds.__struct_fields__)
def test_a_what_if_may_draw_anew_what_ns3_did_not(name):
    recorded = to_builtins(convert({"seed": 3, "seeds": {"radio": 4}}))
    if name in NS3_SEEDS:
        with pytest.raises(RequestError, match=f"seeds.{name}: is the recorded channel's"):
            changed(recorded, [(f"seeds.{name}", 9)], None)
    else:
        assert changed(recorded, [(f"seeds.{name}", 9)], None).seed_for(name) == 9


def test_every_choice_stands_in_the_configuration():
    assert set(structs.asdict(Seeds())) >= set(NS3_SEEDS)
    with pytest.raises(AttributeError):
        seed_of(Config(), "lottery")
