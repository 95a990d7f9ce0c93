# SPDX-License-Identifier: Apache-2.0
"""What was probably meant, wherever a name is read."""

from enum import Enum
from typing import Annotated, Literal

import msgspec
import pytest

from bridge.names import meant, misfit


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Bus(msgspec.Struct, tag_field="kind", tag="bus", forbid_unknown_fields=True):
    seats: int = 0


class Tram(msgspec.Struct, tag_field="kind", tag="tram", forbid_unknown_fields=True):
    lines: tuple[int, ...] = ()


class Town(msgspec.Struct, forbid_unknown_fields=True):
    colour: Colour = Colour.RED
    size: Literal["small", "large"] | None = None
    traffic: list[Bus | Tram] = []
    pair: tuple[int, Bus] | None = None
    by_name: dict[str, Bus] = {}


TRAM = "; there are bus, tram; did you mean tram?"


@pytest.mark.parametrize(
    ("values", "place", "unknown", "hint"),
    [
        ({"color": "red"}, "", "color", "; did you mean colour?"),
        ({"xyz": 1}, "", "xyz", ""),
        ({"colour": "bleu"}, ".colour", None, "; there are red, blue; did you mean blue?"),
        ({"size": "smal"}, ".size", None, "; there are large, small; did you mean small?"),
        ({"traffic": [{"kind": "bus"}, {"kind": "trm"}]}, ".traffic[1].kind", None, TRAM),
        ({"traffic": [{"kind": "bus", "seat": 3}]}, ".traffic[0]", "seat", "; did you mean seats?"),
        ({"traffic": [{"kind": "tram", "linse": 3}]}, ".traffic[0]", "linse", "; did you mean lines?"),
        ({"pair": [1, {"kind": "bus", "seates": 1}]}, ".pair[1]", "seates", "; did you mean seats?"),
        ({"by_name": {"a": {"kind": "bus", "SEATS": 1}}}, ".by_name[...]", "SEATS", "; did you mean seats?"),
        ({"traffic": 3}, ".traffic", None, ""),
    ],
)  # fmt: skip
def test_a_misfit_is_placed_and_what_was_meant_is_said(values, place, unknown, hint):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(values, Town)
    found = misfit(caught.value, Town)
    assert (found.place, found.unknown, found.hint) == (place, unknown, hint)


class Sizes(msgspec.Struct):
    count: Annotated[int, msgspec.Meta(ge=1)] | None = None
    share: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    exact: bool = True
    names: Annotated[list[str], msgspec.Meta(min_length=1)] = msgspec.field(default_factory=lambda: ["a"])
    pair: tuple[float, float] = (1, 2)
    bits: Literal[2, 4] = 2
    power: Literal["profile"] | float = "profile"
    town: Town | None = None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"count": 1.5}, "expected a whole number, got a number with a fraction"),
        ({"count": 0}, "expected a whole number >= 1"),
        ({"share": -1}, "expected a number > 0"),
        ({"share": "x"}, "expected a number, got text"),
        ({"exact": "False"}, "expected true or false, in small letters and without quotes, got text"),
        ({"names": "a"}, "expected a list in [brackets], got text"),
        ({"names": []}, "expected a list in [brackets] of at least 1 item"),
        ({"names": [1]}, "expected text, got a whole number"),
        ({"pair": [1]}, "expected a list in [brackets] of 2 items, got 1"),
        ({"bits": 5}, "nobody knows 5; there are 2, 4"),
        ({"power": "prfile"}, "nobody knows 'prfile'; there are profile, or a number; did you mean profile?"),
        ({"town": 3}, "expected a section, got a whole number"),
    ],
)
def test_what_is_wrong_is_said_in_a_users_words(values, words):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(values, Sizes)
    found = misfit(caught.value, Sizes)
    assert found.reason + found.hint == words


def test_only_what_is_like_it_was_meant():
    known = ["devices", "distances_m", "positions_m"]
    for wrong, right in (("devces", "devices"), ("Devices", "devices"), ("distance_m", "distances_m")):
        assert meant(wrong, known) == f"; did you mean {right}?"
    assert meant("seed", known) == meant("", known) == meant("x", []) == ""
