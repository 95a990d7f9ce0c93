# SPDX-License-Identifier: Apache-2.0
"""What must not lie in any layer of an image: keys, caches, package lists. `docker save IMAGE` is read as it comes."""

import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

UNWANTED = {
    "a secret key": r"\.key_secret$|(^|/)id_(rsa|ed25519|ecdsa)$|(^|/)\.(netrc|pypirc|git-credentials)$",
    "git's history": r"(^|/)\.git/",
    "pip's cache or a wheel": r"(^|/)\.cache/pip/.|\.whl$",
    "a compiler's cache or objects": r"(^|/)\.?ccache/.|^opt/.*\.o$",
    "apt's lists or packages": r"^var/lib/apt/lists/.*(Packages|Release)|^var/cache/apt/.*\.(deb|bin)$",
    "a static library of Python packages": r"^opt/.*\.a$",
    "a package's tests": r"^opt/.*/torch/test/",
}
"""Each kind with a pattern of paths, which have no leading slash."""
_CHUNK_BYTES = 1 << 20


def unwanted(path: str) -> str | None:
    """What kind of thing that must not be there a path names, if any."""
    return next((kind for kind, pattern in UNWANTED.items() if re.search(pattern, path)), None)


def problems(archive: Path, secrets: Iterable[bytes] = ()) -> Iterator[str]:
    """What must not be in an image that was saved in `archive`, of all its layers, also under later ones."""
    secrets = list(secrets)
    with tarfile.open(archive) as image:
        manifest = _read(image, "manifest.json")
        for layer in json.loads(manifest)[0]["Layers"]:
            held = image.extractfile(layer)
            assert held is not None
            with tarfile.open(fileobj=held) as files:
                for member in files:
                    kind = unwanted(member.name.removeprefix("./"))
                    if kind and member.isfile():
                        yield f"{kind}: {member.name}"
                    if member.isfile() and secrets and _holds(files, member, secrets):
                        yield f"a key in {member.name}"
        history = _read(image, json.loads(manifest)[0]["Config"])
        if any(secret in history for secret in secrets):
            yield "a key in the image's history"


def _read(image: tarfile.TarFile, name: str) -> bytes:
    held = image.extractfile(name)
    assert held is not None
    return held.read()


def _holds(files: tarfile.TarFile, member: tarfile.TarInfo, secrets: list[bytes]) -> bool:
    held = files.extractfile(member)
    assert held is not None
    longest = max(map(len, secrets))
    before = b""
    while chunk := held.read(_CHUNK_BYTES):
        window = before + chunk
        if any(secret in window for secret in secrets):
            return True
        before = window[-longest:]
    return False
