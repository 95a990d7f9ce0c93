# SPDX-License-Identifier: Apache-2.0
"""`cosim import KIND FILE... OUT`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.csv_rows import FileRefused
from bridge.names import meant
from bridge.network import RequestError

if TYPE_CHECKING:
    from .datasets import Columns
    from .links import Link
    from .loads import Capture
    from .tracks import Track

app = typer.Typer(
    help="Turn what people have into what the scenarios read (docs/world/import.md).", no_args_is_help=True
)

Paths = Annotated[
    list[Path], typer.Argument(metavar="FILE... OUT", help="What to read, and a new folder for what comes of it.")
]
Preview = Annotated[bool, typer.Option("--preview", help="Only show what would come of it; no OUT.")]
DataSet = Annotated[str | None, typer.Option(help="irish-5g, lumos5g, 5gophers or mtu; other options go before it.")]
Time = Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of time stamps.")]
TimeFormat = Annotated[
    str | None, typer.Option(metavar="FORMAT", help="s, ms, us, ns, iso, or as strptime; else found out.")
]
Only = Annotated[list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Only rows with it; repeatable.")]
Unit = Annotated[str | None, typer.Option(help="bit/s, kbit/s, Mbit/s, Gbit/s, byte/s, kbyte/s, Mbyte/s, or bytes.")]
AtEnd = Annotated[bool, typer.Option("--at-end", help="A row is about the time up to its stamp, not from it on.")]
Hold = Annotated[
    float | None,
    typer.Option(metavar="S", min=0.001, help="How long a row holds at most; else 5 times the median step."),
]
Origin = Annotated[str | None, typer.Option(metavar="LAT,LON", help="Where the BS stands; else in the middle.")]
Own = Annotated[bool, typer.Option("--own-beginnings", help="Each track counts from its own beginning.")]
User = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Whose packets; else who has a part in most.")]


@app.command("csv")
def csv_table(
    paths: Paths,
    dataset: DataSet = None,
    time: Time = None,
    time_format: TimeFormat = None,
    down: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of the downlink's rate.")] = None,
    up: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of the uplink's rate.")] = None,
    unit: Unit = None,
    at_end: AtEnd = False,
    only: Only = None,
    hold_s: Hold = None,
    preview: Preview = False,
) -> None:
    """Measured rates, CSV by the names of its columns: recorded links."""
    from . import measurements

    columns = _columns(dataset, time, time_format, only, unit=unit, at_end=at_end or None)
    if down or up:
        columns = replace(columns, down=down, up=up)
    _need(columns.down or columns.up, "--down", "say which column is the rate of the downlink, or --up of the uplink")
    _need(columns.unit, "--unit", "say in which unit the rates are; a name does not tell bits from bytes")
    _links(paths, preview, lambda file: measurements.read(file, columns, hold_s))


@app.command()
def text(
    paths: Paths,
    unit: Unit = "Mbit/s",
    up: Annotated[bool, typer.Option("--up", help="It is the uplink.")] = False,
    at_end: AtEnd = False,
    hold_s: Hold = None,
    preview: Preview = False,
) -> None:
    """Lines of `seconds Mbit/s`: recorded links."""
    from . import text as lines

    columns = _columns(None, "seconds", None, None, unit=unit, at_end=at_end, up="rate" if up else None)
    _links(paths, preview, lambda file: lines.read(file, columns, hold_s))


@app.command()
def iperf3(paths: Paths, preview: Preview = False) -> None:
    """Reports of iperf3 --json, the device being the client: recorded links."""
    from . import iperf3 as reports

    _links(paths, preview, reports.read)


@app.command()
def mahimahi(paths: Paths, preview: Preview = False) -> None:
    """Pairs of Mahimahi traces, STEM.up and STEM.down: recorded links."""
    from .mahimahi import pairs, tell, write_pairs

    files, out = _split(paths, preview)
    with _refusals():
        found = pairs(files)
        _tell(tell(found), out and write_pairs(found, out))


@app.command()
def sumo(
    paths: Paths,
    vehicle: Annotated[list[str] | None, typer.Option(metavar="ID", help="One of the devices; repeatable.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="So many, those that are there longest.")] = None,
    geo: Annotated[bool, typer.Option("--geo", help="x and y are degrees, as of --fcd-output.geo.")] = False,
    origin: Annotated[
        str | None, typer.Option(metavar="X,Y", help="Where the BS stands, with --geo LAT,LON; else in the middle.")
    ] = None,
    preview: Preview = False,
) -> None:
    """SUMO's floating car data, XML: movement, and the coming and going of vehicles as life."""
    from . import sumo as fcd

    def read(file: Path) -> "list[Track]":
        return fcd.read(file, vehicle or [], count)

    files, _ = _split(paths, preview)
    if len(files) > 1:
        raise RequestError("FILE", "one output of SUMO at a time")
    _tracks(paths, preview, read, origin, geo)


