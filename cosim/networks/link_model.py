# SPDX-License-Identifier: Apache-2.0
"""The link model of a recorded run: its channel record, and constants fitted to its transfers.

The constants are fitted by robust least squares on the logarithms of latencies: first those that all devices of one
radio have in common in either direction, then each device's own floors, efficiencies and repetitions, which cling to
the common ones. Which constants a radio has, its pools tell: turns where both directions contend for one medium,
coupling and repetitions where its devices are in several cells; whether its frame has slots, the ends of its transfers
(`cosim.networks.frame_fit`). How much the band limits an uplink, but on a medium, is kept if the record's error is
clearly less with it: so it is where some devices have no power for more of the band and others have. What is lost on
the way is counted. The form is ours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import scipy.optimize
import scipy.sparse.csgraph

from bridge.network import RequestError, Status, Wait
from cosim.networks.frame_fit import LOYALTY, SCALE, soft, with_frames
from cosim.networks.links import Channel, Constants, Flags, Floats, Integers
from cosim.networks.observed import MOST, Observed, message_residuals, observe, residuals
from cosim.networks.recorded_channel import Record, read_record
from cosim.record.journal import Journal

_FLOOR_NS = 1e6  # the unit of floors in the search
_START = {"floor": 1.0, "efficiency": 0.9, "overhead": 0.01, "turn": 0.1, "coupling": 0.1, "repeat": 1.0}
_LEAST = 1e-6
_BAND_LIMITED = 0.6  # to begin with
_LOYALTY_TO_BAND = 0.8  # how much it clings to 1, since a record tells little of it where power isn't the limit
_LEAST_SCALE = 0.01  # of a constant, by which its steps are measured
_MOST_LEFT = 0.7  # of the error without what tells power from band


@dataclass(frozen=True)
class LinkModel:
    """All that answers a what-if: the record of a variant, and what was fitted.

    `loss_per_byte` [2]: how often a byte of a downlink, of an uplink, ends a transfer.
    """

    variant: int
    record: Record
    constants: Constants
    loss_per_byte: Floats

    def describe(self) -> dict[str, object]:
        """The constants as plain values, by link (2 * device + direction), for the record; floors of messages where
        there were any, frames where a radio has one, and how much the band limits links where power does."""
        fitted = {name: values.tolist() for name, values in self.constants._asdict().items()}
        if fitted["message_floor_ns"] == fitted["floor_ns"]:
            del fitted["message_floor_ns"]
        if (self.constants.band_limited == 1).all():
            del fitted["band_limited"], fitted["share_efficiency"]
        if not any(fitted["period_ns"]):
            del fitted["period_ns"], fitted["occasions_ns"]
        return {"variant": self.variant, **fitted, "loss_per_byte": self.loss_per_byte.tolist()}


def fit(journal: Journal, with_overhead: bool = True) -> LinkModel:
    """A run's live variants as a link model, if not `with_overhead` one in which sharing costs nothing, without slots.

    Raises `RequestError` naming RUN if nothing can be learnt from it.
    """
    found = journal.rows(
        "SELECT variant FROM variants JOIN (SELECT variant, max(end_ns) AS end_ns FROM exchanges GROUP BY variant) "
        "USING (variant) WHERE network = 'live' ORDER BY end_ns DESC, variant"
    )
    if not found:
        raise RequestError("RUN", "holds no exchange of a live network, which a what-if would be answered from")
    wait = Wait(journal.config["exchange"]["wait"])
    parts = [(read_record(journal, variant), observe(journal, variant, wait)) for (variant,) in found]
    return LinkModel(found[0][0], parts[0][0], fit_constants(parts, with_overhead), _losses(journal))


def fit_constants(parts: Sequence[tuple[Record, Observed]], with_overhead: bool = True) -> Constants:
    """The constants under which the observed exchanges and messages come out best; if not `with_overhead`, sharing
    costs nothing and there are no slots."""
    channel = parts[0][0].channel
    radio = radios(channel)
    kinds = [_kinds(channel, radio == number, with_overhead) for number in range(radio.max() + 1)]
    names = [(number, name) for number, of_radio in enumerate(kinds) for name in of_radio]

    def common(values: Floats) -> Constants:
        links = {name: np.zeros(2 * len(radio)) for name in _START}
        for (number, name), both in zip(names, values.reshape(-1, 2), strict=True):
            links[name][np.repeat(radio == number, 2)] = np.tile(both, np.count_nonzero(radio == number))
        return _constants(links, radio)

    start = np.repeat([_START[name] for _, name in names], 2)
    # What is off by more than _MOST pulls no more: so also from where all are brought near.
    starts = [start, _least_squares(lambda values: residuals(parts, common(values), np.inf), start).x]
    found = [_least_squares(lambda values: residuals(parts, common(values)), start) for start in starts]
    shared = common(min(found, key=attrgetter("cost")).x)
    interferes = np.repeat(["repeat" in kinds[number] for number in radio], 2)
    of_transfers = _own(parts, shared, interferes)
    # A base station's power is spread over the band, a device's is all on the part that it has.
    has_power = np.repeat([with_overhead and "turn" not in kinds[number] for number in radio], 2)
    has_power[0::2] = False
    if has_power.any():
        limited = _own(parts, shared, interferes, has_power)
        if soft(residuals(parts, limited)) < _MOST_LEFT * soft(residuals(parts, of_transfers)):
            of_transfers = limited._replace(share_efficiency=of_transfers.efficiency)
    has_messages = any(len(observed.come_ns) for _, observed in parts)
    of_messages = _message_floors(parts, of_transfers, radio) if has_messages else of_transfers.floor_ns
    fluid = of_transfers._replace(message_floor_ns=of_messages)
    return with_frames(parts, fluid, radio) if with_overhead else fluid


def _own(
    parts: Sequence[tuple[Record, Observed]], shared: Constants, interferes: Flags, has_power: Flags | None = None
) -> Constants:
    """Each link's own floor and efficiency, repetition where it `interferes`, and how much the band limits those with
    `has_power`."""
    count = len(shared.floor_ns)
    limits = np.zeros(count, dtype=bool) if has_power is None else has_power

    def own(values: Floats) -> Constants:
        floor, efficiency, repeat, limited = np.split(values, np.cumsum([count, count, interferes.sum()]))
        repeat_ns, band_limited = np.zeros(count), np.ones(count)
        repeat_ns[interferes], band_limited[limits] = _FLOOR_NS * repeat, limited
        return shared._replace(
            floor_ns=_FLOOR_NS * floor,
            efficiency=efficiency,
            share_efficiency=efficiency,
            band_limited=band_limited,
            repeat_ns=repeat_ns,
        )

    known = np.concatenate([shared.floor_ns / _FLOOR_NS, shared.efficiency, shared.repeat_ns[interferes] / _FLOOR_NS])
    common = np.concatenate([known, np.ones(limits.sum())])
    begin = np.concatenate([known, np.full(limits.sum(), _BAND_LIMITED)])
    loyalty = np.repeat([LOYALTY, _LOYALTY_TO_BAND], [known.size, limits.sum()])
    return own(_clinging(lambda values: residuals(parts, own(values)), common, begin, loyalty))


def _message_floors(parts: Sequence[tuple[Record, Observed]], known: Constants, radio: Integers) -> Floats:
    """The floors of messages, from those that `known` has for all: in common for a radio's devices, then for each."""

    def off(floor: Floats, most: float = MOST) -> Floats:
        return message_residuals(parts, known._replace(message_floor_ns=_FLOOR_NS * floor), most)

    first = np.unique(radio, return_index=True)[1]
    start = known.message_floor_ns.reshape(-1, 2)[first].ravel() / _FLOOR_NS
    spread = (2 * radio[:, None] + [0, 1]).ravel()
    common = _least_squares(lambda values: off(values[spread], np.inf), start).x[spread]
    return np.asarray(_FLOOR_NS * _clinging(off, common))


