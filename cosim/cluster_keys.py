# SPDX-License-Identifier: Apache-2.0
"""The certificate by which scheduler, workers and clients of a cluster know each other, and by which Dask encrypts.

One self-signed certificate is its own authority, as Dask's `Security.temporary` has it: whoever holds its key belongs
to the cluster, and may run any code there.
"""

import datetime
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from bridge.network import RequestError

CERTIFICATE, SECRET = "cluster.pem", "cluster.key_secret"
_YEARS = 10


def make_cluster_keys(folder: Path) -> list[Path]:
    """Write a certificate and its secret key into `folder`; what was written.

    Raises `RequestError` if one is there, if nothing can be written, or without the package cryptography.
    """
    certificate, secret = folder / CERTIFICATE, folder / SECRET
    for path in (certificate, secret):
        if os.path.lexists(path):
            raise RequestError("FOLDER", f"{path} exists; keys are not overwritten, choose another folder")
    texts = dict(zip((certificate, secret), _made(), strict=True))
    umask = os.umask(0o077)  # a secret is never open to others, not for a moment
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_bytes(text)
        certificate.chmod(0o644)
    except OSError as error:
        for path in texts:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise RequestError("FOLDER", f"cannot write to {folder}: {error.strerror}; choose another") from None
    finally:
        os.umask(umask)
    return list(texts)


def security_of(folder: Path) -> Any:
    """Dask's `Security` by the keys in a folder. Raises `RequestError` naming --keys for what is not there or safe."""
    from distributed.security import Security  # noqa: PLC0415  (of the extra `study`)

    certificate, secret = (str(folder / name) for name in (CERTIFICATE, SECRET))
    for path in (certificate, secret):
        if not os.access(path, os.R_OK):
            raise RequestError("--keys", f"cannot read {path}; `cosim keys --cluster FOLDER` makes it")
    if os.stat(secret).st_mode & 0o007:
        raise RequestError("--keys", f"{secret} is open to every user of this host; chmod 600 it")
    roles = ("client", "scheduler", "worker")
    own = {f"tls_{role}_cert": certificate for role in roles} | {f"tls_{role}_key": secret for role in roles}
    return Security(tls_ca_file=certificate, require_encryption=True, **own)


def _made() -> tuple[bytes, bytes]:
    """A certificate and its key, as PEM."""
    try:
        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    except ImportError:
        raise RequestError("--cluster", "needs the package cryptography; pip install 'wdmoe-cosim[study]'") from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cosim-cluster")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), secret
