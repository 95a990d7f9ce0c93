# SPDX-License-Identifier: Apache-2.0
"""How the journals of this folder were made: the code of their time runs a small experiment, in a worktree of its own.

`python -m tests.support.journals.make [NAME ...]` from the repository's root; each takes minutes, since that code's
native library is compiled. The folder in which the run was made is blotted out, as it says nothing.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

HERE = Path(__file__).parent
TEXT = "All this happened, more or less. The war parts, anyway, are pretty much true. " * 20
SIZES = {"requests": 1, "prompt_tokens": 4, "new_tokens": 2, "text": "text.txt"}
MODEL = [f"--set=workload.{name}={value}" for name, value in SIZES.items()] + ["--set=model.path=tiny"]
TRACE = ["--set=model.routing=trace.parquet", "--set=workload.requests=2", "--network=live", "--network=analytic"]
MADE = {
    "schema-1-first": ("bb6e4fd", MODEL),
    "schema-1": ("1ec079f", MODEL),
    "schema-2": ("6e8593f", MODEL),
    "schema-3": ("f0eef2c", TRACE),
    "schema-4": ("a674f5a", TRACE),
    "schema-5": ("da6a33c", TRACE),
    "schema-6": ("5bb79d0", TRACE),
    "schema-7": ("3253599", TRACE),
    "schema-8": ("44fe589", TRACE),
    "schema-9": ("d840827", TRACE),
    "schema-10": ("2550bbf", [*TRACE, "--set=arrivals.process=offline"]),
    "schema-11": ("08da892", [*TRACE, "--set=arrivals.process=offline", "--set=arrivals.users=1"]),
}
"""The commit whose code wrote each, and what it was asked beside two policies and two devices."""


def main(names: list[str]) -> None:
    """Make the journals of these names, all without any."""
    for name in names or MADE:
        commit, asked = MADE[name]
        with worktree(commit) as code:
            put_inputs(code)
            command = [sys.executable, "-m", "cosim.cli", "run", "--out", "run", "--set=radio.devices=2", *asked]
            second = "wdmoe" if int(name.split("-")[1]) < 6 else "weight-to-latency"  # the same rule
            policies = ["--policy=top-k", f"--policy={second}"]
            subprocess.run([*command, *policies], check=True, cwd=code, env={**os.environ, "PYTHONPATH": str(code)})
            with closing(sqlite3.connect(code / "run" / "journal.sqlite", isolation_level=None)) as db:
                db.execute("UPDATE meta SET value = '/made/here' WHERE key = 'folder'")
                (HERE / f"{name}.sqlite").unlink(missing_ok=True)
                db.execute("VACUUM INTO ?", [str(HERE / f"{name}.sqlite")])
            with closing(sqlite3.connect(HERE / f"{name}.sqlite")) as db:
                db.execute("PRAGMA journal_mode = WAL")  # as a run leaves it, which VACUUM INTO does not


@contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """The code of a commit."""
    with tempfile.TemporaryDirectory(prefix="cosim-journal-") as scratch:
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", f"{scratch}/code", commit], check=True)
        try:
            yield Path(scratch, "code")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", f"{scratch}/code"], check=True)


def put_inputs(folder: Path) -> None:
    """What the runs are made of: a random model, a text, and a random routing trace."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    from tests.support.routing_traces import make_rows, write_rows
    from tests.support.small_models import small_model

    small_model("mixtral", vocab_size=260).save_pretrained(folder / "tiny")
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator([], vocab_size=260)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer).save_pretrained(folder / "tiny")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    write_rows(make_rows(2, 4, 2), folder / "trace.parquet")


if __name__ == "__main__":
    main(sys.argv[1:])
