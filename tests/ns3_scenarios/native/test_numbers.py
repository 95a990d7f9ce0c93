# SPDX-License-Identifier: GPL-2.0-only
"""What Python and C++ both say, and pass to each other as numbers and bytes: enumerations and the channel record."""

import pytest

from bridge.network import CHANNEL_FIELDS, CHANNEL_ROW, STATUSES, WAITS
from cosim.networks import fluid
from cosim.record.channel_row import ROW
from ns3_scenarios.drops import REASONS
from ns3_scenarios.wheel import loader

TYPES = {"q": "int64_t", "I": "uint32_t", "H": "uint16_t", "B": "uint8_t", "f": "float"}

LAYOUT = """
#include <cstddef>
#include <type_traits>
#include <vector>
namespace layout {{
using Row = ns3::cosim::ChannelRecord::Row;
std::vector<size_t> offsets() {{ return {{{offsets}, sizeof(Row)}}; }}
std::vector<bool> types() {{ return {{{types}}}; }}
}}
"""


def enumerators(name: str) -> dict[str, int]:
    """Of a native enumeration."""
    enumeration = getattr(loader.load().cosim, name)
    return {each: int(getattr(enumeration, each)) for each in dir(enumeration) if each.isupper()}


def layout() -> tuple[list[int], list[bool]]:
    """Where the fields of the native row begin, and it ends; and whether each has the type that Python reads."""
    loader.load()
    import cppyy

    native = [(_camel(name), TYPES[code]) for name, code in CHANNEL_FIELDS]
    offsets = ", ".join(f"offsetof(Row, {name})" for name, _ in native)
    types = ", ".join(f"std::is_same_v<decltype(Row::{name}), {kind}>" for name, kind in native)
    cppyy.cppdef(LAYOUT.format(offsets=offsets, types=types))
    return list(map(int, cppyy.gbl.layout.offsets())), list(map(bool, cppyy.gbl.layout.types()))


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


def test_a_channel_row_lies_in_memory_as_python_reads_it(ns3):
    offsets, has_type = ns3(layout)
    assert all(has_type)
    assert offsets == [*(ROW.fields[name][1] for name, _ in CHANNEL_FIELDS), CHANNEL_ROW.size]
    assert ROW.itemsize == CHANNEL_ROW.size
