# SPDX-License-Identifier: Apache-2.0
"""A run shown while it goes on: it grows in a browser, survives a reload, ends with the run, and changes nothing."""

import http.client
import json
import os
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bridge.network import RequestError
from cosim.record import journal_file
from cosim.record.journal import FILE_NAME
from cosim.reporting import live
from cosim.reporting.cases import load
from cosim.reporting.live import _told
from tests.support.browser import CHROMIUM, chromium
from tests.support.small_run import ARRIVING, small_run

TOKEN = "secret"
OF_EXCHANGES = ("transfers", "links", "channel", "tracks", "routing", "exchanges")


@pytest.fixture
def growing(run, tmp_path) -> Iterator[sqlite3.Connection]:
    """The journal of a run that has only its first policy yet, open for writing; `whole` is the whole one, attached."""
    file = tmp_path / FILE_NAME
    file.write_bytes((run / FILE_NAME).read_bytes())
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("ATTACH ? AS whole", [str(run / FILE_NAME)])
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN")
        for table in (*OF_EXCHANGES, "tokens", "quality", "costs", "decisions", "devices", "variants"):
            db.execute(f"DELETE FROM main.{table} WHERE variant = 2")
        db.execute("DELETE FROM main.events")
        db.execute("DELETE FROM main.meta WHERE key = 'seal'")
        db.execute("COMMIT")
        yield db


def begin(db: sqlite3.Connection) -> None:
    """Begin the second policy."""
    db.execute("BEGIN")
    for table in ("variants", "devices"):
        db.execute(f"INSERT INTO main.{table} SELECT * FROM whole.{table} WHERE variant = 2")
    db.execute("COMMIT")


def grow(db: sqlite3.Connection) -> None:
    """Add what the second policy did, in one transaction."""
    db.execute("BEGIN")
    for table in ("exchanges", *OF_EXCHANGES[:-1], "tokens", "quality"):
        db.execute(f"INSERT INTO main.{table} SELECT * FROM whole.{table} WHERE variant = 2")
    db.execute("COMMIT")


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, threading.Event, threading.Thread]]:
    """The address of a run's page, what says that the run is over, and what serves it."""
    over = threading.Event()
    with socket.create_server((live.LOOPBACK, 0)) as listening:
        server = threading.Thread(target=live.serve, args=(folder, listening, TOKEN, over.is_set))
        server.start()
        try:
            yield live.address(listening, TOKEN), over, server
        finally:
            over.set()
            server.join(60)


