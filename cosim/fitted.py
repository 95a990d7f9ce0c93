# SPDX-License-Identifier: Apache-2.0
"""A recorded run with its links fitted: all that answers what-ifs of it, however many are asked."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.network import NetworkInfo
from cosim.record.journal import Journal
from model_side.calibration import Calibration

if TYPE_CHECKING:
    from cosim.networks.link_model import LinkModel


@dataclass(frozen=True)
class Fitted:
    """What a run in `folder` was: its `config`, the place `ran_in` from which that names files, its network's `info`.

    `links`: the model that is fitted to its live variants. `calibration`, `nearness`: what its policies and its
    placement knew, if they did.
    """

    folder: Path
    config: dict[str, Any]
    ran_in: str
    fingerprint: str
    links: "LinkModel"
    info: NetworkInfo
    calibration: Calibration | None
    nearness: list[float | None] | None

    @property
    def meta(self) -> Mapping[str, str]:
        """What the journal of an answer says of the record that it is from."""
        told = {
            "record": str(self.folder.resolve()),
            "record_fingerprint": self.fingerprint,
            "links": json.dumps(self.links.describe()),
        }
        return told if self.nearness is None else {**told, "nearness": json.dumps(self.nearness)}


def fitted(folder: Path) -> Fitted:
    """Fit the links to a run's record. Raises `RequestError` naming RUN for one that nothing can be learnt from."""
    from cosim.networks.link_model import fit  # noqa: PLC0415  (numba and SciPy take a second to load)

    with closing(Journal.open(folder)) as journal:
        links = fit(journal)
        info = journal.network_info(links.variant)
        assert info is not None
        return Fitted(
            folder,
            journal.config,
            journal.meta("folder"),
            journal.fingerprint(),
            links,
            info,
            journal.calibration(),
            journal.nearness(),
        )


@contextmanager
def working_in(folder: str) -> Iterator[None]:
    """Inside, relative paths hold from `folder`, if that is there."""
    before = Path.cwd()
    with suppress(OSError, ValueError):
        os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
