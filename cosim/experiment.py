# SPDX-License-Identifier: Apache-2.0
"""An experiment: run, resumed, done again on its record, or asked what would have been; the record is its journal.

The model, or its recorded routing, is in this process, ns-3 in one of its own.
"""

import importlib.metadata
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from enum import Enum
from functools import cache, partial
from pathlib import Path
from typing import Any

from bridge.network import RequestError
from cosim.ahead import Ahead
from cosim.calibration.needed import calibration_of
from cosim.checks import check, check_devices, check_scenario
from cosim.config import WHAT_IF, Config, changed, convert, load
from cosim.errors import Diverged, JournalUnwritable
from cosim.fitted import Fitted, fitted, working_in
from cosim.folders import can_be_made, clear, made, told
from cosim.networks.analytic import AnalyticSource
from cosim.networks.ns3_side import Ns3Place, Ns3Side
from cosim.networks.source import Source
from cosim.record.journal import FILE_NAME, Journal
from cosim.screen.display import Display, Silence
from cosim.seeds import seed_of
from cosim.service import arrivals_meta, hold_trace
from cosim.settings import parsed
from cosim.variant import run_variants, serving_of, variant_count
from model_side.serving import Serving

_VERSIONED: tuple[str, ...] = ("wdmoe-cosim", "numpy", "pyzmq", "msgspec")
_VERSIONED_MODEL = ("torch", "transformers", "tokenizers")
_HERE = Ns3Place()
_SILENCE = Silence()


def run(
    config: Config | Mapping[str, Any] | Path | str,
    *,
    policies: Sequence[str] | None = None,
    networks: Sequence[str] | None = None,
    out: Path | str | None = None,
    at: Ns3Place = _HERE,
    display: Display = _SILENCE,
    serve: Callable[[Config], Serving] | None = None,
) -> Path:
    """Run every policy of `config` on each of its networks and journal it; the run's folder.

    `config`: a `Config`, the same as plain values (what TOML would give), or the path of a TOML file; `policies` and
    `networks` go over what it says. `out`: the run's folder, which is made; without it a dated one under runs/. `at`:
    where ns-3 is, by default in a process that is started here. Nothing is printed but to `display`. `serve`: what
    answers, if not what the configuration's workload says; such a run is not resumed or done again from its folder.

    An ns-3 side that is lost is started anew and brought to where it was. Raises `RequestError` for bad input,
    `PartnerLost` if the ns-3 side goes again and again, `JournalUnwritable`. What was recorded by then stays
    readable, and `resume` goes on with it; a new folder in which nothing was recorded is removed.
    """
    asked = load(config, policies=policies, networks=networks)
    folder = dated_folder(Path("runs")) if out is None else Path(out)
    if at.connect is None:
        check_scenario(asked)
    check(asked)
    journaled(asked, folder, at=at, display=display, serve=serve)
    return folder


def journaled(
    config: Config,
    folder: Path,
    *,
    at: Ns3Place = _HERE,
    display: Display = _SILENCE,
    serve: Callable[[Config], Serving] | None = None,
) -> None:
    """Run a configuration that was checked, as `run`, and journal it in `folder`."""
    with _new_journal(folder, config, {**calibration_of(config), **arrivals_meta(config)}) as journal:
        _live(config, journal, at, display, serve)


def resume(folder: Path | str, *, at: Ns3Place = _HERE, display: Display = _SILENCE) -> None:
    """Go on with a run that did not come to its end; the journal becomes what it would have been.

    The model runs again on the recorded outcomes until it has caught up, and ns-3 is brought to where it was.
    Raises as `run`, `RequestError` naming RUN for a journal that other versions wrote, and `Diverged` if anything
    comes out otherwise than recorded.
    """
    journal = Journal.reopen(Path(folder))
    try:
        if journal.is_finished():
            raise RequestError("RUN", f"{folder} came to its end; there is nothing to resume")
        config = convert(journal.config)
        if WHAT_IF in config.networks:
            raise RequestError("RUN", f"{folder} is a what-if, which takes seconds; ask again with cosim replay")
        written, here = json.loads(journal.meta("versions")), versions_of(config)
        differing = [
            f"{name} {written.get(name, 'unknown')} (here {here[name]})"
            for name in here
            if written.get(name) != here[name]
        ]
        if differing:
            raise RequestError("RUN", f"{folder} was made with {', '.join(differing)}; go on with the same versions")
        with working_in(journal.meta("folder")):
            hold_trace(config, journal)
            check(config)
            _live(config, journal, at, display)
    finally:
        journal.close()


class State(Enum):
    """How far a run is."""

    NEW = "new"
    BEGUN = "begun"
    FINISHED = "finished"


def state(folder: Path, config: Config) -> State:
    """How far the run of `config` in `folder` is. Raises `RequestError` if that holds a run of another one."""
    if not (folder / FILE_NAME).exists():
        return State.NEW
    with closing(Journal.open(folder)) as journal:
        if convert(journal.config) != config:
            raise RequestError("--out", f"{folder} holds a run of another configuration; choose another folder")
        return State.FINISHED if journal.is_finished() else State.BEGUN


