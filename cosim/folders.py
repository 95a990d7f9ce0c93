# SPDX-License-Identifier: Apache-2.0
"""Folders that results go to: made as they are needed, and gone again where nothing came of it."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp
from typing import IO, NoReturn

from bridge.network import RequestError


@contextmanager
def filled(folder: Path, field: str = "FOLDER") -> Iterator[None]:
    """A folder for the files that are written inside; it may be there already, but empty.

    Raises `RequestError` naming `field` if it cannot be, or one of the files; then nothing of it stays.
    """
    with made(folder, field), told(folder, field):
        if any(folder.iterdir()):
            raise RequestError(field, f"{folder} is not empty; choose another")
        try:
            yield
        except BaseException:
            clear(folder)
            raise


@contextmanager
def made(folder: Path, field: str) -> Iterator[None]:
    """A folder that is made, with those above it; what was made is removed if what is done inside fails.

    Raises `RequestError` naming `field` if it cannot be made.
    """
    own: list[Path] = []
    try:
        with told(folder, field):
            for each in (*reversed(folder.parents), folder):
                if not each.is_dir():
                    with suppress(FileExistsError):  # made by another in the meantime; or a file, which `iterdir` tells
                        each.mkdir()
                        own.insert(0, each)
            next(folder.iterdir(), None)
        if not os.access(folder, os.W_OK | os.X_OK):
            _refuse(folder, field)
        yield
    except BaseException:
        if folder in own:
            clear(folder)
        for each in own:
            with suppress(OSError):  # others have put something there
                each.rmdir()
        raise


def _refuse(folder: Path, field: str) -> NoReturn:
    raise RequestError(field, f"{folder} cannot be written: nothing may be made there; choose another")


def can_be_made(folder: Path, field: str) -> None:
    """Raise `RequestError` naming `field` unless `made` will do; leaves nothing."""
    with suppress(_Tried), made(folder, field):
        raise _Tried


class _Tried(Exception):
    pass


def clear(folder: Path, but: Iterable[Path] = ()) -> None:
    """Remove what is in a folder, all `but` some of it, as far as that can be removed."""
    for each in set(folder.iterdir()) - set(but):
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each, ignore_errors=True)
        else:
            with suppress(OSError):
                each.unlink()


def written(file: Path, text: str, field: str) -> None:
    """Write a text file, in place of one that is there; a whole one or none.

    Raises `RequestError` naming `field` if that cannot be.
    """
    with made(file.parent, field), told(file, field), replaced(file) as out:
        out.write(text.encode())


@contextmanager
def replaced(file: Path) -> Iterator[IO[bytes]]:
    """What is written inside takes the place of a file at the end; whole, also if the machine goes down, or not."""
    descriptor, partial = mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.chmod(partial, 0o644)
        os.replace(partial, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise


@contextmanager
def told(place: Path, field: str) -> Iterator[None]:
    """Turn what the system refuses at a place into a `RequestError` naming `field`."""
    try:
        yield
    except OSError as error:
        where = "" if error.filename in (None, str(place)) else f" ({error.filename})"
        reason = error.strerror or str(error)
        raise RequestError(field, f"{place} cannot be written: {reason}{where}; choose another") from None
