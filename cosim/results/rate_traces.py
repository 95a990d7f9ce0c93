# SPDX-License-Identifier: Apache-2.0
"""Traces out of a run's channel record, as CSV and for Mahimahi, and a configuration that plays them.

`docs/scenarios/recorded.md` describes both formats, and the `recorded` scenario plays them. Capacity and sharing are
the record's; delay, loss and the part of the capacity that is payload are fitted to the run's transfers
(`cosim/networks/link_model.py`).
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tomli_w

from bridge.network import CHANNEL_ROW, NS_PER_S, NetworkInfo, RequestError
from cosim.folders import filled
from cosim.networks.link_model import fit
from cosim.record.channel_row import DIRECTIONS
from cosim.record.journal import Journal

NS_PER_MS = 1_000_000
PACKET_BYTES = 1500
PAYLOAD_BYTES = PACKET_BYTES - 20 - 8
"""What IPv4 and UDP leave of a packet, and the `recorded` scenario carries as such."""
OPPORTUNITY_BITS = 8 * PACKET_BYTES
CONFIG = "recorded.toml"


class Step(NamedTuple):
    """From `begin_ns` on, counted from the beginning of the trace, so much could cross.

    It is shared with the links of the same `pool` that have something waiting then, and `others` beside them.
    """

    begin_ns: int
    rate_bps: float
    pool: int
    others: int


class Way(NamedTuple):
    """What a link's transfers say of one direction: `delay_s`; `efficiency`, the part of the capacity that crosses as
    IPv4 packets; and `loss`, how often one of them is lost.
    """

    delay_s: float | None = None
    efficiency: float = 1.0
    loss: float = 0.0


def export(run: Path, folder: Path, variant: int = 1) -> list[Path]:
    """Write `NAME.down.csv`, `NAME.down`, `NAME.up.csv`, `NAME.up` for each device of a variant, and `recorded.toml`.

    They begin when the network was ready and end with the last exchange. A direction in which nothing could ever cross
    has no files, since neither format can say so, and then there is no `recorded.toml`. Raises `RequestError` naming
    RUN where nothing is recorded, or FOLDER if it holds something already or cannot be
    written.
    """
    with closing(Journal.open(run)) as journal:
        info = journal.network_info(variant)
        if info is None:
            raise RequestError("RUN", f"{run} has no variant {variant}")
        if not info.devices:
            raise RequestError("--variant", f"{variant} is the dense baseline, which no link served; take another")
        ((end_ns,),) = journal.rows("SELECT max(end_ns) FROM exchanges WHERE variant = ?", variant)
        rows = journal.rows("SELECT rows FROM channel WHERE variant = ? ORDER BY exchange", variant)
        lines = steps(b"".join(row for (row,) in rows), len(info.devices), info.now_ns)
        if not any(any(line) for line in lines):
            raise RequestError("RUN", f"the {info.scenario} scenario of {run} keeps no channel record")
        ways = fitted(journal, len(info.devices))
        config = journal.config
    paths = []
    with filled(folder):
        for name, both, of_device in zip(info.devices, lines, ways, strict=True):
            for direction, line, way in zip(DIRECTIONS, both, of_device, strict=True):
                if any(step.rate_bps for step in line):
                    carried = [step._replace(rate_bps=way.efficiency * step.rate_bps) for step in line]
                    columns = csv(carried, end_ns - info.now_ns, way, is_sharing(lines))
                    for suffix, text in ((".csv", columns), ("", mahimahi(carried, end_ns - info.now_ns))):
                        paths.append(folder / f"{name}.{direction}{suffix}")
                        paths[-1].write_text(text, encoding="utf-8")
        if len(paths) == 2 * len(DIRECTIONS) * len(info.devices):
            paths.append(folder / CONFIG)
            paths[-1].write_text(tomli_w.dumps(playing(config, info, folder)), encoding="utf-8")
    return paths


def playing(config: dict[str, Any], info: NetworkInfo, folder: Path) -> dict[str, Any]:
    """The configuration of a run with the CSV files in `folder` in place of its radio.

    UDP, since what the transport cost is in the files; and of the devices' life their heat, which is not.
    """
    files = {
        way: [str(folder.resolve() / f"{name}.{direction}.csv") for name in info.devices]
        for way, direction in zip(("downlink", "uplink"), DIRECTIONS, strict=True)
    }
    heat = [entry for entry in config["radio"].get("life", ()) if entry["kind"] == "heat"]
    radio = {"scenario": "recorded", **files} | ({"life": heat} if heat else {})
    seeds = {name: seed for name, seed in config.get("seeds", {}).items() if seed is not None}
    return {**config, "networks": ["live"], "radio": radio, "seeds": seeds}


def steps(channel: bytes, devices: int, begin_ns: int) -> list[tuple[list[Step], list[Step]]]:
    """For each device, down and up, the capacity in a channel record as a step function; not connected is 0."""
    found: list[tuple[list[Step], list[Step]]] = [([], []) for _ in range(devices)]
    for time_ns, device, direction, others, pool, capacity_bps, _ in CHANNEL_ROW.iter_unpack(channel):
        line, step = found[device][direction], Step(time_ns - begin_ns, max(capacity_bps, 0.0), pool, others)
        if not line or line[-1][1:] != step[1:]:
            line.append(step)
    return found


def is_sharing(lines: Sequence[tuple[list[Step], list[Step]]]) -> bool:
    """Whether any pool has more than one link, or anyone else, in it."""
    pools = [{step.pool for step in line} for both in lines for line in both]
    return sum(map(len, pools)) > len(set().union(*pools)) or any(
        step.others for both in lines for line in both for step in line
    )


def fitted(journal: Journal, devices: int) -> list[tuple[Way, Way]]:
    """For each device what its transfers say, down and up; nothing where none of the run's ever came back."""
    ((answers,),) = journal.rows(
        "SELECT count(uplink_end_ns) FROM transfers JOIN variants USING (variant) WHERE network = 'live'"
    )
    if not answers:
        return [(Way(), Way())] * devices
    model = fit(journal, with_overhead=False)
    loss = -np.expm1(-model.loss_per_byte * PAYLOAD_BYTES)
    floor_s = model.constants.floor_ns / NS_PER_S
    efficiency = model.constants.efficiency * PACKET_BYTES / PAYLOAD_BYTES
    ways = [Way(*map(float, (floor_s[link], efficiency[link], loss[link % 2]))) for link in range(2 * devices)]
    return list(zip(ways[::2], ways[1::2], strict=True))


