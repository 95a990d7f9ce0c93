# SPDX-License-Identifier: Apache-2.0
"""Keys over tcp: who holds the right ones gets in, nobody else does, and a bad file is named."""

import shutil
import stat
import threading
from pathlib import Path

import pytest
import zmq
from zmq.auth import load_certificate

from bridge.client import RemoteNetwork
from bridge.endpoint import control_endpoint, private_ipc
from bridge.health import lives
from bridge.keys import Keys, keys_for, make_keys
from bridge.messages import Beat, Hello, encode
from bridge.network import PartnerLost, RequestError
from tests.support.servers import SECOND_NS, TRANSFERS, free_tcp_endpoint, server

TCP = "tcp://127.0.0.1:5555"


@pytest.fixture
def keys(tmp_path) -> Path:
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


def connect(endpoint: str, folder: Path | None, patience_s: float = 60.0) -> RemoteNetwork:
    held = keys_for(endpoint, "model", folder, folder is None)
    return RemoteNetwork(endpoint, "fixed", {}, 1, keys=held, patience_s=patience_s)


def test_the_files_are_private_and_not_overwritten(keys):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in keys.iterdir()}
    assert modes == {"network.key": 0o644, "network.key_secret": 0o600, "model.key": 0o644, "model.key_secret": 0o600}
    before = {path: path.read_bytes() for path in keys.iterdir()}
    with pytest.raises(RequestError, match="not overwritten"):
        make_keys(keys)
    assert {path: path.read_bytes() for path in keys.iterdir()} == before


@pytest.mark.parametrize(("side", "own", "other"), [("network", "network", "model"), ("model", "model", "network")])
def test_a_side_needs_only_its_two_files_and_shows_no_secret(keys, tmp_path, side, own, other):
    (tmp_path / "mine").mkdir()
    for name in (f"{own}.key_secret", f"{other}.key"):
        shutil.copy(keys / name, tmp_path / "mine" / name)
    held = keys_for(TCP, side, tmp_path / "mine", False)
    assert held is not None
    assert (held.public, held.secret) == load_certificate(keys / f"{own}.key_secret")
    assert held.other == load_certificate(keys / f"{other}.key")[0]
    assert held.secret.decode() not in repr(held)


def test_bad_keys_are_named(keys):
    secret = keys / "network.key_secret"
    secret.chmod(0o604)
    with pytest.raises(RequestError, match=r"network\.key_secret is open.*chmod 600"):
        keys_for(TCP, "network", keys, False)
    secret.chmod(0o600)
    good = secret.read_text()
    for bad in ("", good.replace('secret-key = "', 'secret-key = "x'), "\udcff"):
        secret.write_text(bad, errors="surrogateescape")
        with pytest.raises(RequestError, match=r"network\.key_secret"):
            keys_for(TCP, "network", keys, False)
    secret.write_text(good)
    (keys / "model.key").unlink()
    with pytest.raises(RequestError, match=r"--keys: cannot read .*model\.key"):
        keys_for(TCP, "network", keys, False)


@pytest.mark.parametrize(
    ("endpoint", "with_keys", "plain_tcp", "field"),
    [
        (TCP, False, False, "--keys"),
        (TCP, True, True, "--plain-tcp"),
        ("ipc:///tmp/x", True, False, "--keys"),
        ("ipc:///tmp/x", False, True, "--plain-tcp"),
    ],
)
def test_tcp_needs_one_of_the_two_and_ipc_neither(keys, endpoint, with_keys, plain_tcp, field):
    with pytest.raises(RequestError) as error:
        keys_for(endpoint, "model", keys if with_keys else None, plain_tcp)
    assert error.value.field == field


def test_a_refusal_is_heard_however_slow_the_machine(keys, tmp_path, monkeypatch):
    """Nothing is lost between connecting and listening to what becomes of it: after a refusal none comes again."""
    make_keys(tmp_path / "stranger")
    shutil.copy(keys / "network.key", tmp_path / "stranger" / "network.key")
    listen = zmq.Socket.get_monitor_socket

    def slowly(*arguments):
        threading.Event().wait(0.5)
        return listen(*arguments)

    monkeypatch.setattr(zmq.Socket, "get_monitor_socket", slowly)
    endpoint = free_tcp_endpoint()
    with server(endpoint, f"keys={keys}"), pytest.raises(RequestError, match="refused our key"):
        connect(endpoint, tmp_path / "stranger", patience_s=10)


def test_only_the_right_key_gets_in_and_the_others_disturb_nobody(keys, tmp_path):
    make_keys(tmp_path / "stranger")
    shutil.copy(keys / "network.key", tmp_path / "stranger" / "network.key")
    make_keys(tmp_path / "other")
    endpoint = free_tcp_endpoint()
    with private_ipc() as ipc, server(ipc), server(endpoint, f"keys={keys}") as process:
        undisturbed = RemoteNetwork(ipc, "fixed", {}, 1)
        remote = connect(endpoint, keys)
        with pytest.raises(RequestError, match="refused our key"):
            connect(endpoint, tmp_path / "stranger")
        for folder in (tmp_path / "other", None):
            with pytest.raises((RequestError, PartnerLost), match="no agreement"):
                connect(endpoint, folder, patience_s=2.0)
        assert remote.exchange(TRANSFERS, 0, SECOND_NS) == undisturbed.exchange(TRANSFERS, 0, SECOND_NS)
        remote.close()
        undisturbed.close()
        process.terminate()
        log = process.communicate(timeout=60)[1]
    ignored = [line for line in log.splitlines() if "ignored from" in line]
    assert len(set(ignored)) == len(ignored), "each is named once"
    assert all("ignored from 127.0.0.1: " in line or "gone at once" in line for line in ignored)
    for kind in ("its key is not model.key", "its handshake does not fit"):
        assert any(kind in line for line in ignored)
    secrets = [load_certificate(keys / f"{side}.key_secret")[1] for side in ("network", "model")]
    assert not any(secret is not None and secret.decode() in log for secret in secrets)


@pytest.mark.parametrize("channel", ["data", "control"])
def test_a_stranger_gets_no_word_on_either_channel(keys, channel):
    endpoint = free_tcp_endpoint()
    place = endpoint if channel == "data" else control_endpoint(endpoint)
    with server(endpoint, f"keys={keys}"), zmq.Context() as context:
        connect(endpoint, keys).close()
        with context.socket(zmq.DEALER) as stranger:
            public, secret = zmq.curve_keypair()
            stranger.curve_publickey, stranger.curve_secretkey = public, secret
            stranger.curve_serverkey = load_certificate(keys / "network.key")[0]
            stranger.linger = 0
            stranger.connect(place)
            stranger.send(encode(Hello("s", "a", "fixed", {}, 1, {}, None) if channel == "data" else Beat("")))
            assert not stranger.poll(1500)


def test_health_gets_in_with_the_networks_own_key_and_no_further(keys):
    endpoint = free_tcp_endpoint()
    own = keys_for(endpoint, "network", keys, False)
    assert own is not None
    with server(endpoint, f"keys={keys}"):
        connect(endpoint, keys).close()
        assert lives(endpoint, own)
        with pytest.raises(RequestError, match="refused our key"):
            RemoteNetwork(endpoint, "fixed", {}, 1, keys=Keys(own.public, own.secret, own.public))
        public, secret = zmq.curve_keypair()
        assert not lives(endpoint, Keys(public, secret, own.public))
