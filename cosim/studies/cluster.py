# SPDX-License-Identifier: Apache-2.0
"""The processes that a study runs in: Dask's, on this machine or wherever a scheduler has them.

Nobody else gets in: a cluster of our own has a certificate that is only in its memory, one elsewhere is reached by TLS.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bridge.network import PartnerLost, RequestError
from cosim.cluster_keys import security_of

if TYPE_CHECKING:
    from distributed import Client

PATIENCE_S = 30.0
"""How long a scheduler, or its first worker, is waited for."""
MEMORY = "3GiB"
_SETTINGS = {
    "distributed.scheduler.worker-saturation": 1.0,  # what waits for a worker waits at the scheduler, for any of them
    "distributed.scheduler.allowed-failures": 2,
    "distributed.worker.memory.target": False,  # of what a run takes nothing can be put on disk
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.98,
    "distributed.worker.memory.monitor-interval": "200ms",
    "distributed.worker.multiprocessing-method": "forkserver",  # of `cosim.studies.stem`
    "distributed.worker.profile.enabled": False,  # which looks at each thread a hundred times a second
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",  # of each process, for a dashboard; and that many are kept
    "distributed.admin.system-monitor.log-length": 10,
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.large-graph-warning-threshold": "1GiB",
}
_SAME = ("python", "dask", "distributed", "msgpack", "cloudpickle")
"""What Dask wants to be the same on both ends."""


@dataclass(frozen=True)
class ClusterPlace:
    """Where the workers are: `workers` processes here (None: one for each processor), or those of a `scheduler`.

    `memory`: what a worker here may take at most, as "3GiB"; beyond it is killed, and what it did tried again. `keys`:
    the folder of the cluster's certificate, for a scheduler at tls://; `plain_tcp`: that it is at tcp://, without.
    """

    scheduler: str | None = None
    workers: int | None = None
    memory: str | None = None
    keys: Path | None = None
    plain_tcp: bool = False

    def check(self) -> None:
        """Raise `RequestError` naming the option that does not fit the others."""
        if self.scheduler is None:
            for name, given in (("--keys", self.keys), ("--plain-tcp", self.plain_tcp)):
                if given:
                    raise RequestError(name, "is for workers elsewhere; give --scheduler with it")
            _bytes(self.memory or MEMORY)
            return
        for name, value in (("--workers", self.workers), ("--memory", self.memory)):
            if value is not None:
                raise RequestError(name, "is for workers on this machine; those of a scheduler are started with theirs")
        parts = urlsplit(self.scheduler)
        if parts.scheme not in ("tls", "tcp") or not parts.hostname or not _port(self.scheduler):
            raise RequestError("--scheduler", f"{self.scheduler!r} is neither tls://HOST:PORT nor tcp://HOST:PORT")
        if parts.scheme == "tls" and self.keys is None:
            reason = f"{self.scheduler} needs the folder of the cluster's keys (`cosim keys --cluster FOLDER`)"
            raise RequestError("--keys", reason)
        if parts.scheme == "tcp" and self.keys is not None:
            raise RequestError("--keys", f"{self.scheduler} takes none; start the scheduler at tls://")
        if parts.scheme == "tcp" and not self.plain_tcp:
            reason = "has no keys, and who reaches it runs what he likes there; take tls://, or say --plain-tcp"
            raise RequestError("--scheduler", f"{self.scheduler} {reason}")
        if parts.scheme == "tls" and self.plain_tcp:
            raise RequestError("--plain-tcp", f"{self.scheduler} is not plain; leave it away")


def require() -> None:
    """Raise `RequestError` naming `study` where the packages of that extra are not installed."""
    for name in ("distributed", "cryptography", "pyarrow"):
        if find_spec(name) is None:
            raise RequestError("study", f"needs the package {name}; pip install 'wdmoe-cosim[study]'")


@contextmanager
def cluster(place: ClusterPlace) -> "Iterator[Client]":
    """A client of the workers at `place`; a cluster of our own ends with it.

    Raises `RequestError` naming --scheduler for one that is not there, has no worker, or is of other versions, and
    naming `study` without the package distributed; `PartnerLost` once the scheduler is gone.
    """
    require()
    place.check()
    import dask  # noqa: PLC0415
    from distributed import Client  # noqa: PLC0415

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters of it is told by us
    with dask.config.set(_SETTINGS):
        if place.scheduler is None:
            with _own(place) as own, _let_go(Client(own, set_as_default=False)) as client:
                yield client
            return
        security = None if place.keys is None else security_of(place.keys)
        try:
            client = Client(place.scheduler, security=security, timeout=PATIENCE_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            reason = f"nobody answers at {place.scheduler} as a scheduler of this cluster does"
            raise RequestError("--scheduler", f"{reason} ({_root(error)}); start `dask scheduler` there") from None
        with _let_go(client), _named(client, place.scheduler):
            _check_workers(client, place.scheduler)
            yield client


@contextmanager
def _let_go(client: "Client") -> "Iterator[Client]":
    """The client, closed as the block ends.

    Closing raises whatever the last attempt to reach a scheduler that is gone ended with, be it an error within TLS.
    That tells nothing which the block has not told, and must not stand in its place.
    """
    try:
        yield client
    finally:
        try:
            client.close()
        except Exception:
            client.status = "closed"  # it is; nobody is to close it once more


@contextmanager
def _named(client: "Client", scheduler: str) -> Iterator[None]:
    """Raise `PartnerLost` for whatever way in which asking a scheduler that is gone ends."""
    from distributed.client import FutureCancelledError  # noqa: PLC0415

    try:
        yield
    except (OSError, FutureCancelledError):
        if client.status == "running":
            raise
        raise lost(scheduler) from None


@contextmanager
def _own(place: ClusterPlace) -> Iterator[Any]:
    """Workers on this machine, each a process with one thread, that nobody else can reach."""
    from distributed import LocalCluster  # noqa: PLC0415
    from distributed.security import Security  # noqa: PLC0415

    with LocalCluster(
        n_workers=place.workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=_bytes(place.memory or MEMORY),
        security=Security.temporary(),
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        silence_logs=logging.CRITICAL,
        preload=["cosim.studies.worker"],
    ) as own:
        yield own


def _check_workers(client: "Client", scheduler: str) -> None:
    """Raise `RequestError` for no worker within a while, and for other versions there than here."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE_S)
    except TimeoutError:
        reason = f"{scheduler} has no worker; start `dask worker {scheduler} --nthreads 1` with the same keys"
        raise RequestError("--scheduler", reason) from None
    told = client.get_versions()
    here = _packages(told["client"])
    parts = {
        "the scheduler": told["scheduler"],
        **{f"the worker {name}": each for name, each in told["workers"].items()},
    }
    for who, each in parts.items():
        there = _packages(each)
        differing = [f"{name} {there[name]} (here {here[name]})" for name in _SAME if there[name] != here[name]]
        if differing:
            raise RequestError("--scheduler", f"{who} has {', '.join(differing)}; install the same there")


