# SPDX-License-Identifier: Apache-2.0
"""SUMO's floating car data, what `--fcd-output` writes: who was where at each step, read twice and never held whole."""

import gzip
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from xml.sax import SAXParseException, make_parser
from xml.sax.handler import ContentHandler, feature_external_ges
from xml.sax.xmlreader import AttributesImpl

from bridge.csv_rows import FileRefused, figure
from bridge.network import RequestError

from .tracks import Track

WHO = ("vehicle", "person", "container")
FARTHEST_M = 1e8


def read(file: Path, chosen: Sequence[str], most: int | None) -> list[Track]:
    """The tracks of the chosen ones, or of the `most` that were there longest, or of all; in order of appearance.

    Who is not there at a step is gone, from one step after the last one at which it was. Raises `FileRefused`, and
    `RequestError` for one who is not in the file.
    """
    seen = _Counting(file)
    _parse(file, seen)
    if not seen.steps:
        raise FileRefused(f"{file}: no <timestep> in it; is it the output of --fcd-output?")
    if not seen.steps_of:
        raise FileRefused(f"{file}: nobody in it: no <vehicle>, <person> or <container>")
    lacking = next((name for name in chosen if name not in seen.steps_of), None)
    if lacking is not None:
        known = ", ".join([*seen.steps_of][:5])
        raise RequestError("--vehicle", f"{lacking} is not in {file}; there are {len(seen.steps_of)}: {known}, ...")
    names = list(chosen) or [*seen.steps_of]
    if most is not None:
        longest = {name for name, _ in Counter({name: seen.steps_of[name] for name in names}).most_common(most)}
        names = [name for name in names if name in longest]
    gathering = _Gathering(file, names)
    _parse(file, gathering)
    return [gathering.track(name) for name in names]


class _Steps(ContentHandler):
    """What both readings have: the time of each step, which rises."""

    def __init__(self, file: Path):
        super().__init__()
        self.file = file
        self.steps = 0
        self.now_s = self.before_s = self.step_s = 0.0

    @property
    def place(self) -> str:
        return f"{self.file}:{self._locator.getLineNumber()}"  # type: ignore[attr-defined]

    def startElement(self, name: str, attrs: AttributesImpl) -> None:
        if name == "timestep":
            time_s = self._figure("time", attrs, 0, 1e9)
            if self.steps and time_s <= self.now_s:
                raise FileRefused(f"{self.place}: time {time_s:g} is not after that of the step before")
            if self.steps:
                self.step_s = time_s - self.now_s
            self.before_s, self.now_s, self.steps = self.now_s, time_s, self.steps + 1
        elif name in WHO:
            if not self.steps:
                raise FileRefused(f"{self.place}: <{name}> outside of a <timestep>")
            if "id" not in attrs.getNames():
                raise FileRefused(f"{self.place}: <{name}> has no id")
            self.there(attrs.getValue("id"), attrs)

    def there(self, name: str, attrs: AttributesImpl) -> None:
        raise NotImplementedError

    def _figure(self, name: str, attrs: AttributesImpl, least: float, most: float) -> float:
        if name not in attrs.getNames():
            raise FileRefused(f"{self.place}: no {name}")
        return figure(self.place, name, attrs.getValue(name), least, most)


class _Counting(_Steps):
    """At how many steps each is there."""

    def __init__(self, file: Path):
        super().__init__(file)
        self.steps_of: dict[str, int] = {}

    def there(self, name: str, attrs: AttributesImpl) -> None:
        self.steps_of[name] = self.steps_of.get(name, 0) + 1


class _Gathering(_Steps):
    """Where the chosen ones are, and when they are gone."""

    def __init__(self, file: Path, names: Sequence[str]):
        super().__init__(file)
        self.tracks = {name: Track(name, []) for name in names}
        self.first_s: float | None = None  # of any of them
        self.left_s: dict[str, float] = {}  # one step after each was last there

    def there(self, name: str, attrs: AttributesImpl) -> None:
        track = self.tracks.get(name)
        if track is None:
            return
        x_m, y_m = (self._figure(axis, attrs, -FARTHEST_M, FARTHEST_M) for axis in "xy")
        if track.points and track.points[-1][0] == self.now_s:
            raise FileRefused(f"{self.place}: {name} is there twice at {self.now_s:g} s")
        if track.points and track.points[-1][0] < self.before_s:
            track.gone_s.append((self.left_s[name], self.now_s))
        self.first_s = self.now_s if self.first_s is None else self.first_s
        if not track.points and self.now_s > self.first_s:
            track.gone_s.append((self.first_s, self.now_s))
        track.points.append((self.now_s, x_m, y_m))
        self.left_s[name] = self.now_s + (self.step_s or 1.0)

    def track(self, name: str) -> Track:
        """Once all is read: who is there at the last step has not gone."""
        track = self.tracks[name]
        if track.points[-1][0] < self.now_s:
            track.gone_s.append((self.left_s[name], None))
        return track


def _parse(file: Path, handler: _Steps) -> None:
    parser = make_parser()
    parser.setFeature(feature_external_ges, False)
    parser.setContentHandler(handler)
    try:
        with _opened(file) as content:
            parser.parse(content)
    except SAXParseException as error:
        raise FileRefused(f"{file}:{error.getLineNumber()}: not XML: {error.getMessage()}") from None
    except (OSError, EOFError) as error:
        raise FileRefused(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _opened(file: Path) -> IO[bytes]:
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")  # type: ignore[return-value]
