# SPDX-License-Identifier: Apache-2.0
"""Runs as pandas DataFrames: one run or a folder of them, table by table or as one frame, with a look in a notebook.

Needs pandas and pyarrow: `pip install wdmoe-cosim[tables]`.
"""

import base64
import io
import json
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bridge.network import NS_PER_S, RequestError
from cosim.record.journal import Journal
from cosim.record.journal_file import FILE_NAME
from cosim.reporting import cases
from cosim.reporting.figures import FIGURES
from cosim.reporting.figures.drawn import Lacking
from cosim.reporting.style import paper
from cosim.results import tables
from cosim.results.places import Tracks, tracks_of
from cosim.results.summary import VariantSummary, summarise

SHOWN = ("latency-cdf", "time-split")
"""The figures that a notebook shows."""
_PLACE = ("x_m", "y_m", "z_m", "distance_m")
_LINK = ("connected", "downlink_sinr_db", "uplink_sinr_db", "cqi", "downlink_rate_bps", "uplink_rate_bps", "cell")


class Runs(dict[str, pd.DataFrame]):
    """The journal's tables by name (docs/runs/journal.md), NULL as NA; of several runs with `run` as first column.

    `folders`: where the runs lie. In `routing` blobs are NumPy arrays; in `devices`, `experts` are lists, and `x_m`,
    `y_m`, `z_m` say where a device began, if it has a place (of a run without tracks, as the scenario's parameters say
    it, by `distance_m` where these have no more).
    """

    def __init__(self, folders: Sequence[Path]):
        loaded = [_tables(folder) for folder in folders]
        several = len(folders) > 1
        for name in loaded[0]:
            frames = [each[name] for each in loaded]
            if several:
                for folder, frame in zip(folders, frames, strict=True):
                    frame.insert(0, "run", str(folder))
                some = [frame for frame in frames if len(frame)] or frames[:1]
                frames = [pd.concat(some, ignore_index=True)]
            self[name] = frames[0]
        self.folders = tuple(folders)
        self._several = several

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row for each transfer, with all that belongs to it; times in virtual seconds, other units in the names.

        `run`, `seed`, `policy`, `network`, `scenario`: of its run and variant. `request`, `position`, `phase`, `layer`:
        of its exchange, as `layer_tokens`, `depart_s`, `end_s`, and `layer_s`, the layer's latency with the BS's
        computing before it. `device`, `name`, `hardware`, `experts` (those it holds in this layer, a list of numbers),
        of its device. `x_m`, `y_m`, `z_m`: where that was when the exchange ended. `tokens`, `downlink_bytes`,
        `uplink_bytes`, `status`, `downlink_s`, `compute_s`, `uplink_s`, and what was drawn in J: of the transfer.
        `connected` to `cell`: its link at the end.
        """
        variants, exchanges, transfers, devices, links = (
            self._keyed(name) for name in ("variants", "exchanges", "transfers", "devices", "links")
        )
        seeds = pd.DataFrame(
            {"run": list(map(str, self.folders)), "seed": [_seed(self, each) for each in self.folders]}
        )
        about = variants.merge(seeds, on="run")[["run", "variant", "seed", "policy", "network", "scenario"]]
        exchanges = exchanges.rename(columns={"tokens": "layer_tokens"})
        frame = (
            transfers.merge(about, on=["run", "variant"])
            .merge(exchanges.drop(columns="shares"), on=["run", "variant", "exchange"])
            .merge(devices[_there(devices, ("run", "variant", "device", "name", "hardware", "experts", *_PLACE))])
            .merge(links[["run", "variant", "exchange", "device", *_LINK]], how="left")
            .sort_values(["run", "variant", "exchange", "device"], ignore_index=True)
        )
        frame["experts"] = [
            held[layer] if held and isinstance(held[0], list) else held
            for held, layer in zip(frame["experts"], frame["layer"], strict=True)
        ]
        begun = frame["depart_ns"]
        for name, begin, end in (
            ("downlink_s", begun, frame["downlink_end_ns"]),
            ("compute_s", frame["downlink_end_ns"], frame["compute_end_ns"]),
            ("uplink_s", frame["compute_end_ns"], frame["uplink_end_ns"]),
            ("layer_s", begun - frame["bs_compute_ns"], frame["end_ns"]),
        ):
            frame[name] = (end - begin) / NS_PER_S
        for name in ("depart", "end"):
            frame[f"{name}_s"] = frame[f"{name}_ns"] / NS_PER_S
        self._place(frame)
        joules = [name for name in frame if name.endswith("_j")]
        order = [*about, "exchange", "request", "position", "phase", "layer", "layer_tokens", "depart_s", "end_s"]
        order += ["layer_s", "device", "name", "hardware", "experts", *_PLACE, "tokens", "downlink_bytes"]
        order += ["uplink_bytes", "status", "downlink_s", "compute_s", "uplink_s", *joules, *_LINK]
        return frame[_there(frame, order)]

    def positions(self, every_s: float = 1.0) -> pd.DataFrame:
        """Where everybody was, each so many virtual seconds from when the network was ready to the last exchange's end.

        A row for each time and user of each variant: `run`, `variant`, `user` (devices, then others), `name`,
        `is_device`, `time_s`, `x_m`, `y_m`, `z_m`. Nobody is left out but who has no place. Raises `RequestError`.
        """
        if not every_s > 0:
            raise RequestError("every_s", f"{every_s!r} is not above 0")
        ends_ns = self._keyed("exchanges").groupby(["run", "variant"])["end_ns"].max()
        found = [pd.DataFrame(columns=["run", "variant", "user", "name", "is_device", "time_s", *_PLACE[:3]])]
        for (run, variant), tracks in self._tracks.items():
            begin_ns = int(tracks.rows["time_ns"][0])
            span_ns = int(ends_ns[run, variant]) - begin_ns
            time_ns = begin_ns + (np.arange(span_ns / NS_PER_S // every_s + 1) * every_s * NS_PER_S).round().astype(
                "i8"
            )
            for user, name in enumerate(tracks.users):
                about = {"run": run, "variant": variant, "user": user, "name": name}
                about |= {"is_device": user < len(tracks.devices), "time_s": time_ns / NS_PER_S}
                found.append(pd.DataFrame(about | dict(zip(_PLACE, tracks.at(user, time_ns).T, strict=False))))
        return pd.concat(found[len(found) > 1 :], ignore_index=True).dropna(subset="x_m", ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """A row for each variant of each run: medians in ms of virtual time, the experts' fate in %, energy in mJ.

        `decision_ms` alone is wall-clock time, of the machine that ran it: the median of the policy's decisions.
        """
        rows = [
            {"run": folder.name, "seed": _seed(self, folder), **_line(variant)}
            for folder in self.folders
            for variant in summarise(folder)
        ]
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        """What a notebook shows: the summary, and two figures of the report."""
        table = self.summary().to_html(index=False, float_format="{:.1f}".format, na_rep="", border=0)
        more = "Tables: " + ", ".join(f"<code>{name}</code>" for name in self) + "; all in one: <code>.frame</code>."
        return f"{table}<p>{more}</p>{''.join(_images(self.folders))}"

    @cached_property
    def _tracks(self) -> dict[tuple[str, int], Tracks]:
        """The tracks of each run's variants that have some."""
        found: dict[tuple[str, int], Tracks] = {}
        for folder in self.folders:
            with closing(Journal.open(folder)) as journal:
                for (variant,) in journal.rows("SELECT variant FROM variants ORDER BY variant"):
                    if (tracks := tracks_of(journal, variant)) is not None:
                        found[str(folder), variant] = tracks
        return found

    def _place(self, frame: pd.DataFrame) -> None:
        """Put devices where they were when the exchange ended, as far as there are tracks."""
        for (run, variant, device), rows in frame.groupby(["run", "variant", "device"]).indices.items():
            if (tracks := self._tracks.get((run, variant))) is not None:
                places_m = tracks.at(device, frame["end_ns"].iloc[rows].to_numpy("i8"))
                frame.loc[frame.index[rows], list(_PLACE[:3])] = places_m

    def _keyed(self, name: str) -> pd.DataFrame:
        frame = self[name]
        return frame if self._several else frame.assign(run=str(self.folders[0]))


