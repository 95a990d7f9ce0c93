# SPDX-License-Identifier: Apache-2.0
"""The wire format: what goes in comes out, and nothing else gets in."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.fuzz_decoder import SEEDS, check, mutate
from bridge.endpoint import check_endpoint, control_endpoint
from bridge.messages import (
    MAGIC,
    MAX_TO_SERVER_BYTES,
    PROTOCOL_VERSION,
    Convey,
    Garbage,
    Hello,
    Request,
    WrongVersion,
    decode,
    encode,
    to_client,
    to_server,
)
from bridge.network import Message, RequestError, Transfer, Wait

int64 = st.integers(min_value=0, max_value=2**63 - 1)
transfers = st.builds(Transfer, device=int64, downlink_bytes=int64, compute_ns=int64, uplink_bytes=int64)
requests = st.builds(
    Request,
    session=st.text(min_size=1, max_size=64),
    sequence=st.integers(1, 2**63 - 1),
    transfers=st.lists(transfers, max_size=20).map(tuple),
    depart_ns=int64,
    deadline_ns=int64,
    wait=st.sampled_from(Wait),
    bandwidth_shares=st.none() | st.lists(st.floats(0, 1), max_size=8).map(tuple),
)


messages = st.builds(
    Message,
    message=int64,
    device=int64,
    is_uplink=st.booleans(),
    size_bytes=int64,
    begin_ns=int64,
    deadline_ns=int64,
)
conveys = st.builds(
    Convey,
    session=st.text(min_size=1, max_size=64),
    sequence=st.integers(1, 2**63 - 1),
    messages=st.lists(messages, max_size=20).map(tuple),
    until_ns=int64,
)


@given(requests | conveys)
def test_a_request_survives_the_wire_with_all_64_bits(request):
    assert decode(encode(request), to_server) == request


@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_garbage_and_nothing_worse(noise, with_header):
    frame = MAGIC + bytes([PROTOCOL_VERSION]) + noise if with_header else noise
    for decoder in (to_server, to_client):
        try:
            message = decode(frame, decoder)
        except (Garbage, WrongVersion):
            continue
        assert decode(encode(message), decoder) == message


@given(requests | conveys, st.data())
def test_a_truncated_or_lengthened_request_is_garbage(request, data):
    frame = encode(request)
    cut = data.draw(st.integers(len(MAGIC) + 1, len(frame) - 1))
    for broken in (frame[:cut], frame + b"\x00"):
        with pytest.raises(Garbage):
            decode(broken, to_server)


def test_fields_are_checked_for_type_and_number():
    good = ["request", "s", 1, [[0, 1, 2, 3]], 5, 6, "all", None]
    header = MAGIC + bytes([PROTOCOL_VERSION])
    assert decode(header + msgspec.msgpack.encode(good), to_server).transfers == (Transfer(0, 1, 2, 3),)
    for position, wrong in [
        (1, 7),
        (2, "1"),
        (2, 1.5),
        (3, [[0, 1, 2]]),
        (3, [[0, 1, 2, 3, 4]]),
        (6, "some"),
        (7, [True]),
    ]:
        bad = list(good)
        bad[position] = wrong
        with pytest.raises(Garbage):
            decode(header + msgspec.msgpack.encode(bad), to_server)
    with pytest.raises(Garbage):
        decode(header + msgspec.msgpack.encode([*good, 0]), to_server)


def test_another_protocol_version_is_told_from_garbage():
    frame = MAGIC + bytes([PROTOCOL_VERSION + 1]) + b"whatever the future brings"
    with pytest.raises(WrongVersion, match=f"version {PROTOCOL_VERSION + 1}"):
        decode(frame, to_server)


@pytest.mark.parametrize(
    ("endpoint", "part"),
    [
        ("localhost:5555", "neither"),
        ("http://localhost:5555", "neither"),
        ("ipc://", "neither"),
        ("ipc:///" + "x" * 120, "has 121 bytes, at most"),
        ("tcp://127.0.0.1", "port"),
        ("tcp://127.0.0.1:0", "port"),
        ("tcp://127.0.0.1:65535", "port"),
        ("tcp://:5555", "host"),
    ],
)
def test_a_wrong_endpoint_is_named(endpoint, part):
    with pytest.raises(RequestError, match=part):
        check_endpoint(endpoint, "connect")


def test_the_control_channel_follows_from_the_endpoint():
    assert control_endpoint("ipc:///tmp/a") == "ipc:///tmp/a.control"
    assert control_endpoint("tcp://[::1]:5555") == "tcp://[::1]:5556"


@pytest.mark.parametrize(
    "opening", [b"\x91", b"\x81\xa1a", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"]
)
def test_depths_and_lengths_without_end_are_garbage(opening):
    """As a parameter of a hello, where any value may stand; once, and as deep as a message can be."""
    empty = encode(Hello("s", "c", "lte", {"a": None}, 1, {}, None))
    place = empty.index(b"\xa1a\xc0") + 2
    for times in (1, 1000, (MAX_TO_SERVER_BYTES - len(empty)) // len(opening)):
        with pytest.raises(Garbage):
            decode(empty[:place] + opening * times + b"\xc1" + empty[place + 1 :], to_server)


@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
def test_whatever_is_changed_in_a_message_it_is_one_or_it_is_garbage(message, chance):
    check(mutate(encode(message), chance))