def replay(folder: Path | str, *, display: Display = _SILENCE) -> None:
    """Do a run again on its recorded outcomes, and hold the journal against all that comes of it, row by row.

    What cannot be done again, the outcomes themselves, is held against the seal that the run left at its end. Raises
    `Diverged` with the first difference; with other versions of the software there may be one.
    """
    with closing(Journal.open(Path(folder))) as journal:
        parts = journal.changed_since_its_end()
        if described := [part for part in parts if part.startswith("meta.")]:
            raise Diverged(f"{folder}: changed since the run came to its end: {', '.join(described)}")
        with working_in(journal.meta("folder")):
            config = convert(journal.config)
            hold_trace(config, journal)
            check(config)
            run_variants(config, journal, {}, display, partial(serving_of, config))
            journal.hold_variants(variant_count(config))
        if parts:
            raise Diverged(f"{folder}: changed since the run came to its end: {', '.join(parts)}")


def what_if(
    folder: Path | str,
    settings: Sequence[str] = (),
    *,
    policies: Sequence[str] | None = None,
    out: Path | str | None = None,
    display: Display = _SILENCE,
) -> Path:
    """Ask a recorded run what would have been, and journal that; the answer's folder, which is one of a run.

    `settings`: what is otherwise, each `KEY=VALUE` as after `--set`. `out`: the answer's folder, which is made; without
    it a dated one under runs/. The links are those of the record, by the link model that is fitted to it; radio and
    its seeds stay as they are. Raises `RequestError` for bad input, and naming RUN for a run that cannot answer; a new
    folder in which nothing was recorded is removed.
    """
    answer = (dated_folder(Path("runs")) if out is None else Path(out)).resolve()
    with closing(Journal.open(Path(folder))) as recorded:
        config = changed(recorded.config, [parsed(setting) for setting in settings], policies)
    can_be_made(answer, "--out")
    display.say("fitting the links to the record")
    record = fitted(Path(folder))
    with working_in(record.ran_in):
        check(config)
    answered(record, config, answer, display=display)
    return answer


def answered(
    record: Fitted,
    config: Config,
    folder: Path,
    *,
    display: Display = _SILENCE,
    serve: Callable[[Config], Serving] | None = None,
) -> None:
    """Journal in `folder`, an absolute path, what a record answers to a configuration that was checked.

    `serve`: what answers requests, if another does than for any run of that configuration. Raises as `what_if`.
    """
    from cosim.networks.what_if import WhatIfSource  # noqa: PLC0415  (numba takes a second to load)

    check_devices(config, len(record.info.devices))
    with working_in(record.ran_in):
        meta = {**record.meta, **calibration_of(config, record.calibration), **arrivals_meta(config)}
        with _new_journal(folder, config, meta) as journal:
            with journal.batched():
                source = WhatIfSource(record.links, record.info, seed_of(config, "losses"))
                run_variants(config, journal, {WHAT_IF: source}, display, partial(serve or serving_of, config))
            journal.finish()


def dated_folder(parent: Path) -> Path:
    """A new folder name under `parent` that begins with the date and time."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H%M%S")
    names = [stamp, *(f"{stamp}-{number}" for number in range(2, 100))]
    return next(parent / name for name in names if not (parent / name).exists())


@contextmanager
def _new_journal(folder: Path, config: Config, record: Mapping[str, str] | None = None) -> Iterator[Journal]:
    """A journal in `folder`, which is made; what was put there is removed if nothing came to be recorded."""
    failure: BaseException | None = None
    with made(folder, "--out"):
        there = list(folder.iterdir())
        try:
            with told(folder, "--out"):
                journal = Journal.create(folder, config, versions_of(config), record)
        except sqlite3.OperationalError as error:
            clear(folder, but=there)
            raise RequestError("--out", f"{folder} cannot be written: {error}; choose another folder") from None
        try:
            yield journal
        except BaseException as error:
            if journal.is_empty():
                journal.close()
                clear(folder, but=there)
                raise
            failure = error
        finally:
            journal.close()
    if failure is not None:
        raise failure


def _live(
    config: Config,
    journal: Journal,
    at: Ns3Place,
    display: Display,
    serve: Callable[[Config], Serving] | None = None,
) -> None:
    """Run with ns-3, what befalls the run in the journal. The model is loaded while ns-3 starts."""
    try:
        side = Ns3Side(config, at, journal.path.resolve().with_name("ns3.log"))
        try:
            serving = Ahead(partial(serve or serving_of, config))
            side.check_us = serving.check
            sources: dict[str, Source] = {"live": side, "analytic": AnalyticSource(side, config.arrivals.users)}
            run_variants(config, journal, sources, display, serving.result)
        finally:
            side.close()
        journal.finish()
    except JournalUnwritable:
        raise
    except KeyboardInterrupt:
        journal.add_event(None, "interrupted", "the user stopped the run")
        raise
    except Exception as error:
        journal.add_event(None, type(error).__name__, str(error))
        raise


def versions_of(config: Config) -> dict[str, str]:
    """The versions of the packages by which a run of `config` comes out as it does, ns-3's own not among them."""
    names = _VERSIONED if config.model.routing else _VERSIONED + _VERSIONED_MODEL
    names = (*names, "lm_eval") if config.workload.lm_eval else names
    try:
        return {name: _installed(name) for name in names}
    except importlib.metadata.PackageNotFoundError as error:
        reason = f"a model needs the package {error.name}, which is not installed; recorded routing does not"
        raise RequestError("model.path", f"{reason} (docs/runs/routing.md)") from None


_installed = cache(importlib.metadata.version)
