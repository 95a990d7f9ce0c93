# SPDX-License-Identifier: GPL-2.0-only
"""What Python and C++ both say, and pass to each other as numbers and bytes: enumerations and rows of records."""

import pytest

from bridge.network import CHANNEL_FIELDS, CHANNEL_ROW, STATUSES, TRACK_FIELDS, TRACK_ROW, WAITS
from cosim.networks import fluid
from cosim.record import channel_row, track_row
from ns3_scenarios.drops import REASONS
from ns3_scenarios.wheel import loader

TYPES = {"q": "int64_t", "I": "uint32_t", "H": "uint16_t", "B": "uint8_t", "f": "float", "d": "double"}
RECORDS = {"ChannelRecord": CHANNEL_FIELDS, "TrackRecord": TRACK_FIELDS}

LAYOUT = """
#include <cstddef>
#include <type_traits>
#include <vector>
namespace layout{record} {{
using Row = ns3::cosim::{record}::Row;
std::vector<size_t> offsets() {{ return {{{offsets}, sizeof(Row)}}; }}
std::vector<bool> types() {{ return {{{types}}}; }}
}}
"""


def enumerators(name: str) -> dict[str, int]:
    """Of a native enumeration."""
    enumeration = getattr(loader.load().cosim, name)
    return {each: int(getattr(enumeration, each)) for each in dir(enumeration) if each.isupper()}


def layout(record: str) -> tuple[list[int], list[bool]]:
    """Where the fields of the native row begin, and it ends; and whether each has the type that Python reads."""
    loader.load()
    import cppyy

    native = [(_camel(name), TYPES[code]) for name, code in RECORDS[record]]
    offsets = ", ".join(f"offsetof(Row, {name})" for name, _ in native)
    types = ", ".join(f"std::is_same_v<decltype(Row::{name}), {kind}>" for name, kind in native)
    cppyy.cppdef(LAYOUT.format(record=record, offsets=offsets, types=types))
    native_layout = getattr(cppyy.gbl, f"layout{record}")
    return list(map(int, native_layout.offsets())), list(map(bool, native_layout.types()))


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Wait", [wait.name for wait in WAITS]),
        ("Status", [status.name for status in STATUSES]),
        ("DropReason", list(REASONS)),
    ],
)
def test_enumerators_have_pythons_names_and_numbers(ns3, name, expected):
    assert ns3(enumerators, name) == {each: number for number, each in enumerate(expected)}


@pytest.mark.parametrize("members", [WAITS, STATUSES])
def test_fluids_integers_are_the_same(members):
    assert [getattr(fluid, member.name) for member in members] == list(range(len(members)))


@pytest.mark.parametrize(
    ("record", "row", "packed"),
    [("ChannelRecord", channel_row.ROW, CHANNEL_ROW), ("TrackRecord", track_row.ROW, TRACK_ROW)],
)
def test_a_row_lies_in_memory_as_python_reads_it(ns3, record, row, packed):
    offsets, has_type = ns3(layout, record)
    assert all(has_type)
    assert offsets == [*(row.fields[name][1] for name, _ in RECORDS[record]), packed.size]
    assert row.itemsize == packed.size
