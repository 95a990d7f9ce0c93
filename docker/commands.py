# SPDX-License-Identifier: Apache-2.0
"""Commands with a time limit, which say what went wrong."""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


class Failed(Exception):
    """`make containers` cannot do what it is for, or found what must not be. The message says what, in a line."""


def run(
    command: Sequence[str | Path],
    limit_s: float,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    text: str | None = None,
) -> str:
    """What a command says on standard output. Raises `Failed` with its last words if it fails or takes too long."""
    code, output, errors = attempt(command, limit_s, environment=environment, folder=folder, text=text)
    if code:
        raise _failed(command, code, errors.strip() or output)
    return output


@contextlib.contextmanager
def beside(
    command: Sequence[str | Path],
    limit_s: float,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[Callable[[], None]]:
    """A command that goes on meanwhile; what is yielded waits for its end, `limit_s` at most, and raises as `run`."""
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=None if environment is None else dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )

        def ended() -> None:
            try:
                code = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                raise Failed(f"`{_shown(command)}` was not done within {limit_s:g} s") from None
            if code:
                said.seek(0)
                raise _failed(command, code, said.read())

        try:
            yield ended
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def attempt(
    command: Sequence[str | Path],
    limit_s: float,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    text: str | None = None,
) -> tuple[int, str, str]:
    """Exit code (127 if there is no such program), standard output and errors. Raises `Failed` after `limit_s`."""
    try:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=None if environment is None else dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError:
        return 127, "", f"{command[0]} is not installed"
    try:
        output, errors = process.communicate(text, timeout=limit_s)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):  # it may have come to its end meanwhile
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise Failed(f"`{_shown(command)}` was not done within {limit_s:g} s") from None
        raise
    return process.returncode, output, errors


def _failed(command: Sequence[str | Path], code: int, said: str) -> Failed:
    words = "\n  ".join(said.strip().splitlines()[-12:])
    return Failed(f"`{_shown(command)}` ended with exit code {code}:\n  {words}")


def _shown(command: Sequence[str | Path]) -> str:
    words = " ".join(str(word) for word in command)
    return words if len(words) < 160 else words[:157] + "..."
