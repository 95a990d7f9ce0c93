# SPDX-License-Identifier: GPL-2.0-only
"""What a script prints, marked as the script's among the words of the process that it runs in."""

import io
from typing import TextIO

MARK = "script: "


class Said(io.TextIOBase):
    """A text file that hands on whole lines, each with `MARK` before it."""

    def __init__(self, to: TextIO):
        self._to = to
        self._begun = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        self._to.write("".join(f"{MARK}{line}\n" for line in lines))
        self._to.flush()
        return len(text)

    def close(self) -> None:
        """Hand on what stands on a line that nobody ended, too."""
        if self._begun:
            self.write("\n")
        super().close()
