# SPDX-License-Identifier: Apache-2.0
"""What the model is asked: prompts cut from the shipped held-out text or from a text file of the user's."""

import random
from pathlib import Path
from typing import Any

from bridge.network import RequestError
from model_side.model.inference import Request
from model_side.model.model_folder import SHIPPED, SHIPPED_PROMPTS
from model_side.model.moe import SplitModel
from model_side.model.passages import read_prompts

SHIPPED_FILE = SHIPPED_PROMPTS


def make_requests(
    split: SplitModel,
    tokenizer: Any,
    requests: int,
    prompt_tokens: int,
    new_tokens: int,
    seed: int,
    text: str | Path = SHIPPED,
) -> list[Request]:
    """`requests` different prompts of `prompt_tokens` each, drawn by `seed`.

    From the shipped text each prompt is the beginning of a passage; a file is cut into prompts from end
    to end. A tokenizer that puts a begin token before a text puts it before each prompt, where it counts
    as one of the tokens. Raises `RequestError` naming the `workload` field that asks for too much.
    """
    longest = int(split.model.config.get_text_config().max_position_embeddings)
    if prompt_tokens + new_tokens > longest:
        raise RequestError(
            "workload.prompt_tokens",
            f"{prompt_tokens} and {new_tokens} new tokens are more than the model's context of {longest}",
        )
    begin = tokenizer("a")["input_ids"][:1]
    begin = begin if begin == [tokenizer.bos_token_id] else []
    length = prompt_tokens - len(begin)
    if length < 1:
        raise RequestError("workload.prompt_tokens", f"{prompt_tokens} leaves no room after the begin token")
    draw = random.Random(seed)
    if text == SHIPPED:
        bodies = _of_shipped(tokenizer, requests, length, draw)
    else:
        bodies = _of_file(Path(text).expanduser(), tokenizer, requests, length, draw)
    return [Request((*begin, *body), new_tokens) for body in bodies]


def _of_shipped(tokenizer: Any, requests: int, length: int, draw: random.Random) -> list[list[int]]:
    passages = [passage.text for passage in read_prompts(SHIPPED_FILE)]
    if requests > len(passages):
        raise RequestError("workload.requests", f"{requests} is more than the {len(passages)} shipped passages")
    drawn = [_encode(tokenizer, passage) for passage in draw.sample(passages, requests)]
    shortest = min(map(len, drawn))
    if shortest < length:
        raise RequestError("workload.prompt_tokens", f"a shipped passage has only {shortest} tokens; name a text")
    return [tokens[:length] for tokens in drawn]


def _of_file(path: Path, tokenizer: Any, requests: int, length: int, draw: random.Random) -> list[list[int]]:
    try:
        tokens = _encode(tokenizer, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError("workload.text", f"{path} is not readable as UTF-8 text: {error}") from None
    prompts = len(tokens) // length
    if prompts < requests:
        raise RequestError(
            "workload.text", f"{path} has {len(tokens)} tokens: enough for {prompts} prompts, not for {requests}"
        )
    return [tokens[first * length : (first + 1) * length] for first in draw.sample(range(prompts), requests)]


def _encode(tokenizer: Any, text: str) -> list[int]:
    tokens: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return tokens