def load(path: Path | str) -> Runs:
    """The run in a folder, or all runs in it at any depth: tables as pandas DataFrames, and all of them as one `frame`.

    `path`: a run's folder, its journal, or a folder that holds runs. Raises `RequestError` naming RUN for what is no
    journal, a damaged or older one, and where there is none.
    """
    place = Path(path)
    if place.is_file() or (place / FILE_NAME).exists() or not place.is_dir():
        return Runs([place])
    folders = [journal.parent for journal in sorted(place.rglob(FILE_NAME))]
    if not folders:
        raise RequestError("RUN", f"{place} is no run and holds none")
    return Runs(folders)


def _tables(folder: Path) -> dict[str, pd.DataFrame]:
    loaded = tables.load(folder)
    devices = loaded["devices"]
    devices["experts"] = pd.Series([json.loads(held) for held in devices["experts"]], dtype=object)
    parameters = dict(
        zip(loaded["variants"]["variant"], map(json.loads, loaded["variants"]["parameters"]), strict=True)
    )
    began = loaded["tracks"].drop_duplicates(["variant", "user"]).set_index(["variant", "user"])[list(_PLACE[:3])]
    tracked = set(began.index.get_level_values("variant"))
    places = [
        (began.loc[key].to_dict() if key in began.index else {})
        if key[0] in tracked
        else _given(parameters[key[0]], key[1])
        for key in zip(devices["variant"], devices["device"], strict=True)
    ]
    for name in _PLACE:
        if any(name in place for place in places):
            devices[name] = pd.array([place.get(name, pd.NA) for place in places], dtype="Float64")
    return loaded


