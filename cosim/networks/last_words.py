# SPDX-License-Identifier: Apache-2.0
"""What a process that held ns-3 said before it ended, and at which line of a scenario's script it stood.

Python's `faulthandler` writes the stacks there: when ns-3 crashes or ends the process, when a limit is over, and when
it is asked to by a signal.
"""

import re
from pathlib import Path

from bridge.network import RequestError

_DUMP = re.compile(
    r"^(?:Fatal Python error: (?P<fault>.*)|Timeout \((?P<limit>.*)\)!|(?:Current t|T)hread 0x\w+.*)$", re.M
)
# With the virtual time behind it, where there is one.
_SAID_BY_NS3 = re.compile(r'(?:cond="(?P<cond>.*)", )?msg="(?P<msg>.*)", (?:\+|file=)')
_NO_CLASS = re.compile(r"TypeId::LookupByName: (\S+) not found")


def split(log: str) -> tuple[list[str], str]:
    """The lines that were said, and the stacks behind them, "" if there are none."""
    found = _DUMP.search(log)
    end = found.start() if found else len(log)
    return log[:end].strip().splitlines(), log[end:]


def blame(log: str, script: Path | None) -> RequestError | None:
    """A refusal by the script's line of what ended, or holds up, the process; None if no stack leads to the script."""
    words, stacks = split(log)
    if not stacks or script is None:
        return None
    name = str(script).encode("ascii", "backslashreplace").decode()  # as faulthandler writes it
    at = re.search(rf'^  File "{re.escape(name)}", line (\d+) in ', stacks, re.MULTILINE)
    if at is None:
        return None
    return RequestError(f"{script}:{at[1]}", _reason(words, _DUMP.match(stacks)))


def _reason(words: list[str], dump: "re.Match[str] | None") -> str:
    assert dump is not None
    if dump["limit"]:
        longer = "if a build needs longer, give the class a longer build_limit_s"
        return f"still here after {dump['limit']} (h:mm:ss); an endless loop? {longer}"
    if dump["fault"] is None:
        return "still here, and virtual time does not move; an endless loop?"
    if "Segmentation" in dump["fault"]:
        return (
            "ns-3 crashed here (segmentation fault): what it was given is null, was let go, or is beyond the end; "
            "check each Get(i) and GetObject, and name what must live on in the Topology's keep"
        )
    said = [match for match in map(_SAID_BY_NS3.search, words) if match]
    if not said:
        return f"ns-3 ended its process here ({dump['fault']})" + (f": {words[-1]}" if words else "")
    unknown = _NO_CLASS.search(said[-1]["msg"])
    if unknown:
        return f"ns-3 has no class {unknown[1]}: misspelt, or the module that has it is not among `modules`"
    return f"ns-3 ended its process here: {said[-1]['msg'] or said[-1]['cond']}"
