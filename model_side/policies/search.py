# SPDX-License-Identifier: Apache-2.0
"""Searches over a layer's experts, token by token, compiled by numba."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from model_side.routing import Floats, Indices, Probabilities, Weights

ROUNDS = 14  # of the search for the price of quality
SPREADS = np.array([0.6, 1.0, 1.6])  # prices by which the search is bounded, over that
ROUNDING = 1e-7  # of the sum of a few probabilities, relative


@njit(cache=True)
def highest(scores: Weights, n: int) -> Indices:
    """The n highest of each row [N, n], highest first; of equal ones the first comes first."""
    rows, width = scores.shape
    found = np.empty((rows, n), np.int64)
    values = np.empty(n, scores.dtype)
    for row in range(rows):
        filled = 0
        for column in range(width):
            score = scores[row, column]
            if filled == n and score <= values[n - 1]:
                continue
            filled = min(filled + 1, n)
            place = filled - 1
            while place > 0 and values[place - 1] < score:
                values[place] = values[place - 1]
                found[row, place] = found[row, place - 1]
                place -= 1
            values[place] = score
            found[row, place] = column
    return found


@njit(cache=True)
def cheapest(probabilities: Probabilities, need: Floats, cost: Floats, most: int) -> Indices:
    """For each token at most `most` experts [N, most] whose probabilities reach `need` [N] at the least cost.

    `cost` [E] is above 0 and adds up. A slot without expert is E. A token that cannot reach what it needs gets its
    `most` most probable experts. Exact, up to rounding: branch and bound. An expert is out of the question if `most`
    others are neither dearer nor less probable. The rest is tried in the order of probability, each first with and
    then without. What is missing to the need is bounded from below by Lagrange's relaxation, at three prices of
    quality around the best one, with at most so many experts as may still be taken.
    """
    tokens, experts = probabilities.shape
    by_cost = np.argsort(cost)
    found = np.full((tokens, most), experts)
    number = np.empty(experts, np.int64)
    p = np.empty(experts)
    c = np.empty(experts)
    for token in range(tokens):
        size = _candidates(probabilities[token], cost, by_cost, most, number, p, c)
        _search(p[:size], c[:size], need[token] * (1 - ROUNDING), most, number, found[token])
    return found


@njit(cache=True)
def _candidates(
    probabilities: Probabilities, cost: Floats, by_cost: Indices, most: int, number: Indices, p: Floats, c: Floats
) -> int:
    """Write the experts that may be in a cheapest choice, most probable first, and return how many there are."""
    likeliest = np.zeros(most)  # of those that are not dearer, ascending
    size = 0
    for expert in by_cost:
        probability = probabilities[expert]
        if probability <= likeliest[0]:
            continue
        place = 0
        while place + 1 < most and likeliest[place + 1] < probability:
            likeliest[place] = likeliest[place + 1]
            place += 1
        likeliest[place] = probability
        place = size
        while place > 0 and p[place - 1] < probability:
            p[place], c[place], number[place] = p[place - 1], c[place - 1], number[place - 1]
            place -= 1
        p[place], c[place], number[place] = probability, cost[expert], expert
        size += 1
    return size


@njit(cache=True)
def _relaxed(p: Floats, c: Floats, price: float, most: int, least: Floats) -> float:
    """The least of sum c - price * p over at most `most` experts; `least` [most] is room for their figures."""
    least[:] = 0
    for expert in range(len(p)):
        figure = c[expert] - price * p[expert]
        if figure < least[most - 1]:
            place = most - 1
            while place > 0 and least[place - 1] > figure:
                least[place] = least[place - 1]
                place -= 1
            least[place] = figure
    return float(least.sum())


@njit(cache=True)
def _price(p: Floats, c: Floats, need: float, most: int, least: Floats) -> float:
    """About the price of quality at which the relaxed choice costs most: by golden sections of its logarithm."""
    low, high = np.log((c / p).min()), np.log(c.max() / p[min(most, len(p)) - 1]) + 1
    part = (np.sqrt(5) - 1) / 2
    one, other = high - part * (high - low), low + part * (high - low)
    of_one = np.exp(one) * need + _relaxed(p, c, np.exp(one), most, least)
    of_other = np.exp(other) * need + _relaxed(p, c, np.exp(other), most, least)
    for _ in range(ROUNDS):
        if of_one > of_other:
            high, other, of_other = other, one, of_one
            one = high - part * (high - low)
            of_one = np.exp(one) * need + _relaxed(p, c, np.exp(one), most, least)
        else:
            low, one, of_one = one, other, of_other
            other = low + part * (high - low)
            of_other = np.exp(other) * need + _relaxed(p, c, np.exp(other), most, least)
    return float(np.exp((low + high) / 2))


@njit(cache=True)
def _bounds(p: Floats, c: Floats, prices: Floats, most: int) -> NDArray[np.float64]:
    """The least of sum c - price * p [prices, experts + 1, most + 1] of so many of the experts from one on."""
    size = len(p)
    bounds = np.zeros((len(prices), size + 1, most + 1))
    least = np.empty(most)
    for number, price in enumerate(prices):
        least[:] = 0
        for expert in range(size - 1, -1, -1):
            figure = c[expert] - price * p[expert]
            if figure < least[most - 1]:
                place = most - 1
                while place > 0 and least[place - 1] > figure:
                    least[place] = least[place - 1]
                    place -= 1
                least[place] = figure
            bounds[number, expert, 1:] = np.cumsum(least)
    return bounds


@njit(cache=True)
def _search(p: Floats, c: Floats, need: float, most: int, number: Indices, found: Indices) -> None:
    """Write the cheapest choice for one token into `found` [most], and E, the size of `number`, where that is less."""
    size = len(p)
    sums = np.zeros(size + 1)
    sums[1:] = np.cumsum(p)
    enough = min(most, size)
    found[:enough] = number[:enough]
    if sums[enough] <= need:
        return
    prices = SPREADS * _price(p, c, need, most, np.empty(most))
    bounds = _bounds(p, c, prices, most)
    taken = np.empty(most, np.int64)
    score, spent = np.zeros(most + 1), np.zeros(most + 1)
    cheapest_yet = np.inf
    depth = expert = 0
    while True:
        missing, left = need - score[depth], most - depth
        if missing <= 0:
            if spent[depth] < cheapest_yet * (1 - 1e-12):
                cheapest_yet = spent[depth]
                found[:] = len(number)
                for place in range(depth):
                    found[place] = number[taken[place]]
            go_on = False
        else:
            go_on = left > 0 and sums[min(expert + left, size)] - sums[expert] >= missing
            for which in range(len(prices)):
                if not go_on:
                    break
                at_least = spent[depth] + prices[which] * missing + bounds[which, expert, left]
                go_on = at_least < cheapest_yet * (1 - 1e-12)
        if go_on:
            taken[depth] = expert
            score[depth + 1] = score[depth] + p[expert]
            spent[depth + 1] = spent[depth] + c[expert]
            depth += 1
            expert += 1
        elif depth == 0:
            return
        else:
            depth -= 1
            expert = taken[depth] + 1
