# SPDX-License-Identifier: Apache-2.0
"""An honest client at work while another process does to its server whatever a stranger can."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.client import RemoteNetwork
from bridge.keys import keys_for, make_keys
from tests.support.fixed_network import FixedNetwork
from tests.support.servers import SECOND_NS, TRANSFERS, eventually, free_tcp_endpoint, server

SECONDS = 8
MEMORY_MB = 200
"""A server without anybody takes 30. Its bounds: 256 connections a channel, with queues of 4 messages of 64 KiB."""


@pytest.mark.parametrize("adversary", ["without keys", "among plain tcp", "with the right keys"])
def test_no_stranger_disturbs_a_session(tmp_path, adversary):
    endpoint, folder = free_tcp_endpoint(), tmp_path / "keys"
    make_keys(folder)
    plain = adversary == "among plain tcp"
    keys = None if plain else keys_for(endpoint, "model", folder, False)
    with server(endpoint, *([] if plain else [f"keys={folder}"])) as process:
        remote, direct = RemoteNetwork(endpoint, "fixed", {}, 1, keys=keys), FixedNetwork()
        command = [sys.executable, "-m", "tests.support.adversary", endpoint, "--seconds", str(SECONDS)]
        command += ["--session", remote.session] if adversary == "with the right keys" else []
        command += ["--keys", str(folder)] if adversary == "with the right keys" else []
        assert remote.exchange(TRANSFERS, 0, SECOND_NS) == direct.exchange(TRANSFERS, 0, SECOND_NS)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
            try:
                while other.poll() is None:
                    arguments = (TRANSFERS, remote.now_ns, remote.now_ns + SECOND_NS)
                    assert remote.exchange(*arguments) == direct.exchange(*arguments)
                deeds = other.communicate()[0]
            finally:
                other.kill()
        status = Path(f"/proc/{process.pid}/status").read_text()
        remote.close()
        assert eventually(lambda: len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < 40)
        after = RemoteNetwork(endpoint, "fixed", {}, 1, keys=keys)
        assert after.exchange(TRANSFERS, 0, SECOND_NS).transfers
        after.close()
        process.terminate()
        log = process.communicate(timeout=60)[1]
    assert direct.exchanges > 10, "the client could hardly work"
    assert int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) < MEMORY_MB * 1024
    assert ("got nothing" in deeds) == (adversary == "without keys"), deeds
    assert int(re.search(r"many connections +(\d+)", deeds)[1]) >= 1000
    ignored = [line for line in log.splitlines() if "ignored from" in line]
    assert len(set(ignored)) == len(ignored) > 3
    assert len(log.splitlines()) < 45, log[:5000]
    assert remote.session not in log
