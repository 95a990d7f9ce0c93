# SPDX-License-Identifier: Apache-2.0
"""Searches over a layer's experts, token by token, compiled by numba."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from model_side.routing import Floats, Indices, Probabilities, Weights

STRIDE, STRIDES = 1.3, 40  # of the search for the price of quality
SPREADS = np.array([0.7, 1.0, 1.4])  # prices by which the search is bounded, over that
ROUNDING = 1e-7  # of the sum of a few probabilities, relative
LESS = 1 - 1e-12  # a cost is less only if rounding cannot be why


@njit(cache=True)
def highest(scores: Weights, n: int) -> Indices:
    """The n highest of each row [N, n], highest first; of equal ones the first comes first."""
    rows, width = scores.shape
    found = np.empty((rows, n), np.int64)
    values = np.empty(n, scores.dtype)
    for row in range(rows):
        for column in range(width):
            score = scores[row, column]
            place = min(column, n - 1)
            if column >= n and score <= values[place]:
                continue
            while place > 0 and values[place - 1] < score:
                values[place] = values[place - 1]
                found[row, place] = found[row, place - 1]
                place -= 1
            values[place] = score
            found[row, place] = column
    return found


@njit(cache=True)
def weigh(probabilities: Probabilities, own_weights: Weights, own: Indices, indices: Indices) -> Floats:
    """What the experts `indices` [N, k'] weigh, 0 at index E: as in the token's own choice `own` [N, k] if they are
    there, and else as their probability is to that of all its own."""
    tokens, slots = indices.shape
    weights = np.zeros((tokens, slots))
    for token in range(tokens):
        total = mass = 0.0
        for place in range(own.shape[1]):
            total += own_weights[token, place]
            mass += probabilities[token, own[token, place]]
        for slot in range(slots):
            expert = indices[token, slot]
            if expert < probabilities.shape[1] and mass > 0:
                weights[token, slot] = probabilities[token, expert] * (total / mass)
            for place in range(own.shape[1]):
                if own[token, place] == expert:
                    weights[token, slot] = own_weights[token, place]
    return weights


class Room(NamedTuple):
    """Arrays that the search for each token writes anew; `m` is how many experts a token may have.

    Of the token's candidates, most probable first: `number`, `p`, `c` [E], and `sums` [E + 1] of p before each.
    `bounds` [prices, E + 1, m + 1]: at each of `prices`, the least sum of c - price * p over so many of the candidates
    from one on. `least` [m] is scratch. On the way down the tree, by depth: the candidate `taken` [m], what is reached
    and `spent` [m + 1].
    """

    number: Indices
    p: Floats
    c: Floats
    sums: Floats
    prices: Floats
    bounds: NDArray[np.float64]
    least: Floats
    taken: Indices
    reached: Floats
    spent: Floats


@njit(cache=True)
def cheapest(probabilities: Probabilities, need: Floats, cost: Floats, most: int, effort: int) -> Indices:
    """For each token at most `most` experts [N, most] whose probabilities reach `need` [N] at the least cost.

    `cost` [E] is above 0 and adds up. A slot without expert is E. A token that cannot reach what it needs gets its
    `most` most probable experts. Exact, up to rounding: branch and bound. An expert is out of the question if `most`
    others are neither dearer nor less probable. The rest is tried in the order of probability, each first with and
    then without. What is missing to the need is bounded from below by Lagrange's relaxation, at three prices of
    quality around the best one, with at most so many experts as may still be taken. After `effort` partial choices a
    token has the best one found so far; with 2 ** 16 that does not happen to 16 experts.
    """
    tokens, experts = probabilities.shape
    room = Room(
        np.empty(experts, np.int64),
        np.empty(experts),
        np.empty(experts),
        np.zeros(experts + 1),
        np.empty(len(SPREADS)),
        np.zeros((len(SPREADS), experts + 1, most + 1)),
        np.empty(most),
        np.empty(most, np.int64),
        np.zeros(most + 1),
        np.zeros(most + 1),
    )
    by_cost = np.argsort(cost)
    found = np.full((tokens, most), experts)
    worth = cost.mean()  # price times need, which is much alike for all tokens
    for token in range(tokens):
        size = _candidates(room, probabilities[token], cost, by_cost, most)
        enough = min(most, size)
        found[token, :enough] = room.number[:enough]
        least = need[token] * (1 - ROUNDING)
        if 0 < least < room.sums[enough]:
            worth = _prepare(room, size, least, worth)
            _search(room, size, least, effort, found[token])
    return found


@njit(cache=True)
def _candidates(room: Room, probabilities: Probabilities, cost: Floats, by_cost: Indices, most: int) -> int:
    """Write the experts that may be in a cheapest choice, most probable first, and return how many there are."""
    likeliest = room.least  # of those that are not dearer, ascending
    likeliest[:] = 0
    number, p, c = room.number, room.p, room.c
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
    for place in range(size):
        room.sums[place + 1] = room.sums[place] + p[place]
    return size


@njit(cache=True)
def _insert(least: Floats, figure: float) -> None:
    """Put a figure that is below the last of some ascending ones among them, in its stead."""
    place = len(least) - 1
    while place > 0 and least[place - 1] > figure:
        least[place] = least[place - 1]
        place -= 1
    least[place] = figure


@njit(cache=True)
def _relaxed(room: Room, size: int, need: float, price: float) -> float:
    """A lower bound of what it costs to reach the need, by its price."""
    room.least[:] = 0
    total = price * need
    for expert in range(size):
        figure = room.c[expert] - price * room.p[expert]
        if figure < room.least[-1]:
            total += figure - room.least[-1]
            _insert(room.least, figure)
    return total


@njit(cache=True)
def _prepare(room: Room, size: int, need: float, worth: float) -> float:
    """Write prices and bounds. Return price times need at which the relaxed cost is highest, uphill from `worth`."""
    here = _relaxed(room, size, need, worth / need)
    for factor in (STRIDE, 1 / STRIDE):
        start = worth
        for _ in range(STRIDES):
            there = _relaxed(room, size, need, factor * worth / need)
            if there <= here:
                break
            worth, here = factor * worth, there
        if worth != start:
            break
    for number in range(len(SPREADS)):
        price = room.prices[number] = SPREADS[number] * worth / need
        bounds, least = room.bounds[number], room.least
        least[:] = 0
        bounds[size] = 0
        for expert in range(size - 1, -1, -1):
            figure = room.c[expert] - price * room.p[expert]
            if figure < least[-1]:
                _insert(least, figure)
            for place in range(len(least)):
                bounds[expert, place + 1] = bounds[expert, place] + least[place]
    return worth


@njit(cache=True)
def _round(room: Room, size: int, need: float, price: float, best: float, found: Indices) -> float:
    """Write the choice of the relaxed problem at a price if it is enough and costs less than `best`; return the less.

    The most probable come first, and none that the need can do without after them.
    """
    most = len(found)
    taken, reached, spent = 0, 0.0, 0.0
    _relaxed(room, size, need, price)
    for expert in range(size):
        figure = room.c[expert] - price * room.p[expert]
        if figure < 0 and figure <= room.least[-1] and taken < most and reached < need:
            room.taken[taken] = expert
            taken += 1
            reached += room.p[expert]
            spent += room.c[expert]
    if reached < need or spent >= best * LESS:
        return best
    found[:] = len(room.number)
    for place in range(taken):
        found[place] = room.number[room.taken[place]]
    return spent


@njit(cache=True)
def _search(room: Room, size: int, need: float, effort: int, found: Indices) -> None:
    """Write the cheapest choice for one token into `found` [most]."""
    most = len(found)
    best = np.inf
    for price in room.prices:
        best = _round(room, size, need, price, best, found)
    depth = expert = 0
    while True:
        missing, left = need - room.reached[depth], most - depth
        goes_on = False
        if missing > 0:
            goes_on = left > 0 and room.sums[min(expert + left, size)] - room.sums[expert] >= missing
            for number in range(len(room.prices)):
                bound = room.spent[depth] + room.prices[number] * missing + room.bounds[number, expert, left]
                goes_on = goes_on and bound < best * LESS
        elif room.spent[depth] < best * LESS:
            best = room.spent[depth]
            found[:] = len(room.number)
            for place in range(depth):
                found[place] = room.number[room.taken[place]]
        if goes_on:
            effort -= 1
            if effort < 0:
                return
            room.taken[depth] = expert
            room.reached[depth + 1] = room.reached[depth] + room.p[expert]
            room.spent[depth + 1] = room.spent[depth] + room.c[expert]
            depth, expert = depth + 1, expert + 1
        elif depth > 0:
            depth -= 1
            expert = room.taken[depth] + 1
        else:
            return
