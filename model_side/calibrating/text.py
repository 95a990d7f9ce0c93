# SPDX-License-Identifier: Apache-2.0
"""What a model is calibrated on: sequences of tokens from the shipped text or from a file."""

from pathlib import Path
from typing import Any

from bridge.network import RequestError
from model_side.model.model_folder import SHIPPED, SHIPPED_PROMPTS
from model_side.model.passages import read_prompts

TOKENS = 8192
"""So many are enough for most."""
SEQUENCE_TOKENS = 256
_STRIDE = 89
"""From passage to passage, so that few of them come from all sources; it and their number have no common factor."""


def sequences(tokenizer: Any, tokens: int, text: str | Path = SHIPPED) -> list[list[int]]:
    """Sequences of `SEQUENCE_TOKENS` tokens and a first one, which is the begin token if the tokenizer puts one.

    Without the first ones they are `tokens` together. The shipped text is the second halves of the held-out passages: a
    run's prompts are beginnings of these, and up to half a passage (288 tokens of the shipped tokenizer) other text. A
    file is cut from its beginning on.
    Raises `RequestError` naming `--tokens` or `--text` for what is too little text or none.
    """
    begin = tokenizer("a")["input_ids"][:1]
    begin = begin if begin == [tokenizer.bos_token_id] else []
    length = SEQUENCE_TOKENS + 1 - len(begin)
    if text == SHIPPED:
        passages = [passage.text for passage in read_prompts(SHIPPED_PROMPTS)]
        ordered = [passages[number * _STRIDE % len(passages)] for number in range(len(passages))]
        encoded = (_encode(tokenizer, passage) for passage in ordered)
        bodies = (ids[len(ids) // 2 :][:length] for ids in encoded)
    else:
        whole = _encode(tokenizer, _read(Path(text).expanduser()))
        bodies = (whole[first : first + length] for first in range(0, len(whole), length))
    found: list[list[int]] = []
    missing = tokens
    for body in bodies:
        sequence = (begin + body)[: missing + 1]
        if len(sequence) > 1:
            found.append(sequence)
            missing -= len(sequence) - 1
        if not missing:
            return found
    field = "--tokens" if text == SHIPPED else "--text"
    raise RequestError(field, f"{text} has {tokens - missing} tokens, not {tokens}; ask for less or name another text")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError("--text", f"{path} is not readable as UTF-8 text: {error}") from None


def _encode(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return ids
