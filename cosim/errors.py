# SPDX-License-Identifier: Apache-2.0
"""What can go wrong beside bad input and a lost partner."""


class Diverged(Exception):
    """A run that was done again is not the recorded one. The message says where it first differs."""


class JournalUnwritable(OSError):
    """The journal cannot be written, for want of space as a rule; what it held already stays readable."""
