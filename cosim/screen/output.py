# SPDX-License-Identifier: Apache-2.0
"""Standard output: what it is to a program that ends well although nobody reads it, or nothing more fits."""

import io
import os
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

WIDTH = 120
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
"""The option of every command that prints a table."""
CLOSED_PIPE = 141
"""What a shell says of a program that wrote into a pipe without a reader: 128 and the number of SIGPIPE."""


class OutputLost(Exception):
    """Standard output takes no more. `pipe`: because who read it has gone, of which there is nothing to say."""

    def __init__(self, error: OSError):
        super().__init__(f"standard output cannot be written: {error.strerror}; send it elsewhere")
        self.pipe = isinstance(error, BrokenPipeError)


class _Output(io.FileIO):
    """The descriptor of standard output; what fails once is told once, and then goes nowhere."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())
            raise OutputLost(error) from None


def guard() -> None:
    """Have standard output raise `OutputLost`, and standard descriptors that are closed lead nowhere.

    A file opened later would otherwise get the number of a closed one, and with it what is meant for the user.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (for as long as the program runs)
    sys.stderr = sys.stderr or nowhere
    if sys.stdout is None:
        sys.stdout = nowhere
        return
    out = sys.stdout
    try:
        raw = _Output(out.fileno(), "w", closefd=False)
    except io.UnsupportedOperation:  # someone has put a buffer in its place
        return
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), out.encoding, out.errors, line_buffering=out.isatty())


def console(plain_width: int = WIDTH) -> Console:
    """Standard output; where it is no terminal, with lines so wide."""
    return Console() if sys.stdout.isatty() else Console(width=plain_width)