def ask(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    """Status and body."""
    host, port = re.match(r"http://([\d.]+):(\d+)/", address).groups()
    with closing(http.client.HTTPConnection(host, int(port), timeout=60)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def until(condition) -> None:
    ends_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.02)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (apt-get install chromium)")
def test_the_page_grows_with_the_run_survives_a_reload_and_ends_with_it(growing, tmp_path):
    progress = "document.getElementById('progress').textContent"
    with served(tmp_path) as (address, over, server), chromium() as tab:
        tab.open(address)
        tab.until("+document.documentElement.dataset.updates > 0")
        assert tab.value("document.getElementById('links-case').options.length") == 1
        tab.value("document.getElementById('layers-phase').value = '0'")
        seen = tab.value("+document.documentElement.dataset.updates")
        begin(growing)
        tab.until(f"+document.documentElement.dataset.updates > {seen + 1}")
        grow(growing)
        tab.until("document.getElementById('links-case').options.length === 2")
        assert "weight-to-latency" in tab.value("document.querySelector('#summary thead').textContent")
        assert tab.value("document.getElementById('layers-phase').value") == "0"
        assert "weight-to-latency (live) at" in tab.value(progress)
        last = tab.value("document.getElementById('step-said').textContent")
        number, count = re.match(r"Exchange (\d+) of (\d+)", last).groups()
        assert number == count
        assert tab.value("document.getElementById('map-case').value") == "1"
        assert tab.value("document.getElementById('map-at').value === document.getElementById('map-at').max")
        tab.open(address, 390)
        assert tab.value("document.documentElement.scrollWidth") <= 390
        assert tab.value("document.getElementById('links-case').options.length") == 2
        over.set()
        tab.until(f"{progress}.includes('was stopped')")
        server.join(60)
        assert not server.is_alive()
        assert tab.errors == []
        assert {request.split("?")[0] for request in tab.requests if not request.startswith("data:")} == {
            address,
            f"{address}data",
        }


def test_nothing_can_be_done_to_it_but_look_by_who_knows_where(growing, tmp_path, monkeypatch):
    monkeypatch.setattr(live, "_LAST_S", 0.1)
    before = [growing.execute(f"SELECT count(*) FROM main.{table}").fetchone() for table in OF_EXCHANGES]
    with served(tmp_path) as (address, _, _):
        until(lambda: ask(address, f"/{TOKEN}/data")[0] == 200)
        status, body = ask(address, f"/{TOKEN}/data")
        told = json.loads(body)["live"]
        assert (status, told["over"], told["done"]) == (200, False, before[-1][0])
        assert ask(address, "/")[0] == ask(address, "/other/data")[0] == ask(address, f"/{TOKEN}/../x")[0] == 404
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert ask(address, f"/{TOKEN}/data", method)[0] == 501
        assert ask(address, f"/{TOKEN}/", Host="evil.example:80")[0] == 403
        assert b"connect-src 'self'" in ask(address, f"/{TOKEN}/")[1]
    assert [growing.execute(f"SELECT count(*) FROM main.{table}").fetchone() for table in OF_EXCHANGES] == before


def test_a_run_is_shown_from_before_its_first_exchange_to_its_end(tmp_path, capsys):
    with live.watched(tmp_path / "run", True):
        (address,) = re.findall(r"watch it at (http://127\.0\.0\.1:\d+/[\w-]+/)\n", capsys.readouterr().out)
        path = "/" + address.split("/", 3)[3]
        until(lambda: ask(address, f"{path}data")[0] == 200)
        first = json.loads(ask(address, f"{path}data")[1])["live"]
        assert (first["said"], first["done"]) == ("Waiting for the first exchange.", 0)
        assert ask(address, path)[0] == 200
        small_run(tmp_path)
        told = [first]

        def look() -> None:
            while not told[-1]["over"]:
                told.append(json.loads(ask(address, f"{path}data")[1])["live"])

        looking = threading.Thread(target=look)
        looking.start()
    looking.join(60)
    assert told[-1]["over"], "the page ended before anybody had seen the end"
    with pytest.raises(ConnectionRefusedError):
        ask(address, path)


def test_without_being_asked_nothing_is_shown(tmp_path, capsys):
    with live.watched(tmp_path, False):
        pass
    assert capsys.readouterr().out == ""


def test_a_run_that_another_process_writes_is_known_by_its_lock(tmp_path):
    assert not live.is_written(tmp_path)
    lock = journal_file.lock(tmp_path)
    assert live.is_written(tmp_path)
    os.close(lock)
    assert not live.is_written(tmp_path)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RequestError, match="holds no journal"):
        live.show_live(tmp_path)


def test_how_far_a_service_is_goes_by_the_tokens_that_users_ask_for(service):
    """At its end all of them, whoever left; before, those of who is there count as they come."""
    data = load([service])
    assert _told(data, over=True)["done"] == 2 * ARRIVING * 4
    assert " tokens; " in _told(data, over=False)["said"]
    case = data.cases[0]
    there = case.requests["end_s"] <= np.median(case.requests["end_s"])
    cut = replace(case, requests={name: column[there] for name, column in case.requests.items()})
    over = set(case.requests["request"][there].tolist())
    running = sum(request not in over for request in case.tokens["request"].tolist())
    assert running > 0
    assert _told(replace(data, cases=[cut]), over=False)["done"] == 4 * len(over) + running