@app.command()
def gpx(paths: Paths, origin: Origin = None, own_beginnings: Own = False, preview: Preview = False) -> None:
    """Tracks of GPX: movement."""
    with _library():
        from . import gpx as file_format

    _tracks(paths, preview, file_format.read, origin, True, own_beginnings)


@app.command()
def positions(
    paths: Paths,
    dataset: DataSet = None,
    time: Time = None,
    time_format: TimeFormat = None,
    latitude: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of latitudes, degrees.")] = None,
    longitude: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of longitudes.")] = None,
    device: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column that says who it is.")] = None,
    only: Only = None,
    origin: Origin = None,
    own_beginnings: Own = False,
    preview: Preview = False,
) -> None:
    """Latitudes and longitudes, CSV by the names of its columns: movement."""
    from . import positions as table

    columns = _columns(dataset, time, time_format, only, latitude=latitude, longitude=longitude)
    _need(columns.latitude, "--latitude", "say which column has the latitudes")
    _need(columns.longitude, "--longitude", "say which column has the longitudes")
    _tracks(paths, preview, lambda file: table.read(file, columns, device), origin, True, own_beginnings)


@app.command()
def pcap(paths: Paths, user: User = None, preview: Preview = False) -> None:
    """Captures, pcap and pcapng: background load of another user."""
    with _library():
        from . import pcap as captures

    _loads(paths, preview, lambda file: captures.read(file, user))


@app.command()
def wireshark(paths: Paths, user: User = None, preview: Preview = False) -> None:
    """Wireshark's packet list as CSV: background load of another user."""
    from . import wireshark as packets

    _loads(paths, preview, lambda file: packets.read(file, user))


def _links(paths: Sequence[Path], preview: bool, read: "Callable[[Path], Link]") -> None:
    from .links import tell, write_links

    files, out = _split(paths, preview)
    with _refusals():
        links = [read(file) for file in files]
        _tell(tell(links), out and write_links(links, out))


def _tracks(
    paths: Sequence[Path],
    preview: bool,
    read: "Callable[[Path], list[Track]]",
    origin: str | None,
    degrees: bool,
    own_beginnings: bool = False,
) -> None:
    from . import projection, tracks

    files, out = _split(paths, preview)
    with _refusals(), _library():
        found = [track for file in files for track in read(file)]
        tracks.refuse_too_many(found)
        projection.together(found, own_beginnings)
        around = projection.pair(origin, degrees)
        if degrees:
            found, (latitude, longitude) = projection.projected(found, around)
            print(f"x = y = 0 is {latitude:.6f}, {longitude:.6f}")
            around = (0.0, 0.0)
        origin_m = around or tracks.middle_m(found)
        _tell(tracks.tell(found, origin_m), out and tracks.write_tracks(found, origin_m, out))


def _loads(paths: Sequence[Path], preview: bool, read: "Callable[[Path], Capture]") -> None:
    from .loads import tell, write_loads

    files, out = _split(paths, preview)
    with _refusals():
        captures = [read(file) for file in files]
        _tell(tell(captures), out and write_loads(captures, out))


def _columns(
    dataset: str | None, time: str | None, time_format: str | None, only: list[str] | None, **told: object
) -> "Columns":
    """The columns of a data set that is known by name, and over them those that were told."""
    from .datasets import BITS, DATASETS, Columns

    if dataset is not None and dataset not in DATASETS:
        raise RequestError("--dataset", f"{dataset} is none of {', '.join(DATASETS)}{meant(dataset, DATASETS)}")
    chosen = dict(word.partition("=")[::2] for word in only or [])
    if any("=" not in word for word in only or []):
        raise RequestError("--only", "takes COLUMN=VALUE")
    if told.get("unit") and told["unit"] not in BITS:
        raise RequestError("--unit", f"{told['unit']} is none of {', '.join(BITS)}")
    known = DATASETS[dataset] if dataset is not None else Columns()
    if time is not None and time != known.time:
        known = replace(known, time=time, time_format=None)
    given = {"time_format": time_format, "only": chosen, **told}
    columns = replace(known, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    _need(columns.time, "--time", "say which column has the time stamps")
    return columns


def _need(value: object, field: str, reason: str) -> None:
    if not value:
        raise RequestError(field, reason)


def _split(paths: Sequence[Path], preview: bool) -> tuple[list[Path], Path | None]:
    """What to read, and the folder to write, None for a preview. Raises `RequestError`."""
    files, out = (list(paths), None) if preview else (list(paths[:-1]), paths[-1])
    if not files:
        raise RequestError("OUT", "say to which new folder it goes, after the files; --preview needs none")
    stems = [file.name for file in files]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice is not None:
        raise RequestError("FILE", f"two of the name {twice}; the devices are called by it")
    return files, out


def _tell(lines: Sequence[str], configuration: Path | None) -> None:
    print("\n".join(lines))
    if configuration is not None:
        print(f"to play it: cosim run {configuration}")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except FileRefused as error:
        raise RequestError("FILE", str(error)) from None


@contextmanager
def _library() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise RequestError("import", f"needs {error.name}; pip install 'wdmoe-cosim[import]'") from None
