# SPDX-License-Identifier: Apache-2.0
"""Client and server over real sockets, between real processes, with partners that die, hang and talk nonsense."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.client import RemoteNetwork
from bridge.endpoint import control_endpoint, private_ipc
from bridge.health import lives
from bridge.messages import (
    MAGIC,
    MAX_CONTROL_BYTES,
    MAX_TO_SERVER_BYTES,
    PROTOCOL_VERSION,
    Beat,
    Convey,
    Goodbye,
    Hello,
    Pulse,
    Refused,
    Request,
    decode,
    encode,
    to_client,
)
from bridge.network import Message, PartnerLost, RequestError, Transfer, Wait
from bridge.server import Server
from bridge.strangers import MAX_CONNECTIONS
from tests.support.fixed_network import FixedNetwork, open_fixed
from tests.support.servers import SECOND_NS, TRANSFERS, eventually, free_tcp_endpoint, server, stop


@pytest.fixture(params=["ipc", "tcp"])
def endpoint(request) -> Iterator[str]:
    with private_ipc() as ipc:
        yield ipc if request.param == "ipc" else free_tcp_endpoint()


@pytest.fixture
def ipc() -> Iterator[str]:
    with private_ipc() as endpoint:
        yield endpoint


@contextmanager
def connected(endpoint: str, **parameters) -> Iterator[RemoteNetwork]:
    network = RemoteNetwork(endpoint, "fixed", parameters, 1, patience_s=60)
    try:
        yield network
    finally:
        network.close()


def said(process: "subprocess.Popen[str]") -> str:
    """What a server that is ending wrote."""
    return process.communicate(timeout=60)[1]


def test_outcomes_are_those_of_the_network_itself(endpoint):
    direct = FixedNetwork(devices=8, dead=7)
    with server(endpoint), connected(endpoint, devices=8, dead=7) as remote:
        assert remote.info == direct.info
        for wait in Wait:
            for deadline_ns in (2_000_000, SECOND_NS, 2**61):
                now_ns = remote.now_ns
                if wait is not Wait.ANY and deadline_ns == 2**61:
                    continue
                arguments = (TRANSFERS, now_ns + 1000, now_ns + deadline_ns, wait)
                assert remote.exchange(*arguments) == direct.exchange(*arguments)
                assert remote.now_ns == direct.now_ns


def test_messages_are_conveyed_as_the_network_itself_does_however_many_they_are(ipc, monkeypatch):
    monkeypatch.setattr("bridge.client.MOST_MESSAGES", 7)
    direct = FixedNetwork(devices=8, dead=7)
    with server(ipc), connected(ipc, devices=8, dead=7) as remote:
        for begin in (0, 20):
            now_ns = remote.now_ns
            sent = [
                Message(begin + n, n % 8, n % 2 == 0, 1000 * (n + 1), now_ns + 10 * n, now_ns + SECOND_NS)
                for n in range(20)
            ]
            told = [remote.convey(sent, now_ns + 100)]
            assert told == [direct.convey(sent, now_ns + 100)]
            assert remote.exchange(TRANSFERS, now_ns + 1000, now_ns + SECOND_NS) == direct.exchange(
                TRANSFERS, now_ns + 1000, now_ns + SECOND_NS
            )
            for _ in range(20):
                told.append(remote.convey((), now_ns + 2 * SECOND_NS))
                assert told[-1] == direct.convey((), now_ns + 2 * SECOND_NS)
                assert remote.now_ns == direct.now_ns == told[-1].now_ns
            assert sorted(each.message for conveyed in told for each in conveyed.deliveries) == list(
                range(begin, begin + 20)
            )


def test_a_message_that_makes_no_sense_is_refused_by_field_on_either_side(ipc):
    with server(ipc), connected(ipc) as remote:
        for message, field in (
            (Message(0, 8, False, 1, 0, 1), "messages.device"),
            (Message(1 << 31, 0, False, 1, 0, 1), "messages.message"),
            (Message(0, 0, False, 0, 0, 1), "messages.size_bytes"),
            (Message(0, 0, False, 1, 2, 1), "messages.deadline_ns"),
        ):
            with pytest.raises(RequestError, match=field):
                remote.convey([message], 10)
        with pytest.raises(RequestError, match="until_ns"):
            remote.convey([], -1)
        assert remote.convey([], 10).now_ns == 10
    with server(ipc), _raw(ipc) as channel:
        _say(channel, Hello("me", "raw", "fixed", {}, 1, {}, None))
        answer = _say(channel, Convey("me", 1, (Message(0, 99, False, 1, 0, 1),), 1))
        assert isinstance(answer, Refused)
        assert (answer.field, answer.final) == ("messages.device", False)


def test_an_empty_exchange_moves_the_clock(ipc):
    with server(ipc), connected(ipc) as remote:
        assert remote.exchange([], 5000, 9000).now_ns == 5000
        assert remote.exchange([], 6000, 9000, Wait.DEADLINE).now_ns == 9000


def test_a_bad_request_is_refused_by_field_and_the_session_goes_on(ipc):
    with server(ipc), connected(ipc) as remote:
        remote.exchange(TRANSFERS, 0, SECOND_NS)
        now_ns = remote.now_ns
        with pytest.raises(RequestError, match="depart_ns"):
            remote.exchange(TRANSFERS, 0, SECOND_NS)
        with pytest.raises(RequestError, match="appears twice"):
            remote.exchange([TRANSFERS[0]] * 2, now_ns, now_ns + 1)
        with pytest.raises(RequestError, match="shares"):
            remote.exchange(TRANSFERS, now_ns, now_ns + 1, bandwidth_shares=[0.5] * 8)
        assert remote.exchange(TRANSFERS, now_ns, now_ns + SECOND_NS).now_ns > now_ns


def test_the_server_checks_requests_itself(ipc):
    """A client of ours checks before it sends; another might not."""
    with server(ipc), _raw(ipc) as channel:
        _say(channel, Hello("me", "raw", "fixed", {}, 1, {}, None))
        answer = _say(channel, Request("me", 1, (Transfer(99, 1, 0, 1),), 0, 1, Wait.ALL, None))
        assert isinstance(answer, Refused)
        assert (answer.field, answer.final) == ("transfers.device", False)


def test_unknown_scenarios_and_parameters_are_refused(ipc):
    with server(ipc):
        with pytest.raises(RequestError, match=r"radio\.scenario.*'warp'"):
            RemoteNetwork(ipc, "warp", {}, 1)
        with pytest.raises(RequestError, match=r"radio\.devices: .*-1"):
            RemoteNetwork(ipc, "fixed", {"devices": -1}, 1)


def test_a_second_client_is_refused_by_name_and_served_after_the_first(ipc, monkeypatch):
    monkeypatch.setattr("bridge.client.BUSY_S", 1.0)
    with server(ipc):
        with connected(ipc) as first, pytest.raises(RequestError, match="busy with") as refused:
            RemoteNetwork(ipc, "fixed", {}, 1, name="second")
        assert f"{socket.gethostname()}:{os.getpid()}" in str(refused.value)
        assert first.session not in str(refused.value)
        with connected(ipc) as later:
            assert later.now_ns == 0


def test_a_dead_clients_place_is_taken_by_one_that_waits(ipc):
    client = (
        "from bridge.client import RemoteNetwork\n"
        f"RemoteNetwork({ipc!r}, 'fixed', {{}}, 1, name='first')\n"
        "print('in', flush=True); input()"
    )
    with server(ipc) as process:
        victim = subprocess.Popen([sys.executable, "-c", client], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with victim:
            assert victim.stdout is not None
            assert victim.stdout.readline() == b"in\n"
            victim.kill()
        with connected(ipc) as second:
            assert second.exchange(TRANSFERS, 0, SECOND_NS).transfers
        process.terminate()
        assert "the session of first ended: client first was lost" in said(process)


def test_a_session_is_told_to_nobody_and_ended_by_nobody_else(ipc):
    with server(ipc) as process, connected(ipc) as remote, _raw(control_endpoint(ipc)) as other, _raw(ipc) as data:
        remote.exchange(TRANSFERS, 0, SECOND_NS)
        for session in ("", "guess"):
            assert _say(other, Beat(session)) == Pulse(False, 0, 0, 0)
        assert _say(other, Beat(remote.session)) == Pulse(True, remote.now_ns, 0, 1)
        data.send(encode(Goodbye("guess")))
        assert isinstance(_say(data, Request("guess", 2, (), 0, 1, Wait.ALL, None)), Refused)
        refused = _say(data, Hello("mine", "other", "fixed", {}, 1, {}, None))
        assert isinstance(refused, Refused)
        assert not refused.final
        assert remote.session not in str(refused)
        assert remote.exchange(TRANSFERS, remote.now_ns, remote.now_ns + SECOND_NS).transfers
        remote.close()
        process.terminate()
        log = said(process)
        assert remote.session not in log
        kinds = ("a Goodbye that was not due", "a request of a session", "other, while")
        assert all(log.count(f"ignored from this host: {kind}") == 1 for kind in kinds)


def test_too_large_a_message_is_refused_before_it_is_sent(ipc):
    with server(ipc):
        with pytest.raises(RequestError, match=f"radio: takes .* at most {MAX_TO_SERVER_BYTES}"):
            RemoteNetwork(ipc, "fixed", {"text": "x" * MAX_TO_SERVER_BYTES}, 1)
        with connected(ipc, devices=MAX_TO_SERVER_BYTES) as remote:
            with pytest.raises(RequestError, match=f"transfers: takes .* at most {MAX_TO_SERVER_BYTES}"):
                remote.exchange([Transfer(device, 1, 0, 1) for device in range(MAX_TO_SERVER_BYTES)], 0, 1)
            assert remote.exchange([Transfer(0, 1, 0, 1)], 0, SECOND_NS).transfers  # the session goes on


def test_health_asks_the_bridge_itself(endpoint):
    with server(endpoint) as process:
        assert eventually(lambda: lives(endpoint, None))
        with connected(endpoint, hold_s=4) as remote:  # also in mid-exchange
            thread = threading.Thread(target=remote.exchange, args=(TRANSFERS, 0, SECOND_NS))
            thread.start()
            assert lives(endpoint, None)
            thread.join()
        stop(process.pid)
        assert not lives(endpoint, None)


def test_connections_are_bounded_and_those_that_were_there_stay():
    endpoint = free_tcp_endpoint()
    host, port = endpoint.removeprefix("tcp://").split(":")
    with server(endpoint) as process, connected(endpoint) as remote:
        crowd = [socket.create_connection((host, int(port))) for _ in range(MAX_CONNECTIONS + 50)]
        descriptors = Path(f"/proc/{process.pid}/fd")
        try:
            assert eventually(lambda: len(list(descriptors.iterdir())) < MAX_CONNECTIONS + 40)
            assert remote.exchange(TRANSFERS, 0, SECOND_NS).transfers
            assert eventually(lambda: len(list(descriptors.iterdir())) < 40)  # without a handshake they are dropped
        finally:
            for one in crowd:
                one.close()
        assert remote.exchange(TRANSFERS, remote.now_ns, remote.now_ns + SECOND_NS).transfers
        remote.close()
        process.terminate()
        log = said(process)
        assert log.count(f"more than {MAX_CONNECTIONS} connections") == 1
        assert log.count("no handshake") == 1


def test_a_client_waits_for_a_server_that_starts_later(endpoint):
    threads = []
    with server(endpoint, "once") as late:
        stop(late.pid)
        threads.append(threading.Timer(1.0, os.kill, (late.pid, signal.SIGCONT)))
        threads[0].start()
        with connected(endpoint) as remote:
            assert remote.exchange(TRANSFERS, 0, SECOND_NS).now_ns > 0
        assert late.wait(60) == 0


def test_no_server_at_all_is_said_by_name(ipc):
    with pytest.raises(PartnerLost, match=re.escape(ipc)):
        RemoteNetwork(ipc, "fixed", {}, 1, patience_s=0.5)


def test_an_endpoint_in_use_is_refused(endpoint):
    with server(endpoint), connected(endpoint), pytest.raises(RequestError, match="in use"):
        Server(endpoint, open_fixed, plain_tcp=True)


def test_tcp_without_keys_only_when_told_so():
    with pytest.raises(RequestError, match="--plain-tcp"):
        Server(free_tcp_endpoint(), open_fixed)


@pytest.mark.parametrize(("number", "words"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGSTOP, "hangs")])
def test_a_server_that_dies_or_stops_in_an_exchange_is_named(ipc, number, words):
    def check() -> None:
        if process.poll() is not None:
            raise PartnerLost(f"killed by {signal.Signals(-process.returncode).name}")

    with server(ipc) as process:
        remote = RemoteNetwork(ipc, "fixed", {"hold_s": 60}, 1, check_partner=check)
        killer = threading.Timer(0.5, os.kill, (process.pid, number))
        killer.start()
        began_s = time.monotonic()
        with pytest.raises(PartnerLost, match=f"lost at virtual time 0.*{words}"):
            remote.exchange(TRANSFERS, 0, SECOND_NS)
        assert time.monotonic() - began_s < 60
        remote.close()


def test_a_server_started_anew_is_not_taken_for_the_old_one(endpoint):
    with server(endpoint) as first:
        remote = RemoteNetwork(endpoint, "fixed", {}, 1)
        remote.exchange(TRANSFERS, 0, SECOND_NS)
        first.kill()
        first.wait()
        with server(endpoint), pytest.raises(PartnerLost, match=r"at virtual time 0\.01.*(anew|unknown here)"):
            remote.exchange(TRANSFERS, remote.now_ns, remote.now_ns + SECOND_NS)
        remote.close()


def test_a_clock_that_stands_still_is_named_though_the_server_answers(ipc, monkeypatch):
    monkeypatch.setattr("bridge.client.STUCK_S", 1.0)
    with (
        server(ipc),
        connected(ipc, hold_s=60, stand_still=True) as remote,
        pytest.raises(PartnerLost, match="stood still"),
    ):
        remote.exchange(TRANSFERS, 0, SECOND_NS)


def test_a_long_step_is_waited_for(ipc):
    """Longer than the time-out of a silent server."""
    with server(ipc), connected(ipc, hold_s=7) as remote:
        assert (
            remote.exchange(TRANSFERS, 0, SECOND_NS).now_ns == FixedNetwork().exchange(TRANSFERS, 0, SECOND_NS).now_ns
        )


def test_a_network_that_breaks_ends_the_session_with_its_words(ipc):
    with server(ipc), connected(ipc, break_at=2) as remote:
        remote.exchange(TRANSFERS, 0, SECOND_NS)
        with pytest.raises(PartnerLost, match="ArithmeticError: the radio is broken"):
            remote.exchange(TRANSFERS, remote.now_ns, remote.now_ns + SECOND_NS)


def test_a_killed_client_is_named_with_the_virtual_time_and_nothing_stays(ipc):
    client = (
        "from bridge.client import RemoteNetwork; from bridge.network import Transfer\n"
        f"network = RemoteNetwork({ipc!r}, 'fixed', {{'hold_s': 3}}, 1)\n"
        "while True: network.exchange([Transfer(0, 12500, 0, 12500)], network.now_ns, network.now_ns + 10**9)\n"
    )
    with server(ipc, "once") as process:
        victim = subprocess.Popen([sys.executable, "-c", client])
        assert process.stderr is not None
        while "serving fixed to" not in process.stderr.readline():
            assert process.poll() is None
        victim.kill()
        victim.wait()
        assert process.wait(60) == 0
        assert re.search(r"was lost at virtual time \d+\.\d+ s: no beat", said(process))
    assert not Path(ipc.removeprefix("ipc://")).parent.exists()


@pytest.mark.parametrize("way", ["SIGTERM", "SIGINT", "parent"])
def test_a_server_stops_in_the_middle_of_an_exchange_and_leaves_nothing(ipc, way):
    with server(ipc, "child") as process:
        remote = RemoteNetwork(ipc, "fixed", {"hold_s": 60}, 1)
        ending = threading.Timer(
            0.3, process.stdin.close if way == "parent" else lambda: process.send_signal(getattr(signal, way))
        )
        ending.start()
        with pytest.raises(PartnerLost):
            remote.exchange(TRANSFERS, 0, SECOND_NS)
        assert process.wait(60) == 0
        assert re.search(rf"stopping at virtual time .*({way}|gone)", process.stderr.read())
        remote.close()
    assert not Path(ipc.removeprefix("ipc://")).parent.exists()


# Nonsense on the socket.


@contextmanager
def _raw(endpoint: str) -> Iterator["zmq.Socket[bytes]"]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as channel:
        channel.setsockopt(zmq.LINGER, 0)
        channel.setsockopt(zmq.RCVTIMEO, 5000)
        channel.connect(endpoint)
        yield channel


def _say(channel, message):
    channel.send(encode(message))
    return decode(channel.recv(), to_client)


def test_garbage_disturbs_nobody_and_is_named_once_a_source(endpoint):
    with server(endpoint) as process, connected(endpoint) as remote:
        for place in (endpoint, control_endpoint(endpoint)):
            with _raw(place) as channel:
                for noise in (
                    b"",
                    b"\x00" * 100,
                    MAGIC,
                    encode(Hello("x", "y", "z", {}, 1, {}, None))[:-1],
                    os.urandom(1000),
                ):
                    channel.send(noise)
                    channel.send_multipart([noise, noise, b"more"])
                channel.send(MAGIC + b"\x00")
                assert isinstance(decode(channel.recv(), to_client), Refused)  # so it has read all before
                most = MAX_TO_SERVER_BYTES if place == endpoint else MAX_CONTROL_BYTES
                for too_many in (most + 1, 1 << 24):
                    channel.send(bytes(too_many))
                assert remote.exchange(TRANSFERS, remote.now_ns, remote.now_ns + SECOND_NS).transfers
        if endpoint.startswith("tcp"):
            host, port = endpoint.removeprefix("tcp://").split(":")
            with socket.create_connection((host, int(port))) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\n\r\n" * 300)
        assert remote.exchange(TRANSFERS, remote.now_ns, remote.now_ns + SECOND_NS).transfers
        remote.close()
        process.terminate()
        ignored = [line for line in said(process).splitlines() if "ignored from" in line]
        source = "127.0.0.1" if endpoint.startswith("tcp") else "this host"
        assert all(f"ignored from {source}: " in line or "gone at once" in line for line in ignored)
        kinds = (
            "do not begin with",
            "several frames",
            "partner speaks protocol version 0",
            "where a message has at most",
        )
        assert [sum(kind in line for line in ignored) for kind in kinds] == [1, 1, 1, 1]
        assert len(ignored) <= 7


def test_an_old_protocol_version_is_refused_by_name(ipc):
    with server(ipc), _raw(ipc) as channel:
        channel.send(MAGIC + b"\x00" + b"hello of old")
        answer = decode(channel.recv(), to_client)
        assert isinstance(answer, Refused)
        assert answer.field == "protocol"
        assert "version 0" in answer.reason


def test_a_server_of_another_version_is_refused_by_the_client(ipc):
    def old_server() -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as channel:
            channel.bind(ipc)
            identity, _ = channel.recv_multipart()
            channel.send_multipart((identity, MAGIC + bytes([PROTOCOL_VERSION + 1]) + b"who knows"))

    thread = threading.Thread(target=old_server)
    thread.start()
    with pytest.raises(RequestError, match=rf"protocol: .* version {PROTOCOL_VERSION + 1}"):
        RemoteNetwork(ipc, "fixed", {}, 1)
    thread.join()


@contextmanager
def _bad_line(front: str, back: str, fate: list[str]) -> Iterator[None]:
    """Carries the data channel from `front` to `back`; each client frame after the hello meets the next fate:
    passed on, lost, doubled, or its answer lost."""

    def carry() -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as near, context.socket(zmq.DEALER) as far:
            near.bind(front)
            far.connect(back)
            poller = zmq.Poller()
            poller.register(near, zmq.POLLIN)
            poller.register(far, zmq.POLLIN)
            identity, drop_answers, fates = b"", 0, iter(fate)
            while not ended.is_set():
                ready = dict(poller.poll(50))
                if near in ready:
                    identity, frame = near.recv_multipart()
                    what = "pass" if b"hello" in frame or b"goodbye" in frame else next(fates, "pass")
                    drop_answers += what == "answer lost"
                    for _ in range({"lost": 0, "doubled": 2}.get(what, 1)):
                        far.send(frame)
                if far in ready:
                    frame = far.recv()
                    if drop_answers:
                        drop_answers -= 1
                    else:
                        near.send_multipart((identity, frame))
            far.linger = near.linger = 0

    ended = threading.Event()
    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["pass", "lost", "doubled", "answer lost"]), min_size=4, max_size=8))
def test_whatever_the_line_does_each_request_runs_exactly_once(tmp_path_factory, fate):
    log = tmp_path_factory.mktemp("line") / "log"
    with private_ipc() as back, private_ipc() as front, pytest.MonkeyPatch.context() as patch:
        patch.setattr("bridge.client.RESEND_S", 0.3)
        patch.setattr("bridge.client.control_endpoint", lambda _: control_endpoint(back))
        with server(back), _bad_line(front, back, fate), connected(front, log=str(log)) as remote:
            direct = FixedNetwork()
            for _ in range(5):
                arguments = (TRANSFERS, remote.now_ns, remote.now_ns + SECOND_NS)
                assert remote.exchange(*arguments) == direct.exchange(*arguments)
        assert log.read_text().split() == ["1", "2", "3", "4", "5"]
