# SPDX-License-Identifier: Apache-2.0
"""What a run shows while it goes: a live display on a terminal, plain lines elsewhere."""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from bridge.network import NS_PER_S, LinkState, NetworkInfo, PartnerLost, RequestError
from cosim.errors import Diverged, JournalUnwritable
from cosim.record.journal_file import FILE_NAME
from cosim.screen.pace import Pace
from model_side.exchange import LayerExchange

_PLAIN_LINE_S = 2.0
_LIVE_S = 0.2
_LIVE_DEVICES = 16
_NARROW = 80
_REDRAWN = 4
"""Times a second."""


class Display(Protocol):
    """Told what a run does; decides what to show of it."""

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def begin(self, title: str, info: NetworkInfo, exchanges: int, layers: int, tokens: int = 0) -> None:
        """A variant begins: what to call it, how many exchanges it will have, over how many MoE layers a token.

        `tokens`: where many requests share a pass, how many their users ask for; the time left goes by these then,
        since nobody knows how many exchanges it will be.
        """

    def exchanged(self, record: LayerExchange) -> None:
        """One more exchange is done."""

    def given(self, tokens: int) -> None:
        """So many more of the tokens that users ask for are there, or will not come, since who asked has left."""

    def end(self) -> None:
        """The variant, or the run, is over. Ending twice does nothing."""

    def follow(self) -> None:
        """Another variant follows the one that has ended."""


def make_display(console: Console) -> Display:
    """The display that fits where `console` writes."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


@contextmanager
def telling(folder: Path, console: Console) -> Iterator[Display]:
    """A display for what runs inside, and where its record is if it does not come to its end."""
    display = make_display(console)
    begun_before = (folder / FILE_NAME).exists()
    try:
        yield display
    except (PartnerLost, RequestError, Diverged, JournalUnwritable, KeyboardInterrupt) as error:
        display.end()
        refused = isinstance(error, RequestError) and begun_before
        if (folder / FILE_NAME).exists() and not refused:
            console.print(f"what was recorded until then: cosim show {folder}", highlight=False, soft_wrap=True)
            if not isinstance(error, Diverged):
                console.print(f"to go on with it: cosim resume {folder}", highlight=False, soft_wrap=True)
        raise
    finally:
        display.end()


class Silence:
    """Shows nothing."""

    def say(self, line: str) -> None:
        """Say nothing."""

    def begin(self, title: str, info: NetworkInfo, exchanges: int, layers: int, tokens: int = 0) -> None:
        """Show nothing."""

    def exchanged(self, record: LayerExchange) -> None:
        """Show nothing."""

    def given(self, tokens: int) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Nothing needs an end."""

    def follow(self) -> None:
        """Show nothing."""


class PlainDisplay:
    """A line every few seconds."""

    def __init__(self, console: Console):
        self._console = console
        self._title = ""
        self._total = self._done = 0
        self._unit = ""
        self._shown_s = 0.0
        self._pace = Pace()

    def say(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)

    def begin(self, title: str, info: NetworkInfo, exchanges: int, layers: int, tokens: int = 0) -> None:
        self._title, self._total, self._done = title, tokens or exchanges, 0
        self._unit = " tokens" if tokens else ""
        self._shown_s, self._pace = 0.0, Pace()
        count = f"{self._total} " if self._total else ""  # 0 where it is not known
        what = self._unit.strip() or "exchanges"
        self.say(f"{title}: {count}{what} with {len(info.devices)} devices on {info.scenario}")

    def exchanged(self, record: LayerExchange) -> None:
        now_s = self._pace.step(_kind(record))
        if not self._unit:
            self.given(1)
        if now_s - self._shown_s >= _PLAIN_LINE_S or self._done == self._total:
            self._shown_s = now_s
            left = _left(self._pace.left_s(self._total - self._done))
            left = f", {left}" if left else ""
            done = f"{self._done}/{self._total}{self._unit}{left}" if self._total else str(self._done)
            self.say(f"{self._title}: {done}, {_where(record)}, {_links(record.outcome.links)}")

    def given(self, tokens: int) -> None:
        self._done += tokens
        self._pace.done(tokens)

    def end(self) -> None:
        """Lines need no end."""

    def follow(self) -> None:
        """Its first line will say so."""


