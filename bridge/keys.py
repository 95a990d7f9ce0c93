# SPDX-License-Identifier: Apache-2.0
"""Keys of the two sides: ZeroMQ CURVE pairs, in files of the certificate format of pyzmq's `zmq.auth`."""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import zmq
from zmq.auth import create_certificates, load_certificate

from bridge.network import RequestError

Side = Literal["network", "model"]


@dataclass(frozen=True)
class Keys:
    """What one side holds: a pair of its own and the other's public key, each as 40 characters of Z85."""

    public: bytes
    secret: bytes = field(repr=False)
    other: bytes


def make_keys(folder: Path) -> list[Path]:
    """Write a new pair for each side into `folder`; what was written.

    Raises `RequestError` if a pair is there, or nothing can be written.
    """
    paths = [folder / f"{side}.key{secret}" for side in ("network", "model") for secret in ("", "_secret")]
    for path in paths:
        if os.path.lexists(path):
            raise RequestError("FOLDER", f"{path} exists; keys are not overwritten, choose another folder")
    umask = os.umask(0o077)  # a secret is never open to others, not for a moment
    new = not os.path.lexists(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for side in ("network", "model"):
            public, _ = create_certificates(folder, side)
            Path(public).chmod(0o644)
    except OSError as error:
        with suppress(OSError):
            for path in paths:
                path.unlink(missing_ok=True)
            if new:
                folder.rmdir()
        raise RequestError("FOLDER", f"cannot write to {folder}: {error.strerror}; choose another") from None
    finally:
        os.umask(umask)
    return paths


def keys_for(endpoint: str, side: Side, folder: Path | None, plain_tcp: bool) -> Keys | None:
    """The keys that `side` needs at `endpoint`, None where there are none to be had: ipc, or tcp plain as asked.

    Raises `RequestError` if tcp has neither keys nor leave to do without, for keys that do not fit or are not safe.
    """
    if not endpoint.startswith("tcp://"):
        if folder is not None:
            raise RequestError("--keys", f"{endpoint} needs none, its file is for this user alone; leave it away")
        if plain_tcp:
            raise RequestError("--plain-tcp", f"{endpoint} is not tcp; leave it away")
        return None
    if folder is not None and plain_tcp:
        raise RequestError("--plain-tcp", "does without keys; give either it or --keys")
    if folder is None:
        if not plain_tcp:
            raise RequestError(
                "--keys",
                f"{endpoint} needs the folder of this side's keys (`cosim keys FOLDER` makes them), "
                "or --plain-tcp if whoever can reach it may use it",
            )
        return None
    public, secret = _load(folder / f"{side}.key_secret")
    other, _ = _load(folder / ("model.key" if side == "network" else "network.key"))
    if secret is None:
        raise RequestError("--keys", f"{folder / f'{side}.key_secret'} holds no secret key; make new keys")
    return Keys(public, secret, other)


def _load(path: Path) -> tuple[bytes, bytes | None]:
    try:
        open_to_all = path.name.endswith("_secret") and path.stat().st_mode & 0o007
        public, secret = load_certificate(path)
    except OSError as error:
        reason = error.strerror or "it is not there"
        raise RequestError("--keys", f"cannot read {path}: {reason}; `cosim keys FOLDER` makes it") from None
    except ValueError:
        raise RequestError("--keys", f"{path} is no key file; `cosim keys FOLDER` makes them") from None
    if open_to_all:
        raise RequestError("--keys", f"{path} is open to every user of this host; chmod 600 it")
    try:
        matches = secret is None or zmq.curve_public(secret) == public
    except (ValueError, zmq.ZMQError):
        matches = False
    if len(public) != 40 or not matches:
        raise RequestError("--keys", f"{path} is damaged: its keys do not fit together; make new ones")
    return public, secret