def csv(line: Sequence[Step], end_ns: int, way: Way, with_sharing: bool) -> str:
    """A CSV of `time_s`, `rate_bps`, and what else there is to tell: `delay_s`, `loss`, `pool` and `others`.

    Its last row lasts, as the format has it, as long as the one before it.
    """
    known = [step for step in line if step.begin_ns < end_ns]
    last = known[-1]
    halved = [*known, last._replace(begin_ns=(last.begin_ns + end_ns) // 2)]
    lasting = {
        "delay_s": "" if way.delay_s is None else f"{way.delay_s:.9f}",
        "loss": f"{way.loss:.3g}" if way.loss else "",
    }
    told = {name: figure for name, figure in lasting.items() if figure}
    columns = [
        ["time_s", *(f"{step.begin_ns / NS_PER_S:.9f}" for step in halved)],
        ["rate_bps", *(f"{step.rate_bps:.0f}" for step in halved)],
        *([name, *[figure] * len(halved)] for name, figure in told.items()),
    ]
    if with_sharing:
        columns += [["pool", *(str(step.pool) for step in halved)], ["others", *(str(step.others) for step in halved)]]
    return "\n".join([*map(",".join, zip(*columns, strict=True)), ""])


def mahimahi(line: Sequence[Step], end_ns: int) -> str:
    """The milliseconds by the end of which each further packet of 1500 bytes could have crossed.

    The last is the end of the trace, as the format has it, whether a packet could have crossed by then or not.
    """
    begins_ns = np.array([step.begin_ns for step in line] + [end_ns], dtype=np.float64)
    rates_bps = np.array([step.rate_bps for step in line])
    crossed = np.concatenate([[0.0], np.cumsum(rates_bps * np.diff(begins_ns) / NS_PER_S)])  # bits by each begin
    wanted = np.arange(1, crossed[-1] // OPPORTUNITY_BITS + 1) * OPPORTUNITY_BITS
    within = np.searchsorted(crossed, wanted) - 1
    at_ns = begins_ns[within] + (wanted - crossed[within]) / rates_bps[within] * NS_PER_S
    period_ms = max(-(-end_ns // NS_PER_MS), 1)
    times_ms = np.clip(np.ceil(np.round(at_ns) / NS_PER_MS), 1, period_ms).astype(int).tolist()
    if not times_ms or times_ms[-1] < period_ms:
        times_ms.append(period_ms)
    return "".join(f"{time_ms}\n" for time_ms in times_ms)