class LiveDisplay:
    """A progress bar, where the run is, and the quality of every device's link; redrawn a few times a second.

    What turns does so while nothing else happens, so that one sees it live while ns-3 is at a long exchange, or starts.
    """

    def __init__(self, console: Console):
        self._console = console
        self._live: Live | None = None
        self._is_narrow = console.width < _NARROW
        bar = [] if self._is_narrow else [BarColumn(), TimeElapsedColumn()]
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            *bar,
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        self._task = self._progress.add_task("", visible=False, left="")
        self._pace = Pace()
        self._info: NetworkInfo | None = None
        self._drawn_s = 0.0
        self._by_tokens = False

    def say(self, line: str) -> None:
        self._console.print(line, highlight=False)
        self._wait()

    def begin(self, title: str, info: NetworkInfo, exchanges: int, layers: int, tokens: int = 0) -> None:
        self._info = info
        self._by_tokens = bool(tokens)
        title = f"{title}, tokens" if tokens else title
        self._progress.reset(self._task, total=tokens or exchanges or None, description=title, visible=True, left="")
        self._pace = Pace()
        self._waited()
        self._show(self._progress)

    def exchanged(self, record: LayerExchange) -> None:
        now_s = self._pace.step(_kind(record))
        if not self._by_tokens:
            self.given(1)
        if self._live is not None and now_s - self._drawn_s >= _LIVE_S:
            self._drawn_s = now_s
            self._tell_left()
            self._live.update(Group(self._progress, Text(_where(record)), self._link_table(record)), refresh=True)

    def given(self, tokens: int) -> None:
        self._progress.advance(self._task, tokens)
        self._pace.done(tokens)

    def end(self) -> None:
        if self._live is not None and not self._live.transient:
            self._progress.update(self._task, left="")
            self._live.update(self._progress)
        self._waited()

    def follow(self) -> None:
        self._wait()

    def _tell_left(self) -> None:
        remaining = self._progress.tasks[self._task].remaining
        self._progress.update(self._task, left="" if remaining is None else _left(self._pace.left_s(int(remaining))))

    def _wait(self) -> None:
        """Show a sign of life until something else is shown."""
        if self._live is None:
            waiting = Progress(SpinnerColumn(), TimeElapsedColumn(), console=self._console, refresh_per_second=_REDRAWN)
            waiting.add_task("", total=None)
            self._show(waiting, transient=True)

    def _show(self, what: Progress, *, transient: bool = False) -> None:
        self._live = Live(what, console=self._console, refresh_per_second=_REDRAWN, transient=transient)
        self._live.start()

    def _waited(self) -> None:
        """Leave what is shown live as it is, or take it away if that was only a sign of life."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _columns(self) -> Sequence[int]:
        """Those of the table of links that there is room for."""
        return (0, 1, 6) if self._is_narrow else range(7)

    def _link_table(self, record: LayerExchange) -> Table:
        assert self._info is not None
        headings = ("device", "SINR down", "SINR up", "CQI", "rate down", "rate up", "status")
        table = Table(*(headings[at] for at in self._columns()), box=None, pad_edge=False)
        statuses = {transfer.device: transfer.status.value for transfer in record.outcome.transfers}
        for link in record.outcome.links[:_LIVE_DEVICES]:
            row = (
                self._info.devices[link.device],
                _unit(link.downlink_sinr_db, "dB"),
                _unit(link.uplink_sinr_db, "dB"),
                "-" if link.cqi is None else str(link.cqi),
                _unit(link.downlink_rate_bps, "Mb/s", 1e-6),
                _unit(link.uplink_rate_bps, "Mb/s", 1e-6),
                statuses.get(link.device, "idle") if link.connected else "no link",
            )
            table.add_row(*(row[at] for at in self._columns()))
        if len(record.outcome.links) > _LIVE_DEVICES:
            table.add_row(f"and {len(record.outcome.links) - _LIVE_DEVICES} more")
        return table


def _where(record: LayerExchange) -> str:
    latency_ms = (record.outcome.now_ns - record.depart_ns + record.bs_compute_ns) / 1e6
    whose = f"request {record.request + 1}, {record.phase.value} at token {record.position}"
    if len(record.parts) > 1:
        whose = f"{record.phase.value} of {len(record.parts)} requests"
    return f"virtual time {record.outcome.now_ns / NS_PER_S:.3f} s, {whose}, layer {record.layer}, {latency_ms:.1f} ms"


def _kind(record: LayerExchange) -> Hashable:
    """Of exchanges that take about as long, on our clock."""
    return record.phase, record.layer


def _left(seconds: float | None) -> str:
    """How long it may yet take, where that is known and worth a word."""
    if seconds is None or seconds < _PLAIN_LINE_S:
        return ""
    return f"{seconds:.0f} s left" if seconds < 120 else f"{seconds / 60:.0f} min left"


def _links(links: tuple[LinkState, ...]) -> str:
    connected = [link for link in links if link.connected]
    sinr_db = [link.downlink_sinr_db for link in connected if link.downlink_sinr_db is not None]
    quality = f", SINR {min(sinr_db):.0f} to {max(sinr_db):.0f} dB" if sinr_db else ""
    return f"{len(connected)} of {len(links)} links up{quality}"


def _unit(value: float | None, unit: str, factor: float = 1.0) -> str:
    return "-" if value is None else f"{value * factor:.1f} {unit}"