def _constants(links: Mapping[str, Floats], radio: Integers) -> Constants:
    return Constants(
        _FLOOR_NS * links["floor"],
        links["efficiency"],
        links["efficiency"],
        links["overhead"],
        np.ones(2 * len(radio)),
        _FLOOR_NS * links["turn"],
        links["coupling"],
        _FLOOR_NS * links["repeat"],
        np.repeat(2 * radio, 2) + np.tile([0, 1], len(radio)),
        _FLOOR_NS * links["floor"],
        np.zeros(2 * len(radio)),
        np.zeros((2 * len(radio), 1)),
    )


def _kinds(channel: Channel, devices: Flags, with_overhead: bool) -> list[str]:
    """Which constants the radio of these devices has.

    On a medium both directions share a pool; in cells several devices share one, and there are several of them.
    """
    rows = np.repeat(np.arange(len(channel.first) - 1), np.diff(channel.first))
    uses = np.unique(np.stack([rows, channel.pool])[:, devices[rows // 2]], axis=1)
    down, up = (uses[1, uses[0] % 2 == direction] for direction in (0, 1))
    is_medium = np.isin(down, up).any()
    are_cells = not is_medium and 1 < len(np.unique(down)) < len(down)
    return [
        "floor",
        "efficiency",
        *(["overhead"] if with_overhead else []),
        *(["turn"] if with_overhead and is_medium else []),
        *(["coupling", "repeat"] if with_overhead and are_cells else []),
    ]


def radios(channel: Channel) -> Integers:
    """For each device the number of its radio: that of all devices with which it ever shares a pool, directly or not.

    Devices that share nothing, such as those on cables, count as one.
    """
    devices = (len(channel.first) - 1) // 2
    device = np.repeat(np.arange(2 * devices) // 2, np.diff(channel.first))
    uses = scipy.sparse.coo_array((np.ones(len(device)), (device, channel.pool)), shape=(devices, channel.pools))
    _, group = scipy.sparse.csgraph.connected_components(uses @ uses.T)
    is_alone = np.bincount(group)[group] == 1
    return np.asarray(np.unique(np.where(is_alone, -1, group), return_inverse=True)[1], dtype=np.int64)


def _least_squares(off: Callable[[Floats], Floats], start: Floats) -> scipy.optimize.OptimizeResult:
    # In plain units floors would move and the others stay.
    scale = np.maximum(start, _LEAST_SCALE)
    settings = {"loss": "soft_l1", "f_scale": SCALE, "diff_step": 1e-3, "xtol": 1e-4, "ftol": 1e-4}
    return scipy.optimize.least_squares(off, start, bounds=(_LEAST, np.inf), x_scale=scale, **settings)


def _clinging(
    off: Callable[[Floats], Floats], common: Floats, begin: Floats | None = None, loyalty: Floats | float = LOYALTY
) -> Floats:
    """Each device's constants, not far from those that are in common without need; looked for from `begin` or those."""

    def clinging(values: Floats) -> Floats:
        return np.concatenate([off(values), loyalty * (values - common) / common])

    return np.asarray(_least_squares(clinging, common if begin is None else begin).x)


def _losses(journal: Journal) -> Floats:
    """Losses by the bytes that were sent, down and up."""
    rows = journal.rows(
        "SELECT downlink_end_ns IS NOT NULL, compute_end_ns IS NOT NULL, status, downlink_bytes, uplink_bytes "
        "FROM transfers JOIN variants USING (variant) WHERE network = 'live'"
    )
    lost, sent = np.zeros(2), np.ones(2)
    for arrived, computed, status, down_bytes, up_bytes in rows:
        sent += (down_bytes, up_bytes if computed else 0)
        if status == Status.LOST:
            lost[int(arrived)] += 1
    messages = journal.rows(
        "SELECT uplink, sum(size_bytes), sum(status = 'lost') FROM messages JOIN deliveries USING (variant, message) "
        "JOIN variants USING (variant) WHERE network = 'live' GROUP BY uplink"
    )
    for way, sent_bytes, count in messages:
        sent[way] += sent_bytes
        lost[way] += count
    return np.asarray(lost / sent)


def vanishes(model: LinkModel, transfers: Integers, draws: Floats) -> Flags:
    """Whether each transfer's downlink and uplink are lost; `draws` [transfers, 2] are uniform in [0, 1)."""
    return np.asarray(draws < -np.expm1(-model.loss_per_byte * transfers[:, 1:4:2]))


def message_vanishes(model: LinkModel, way: Integers, size_bytes: Integers, draws: Floats) -> Flags:
    """Whether each message is lost, down (0) or up (1); `draws` [messages] are uniform in [0, 1)."""
    return np.asarray(draws < -np.expm1(-model.loss_per_byte[way] * size_bytes))