def hold_versions(client: "Client", here: Mapping[str, str]) -> None:
    """Raise `RequestError` naming --scheduler if a worker has other versions of these packages than `here`."""
    for name, there in client.run(installed, list(here)).items():
        differing = [f"{each} {there[each]} (here {here[each]})" for each in here if there[each] != here[each]]
        if differing:
            raise RequestError("--scheduler", f"the worker {name} has {', '.join(differing)}; install the same there")


def installed(names: list[str]) -> dict[str, str]:
    """The versions of packages in this process's environment, "none" for one that is not there."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def lost(scheduler: str | None) -> PartnerLost:
    """What a study says whose scheduler has gone."""
    return PartnerLost(f"the scheduler {scheduler or 'here'} is gone; the same command goes on when it is back")


def _packages(told: Mapping[str, Any]) -> dict[str, str]:
    packages = {name: str(version) for name, version in told["packages"].items()}
    return {name: packages.get(name, "unknown").split(".final")[0] for name in _SAME}


def _bytes(memory: str) -> int:
    from dask.utils import parse_bytes  # noqa: PLC0415

    try:
        count = int(parse_bytes(memory))
    except ValueError:
        raise RequestError("--memory", f"{memory!r} is no amount; say it as 3GiB or 500MiB") from None
    if count < 1 << 28:
        raise RequestError("--memory", f"{memory} is too little for a run; take 256MiB or more")
    return count


def _port(address: str) -> int | None:
    try:
        return urlsplit(address).port
    except ValueError:
        return None


def _root(error: BaseException) -> str:
    """The first cause, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).split("\n")[0] or type(error).__name__