def _given(parameters: dict[str, Any], device: int) -> dict[str, float]:
    """Where a device of a run without tracks began, as far as a scenario's parameters tell."""
    found: dict[str, float] = {}
    for name, axes in (("positions_m", _PLACE[:3]), ("distances_m", _PLACE[3:])):
        given = parameters.get(name)
        if isinstance(given, list) and len(given) > device:
            found |= dict(zip(axes, np.atleast_1d(given[device]).tolist(), strict=False))
    return found


def _seed(runs: Runs, folder: Path) -> int:
    meta = runs["meta"]
    rows = meta[meta["run"] == str(folder)] if "run" in meta else meta
    return int(json.loads(rows.set_index("key").loc["config", "value"])["seed"])


def _line(variant: VariantSummary) -> dict[str, Any]:
    def median_ms(series: Any) -> float | None:
        return float(np.median(series)) * 1e3 if len(series) else None

    tokens, own = len(variant.token_s), variant.slots.own
    joules = variant.energy.total_j
    return {
        "policy": variant.policy,
        "network": variant.network,
        "tokens": tokens,
        "ttft_ms": median_ms(variant.ttft_s),
        "tpot_ms": median_ms(variant.tpot_s),
        "left_out_%": 100 * variant.slots.left_out / own if own else None,
        "late_%": 100 * variant.slots.late / own if own else None,
        "token_mj": None if joules is None or not tokens else 1e3 * joules / tokens,
        "decision_ms": None if variant.decisions is None else 1e3 * variant.decisions.p50_s,
    }


def _images(folders: Sequence[Path]) -> list[str]:
    try:
        data = cases.load(folders, fingerprints=False)
    except RequestError:  # nothing was recorded yet
        return []
    found = []
    for name in SHOWN:
        with paper():
            try:
                drawn = FIGURES[name].draw(data)
            except Lacking:
                continue
            out = io.BytesIO()
            drawn.figure.savefig(out, format="png", dpi=200, facecolor="white")
        said = drawn.text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        image = base64.b64encode(out.getvalue()).decode()
        found.append(f'<img width="480" alt="{said}" title="{said}" src="data:image/png;base64,{image}">')
    return found


def _there(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    return [name for name in names if name in frame]
