# SPDX-License-Identifier: Apache-2.0
"""What the model is asked: prompts cut from the shipped held-out text or from a text file, or given one by one."""

import random
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal

from bridge.network import RequestError
from model_side.model.causal import CausalModel
from model_side.model.inference import Request
from model_side.model.model_folder import SHIPPED, SHIPPED_PROMPTS, one_line
from model_side.model.passages import read_prompts
from model_side.model.prompt_file import FIELD, FilePrompt, is_prompt_file, read_prompt_file

SHIPPED_FILE = SHIPPED_PROMPTS

Begin = Literal["tokenizer", "bos", "none"]
"""What stands before a text: what the tokenizer puts there, the begin token even if it does not, or nothing."""


def make_requests(
    model: CausalModel,
    tokenizer: Any,
    requests: int,
    prompt_tokens: int,
    new_tokens: int,
    seed: int,
    text: str | Path = SHIPPED,
    begin: Begin = "tokenizer",
    sizes: Sequence[tuple[int, int, str]] = (),
) -> list[Request]:
    """`requests` different prompts, drawn by `seed`; or those of `sizes`, if there are any.

    From the shipped text each prompt is the beginning of a passage; a text file is cut into prompts from end to end.
    Both have `prompt_tokens` each, among them what `begin` puts before a text. Of a file `.jsonl` each prompt has its
    own length. What stands in a text is text, also where it is spelled as a control token of the tokenizer is. Raises
    `RequestError` naming the `workload` field that asks for too much, and `model.path` for a tokenizer that is another
    model's.
    """
    draw = random.Random(seed)
    before = _before(tokenizer, begin)
    if sizes:
        return _of_sizes(model, tokenizer, sizes, before, text, draw)
    if is_prompt_file(text):
        prompts = _of_prompt_file(Path(text).expanduser(), tokenizer, requests, before, draw)
        field = FIELD
    else:
        length = prompt_tokens - len(before)
        if length < 1:
            reason = f"{prompt_tokens} leaves no room after the begin token"
            raise RequestError("workload.prompt_tokens", reason if len(before) < 2 else reason + f"s, {len(before)}")
        _check_context(model, prompt_tokens, new_tokens, "workload.prompt_tokens")
        if text == SHIPPED:
            bodies = _of_shipped(tokenizer, requests, length, draw)
        else:
            bodies = _of_file(Path(text).expanduser(), tokenizer, requests, length, draw)
        prompts = [[*before, *body] for body in bodies]
        field = "workload.prompt_tokens"
    return requests_of(model, prompts, new_tokens, field)


def requests_of(
    model: CausalModel, prompts: Sequence[Sequence[int]], new_tokens: int, field: str = "workload.prompt_tokens"
) -> list[Request]:
    """Prompts of token ids as requests. Raises `RequestError` naming `field` for one that is too long for the model,
    and `model.path` for a token that it does not have."""
    for prompt in prompts:
        _check_context(model, len(prompt), new_tokens, field)
    _check_ids(model, prompts)
    return [Request(tuple(prompt), new_tokens) for prompt in prompts]


def _of_sizes(
    model: CausalModel,
    tokenizer: Any,
    sizes: Sequence[tuple[int, int, str]],
    before: list[int],
    text: str | Path,
    draw: random.Random,
) -> list[Request]:
    """A request of each size, which a trace says: a piece of the text from any place on, which begins again at its end.

    Raises `RequestError` with the trace's line for one that is too long for the model.
    """
    if is_prompt_file(text):
        raise RequestError(
            "workload.text", "has prompts of their own lengths, and so has arrivals.trace; leave one out"
        )
    bodies = [passage.text for passage in read_prompts(SHIPPED_FILE)] if text == SHIPPED else [_text_of(Path(text))]
    tokens = [token for body in bodies for token in _encode(tokenizer, body)]
    if not tokens:
        raise RequestError("workload.text", f"{text} has no token")
    requests = []
    for prompt_tokens, new_tokens, place in sizes:
        longest = context_of(model)
        if longest is not None and prompt_tokens + new_tokens > longest:
            asked = f"{place}: {prompt_tokens} tokens and {new_tokens} new ones"
            raise RequestError("arrivals.trace", f"{asked} are more than the model's context of {longest}")
        first = draw.randrange(len(tokens))
        body = islice(cycle(tokens), first, first + max(0, prompt_tokens - len(before)))
        requests.append(Request((*before, *body)[:prompt_tokens], new_tokens))
    _check_ids(model, [request.prompt for request in requests])
    return requests


def end_tokens(model: CausalModel, tokenizer: Any) -> frozenset[int]:
    """The tokens by which the model ends a text. Raises `RequestError` naming `workload.stop_at_end` if it has none."""
    generation = getattr(model.model, "generation_config", None)
    for found in (getattr(generation, "eos_token_id", None), tokenizer.eos_token_id):
        if found is not None:
            return frozenset([found] if isinstance(found, int) else found)
    raise RequestError("workload.stop_at_end", "neither the model nor its tokenizer says which token ends a text")


def context_of(model: CausalModel) -> int | None:
    """How many tokens a model reads at once; None if its configuration does not say."""
    config = model.model.config.get_text_config()
    named = (getattr(config, name, None) for name in ("max_position_embeddings", "max_seq_len"))
    return next((int(limit) for limit in named if limit), None)


def _check_context(model: CausalModel, prompt_tokens: int, new_tokens: int, field: str) -> None:
    longest = context_of(model)
    if longest is not None and prompt_tokens + new_tokens > longest:
        raise RequestError(
            field, f"{prompt_tokens} and {new_tokens} new tokens are more than the model's context of {longest}"
        )


def _check_ids(model: CausalModel, prompts: Sequence[Sequence[int]]) -> None:
    known = int(model.model.get_input_embeddings().weight.shape[0])
    largest = max(map(max, prompts))
    if largest >= known:
        reason = f"its tokenizer, or the prompt, gives token {largest}, and its embedding has {known}"
        raise RequestError("model.path", f"{reason}; take the tokenizer that belongs to the model")


def _before(tokenizer: Any, begin: Begin) -> list[int]:
    """The tokens that stand before each text."""
    if begin == "none":
        return []
    if begin == "bos":
        if tokenizer.bos_token_id is None:
            raise RequestError("workload.begin", "the tokenizer has no begin token; take tokenizer or none")
        return [int(tokenizer.bos_token_id)]
    bare = _encode(tokenizer, "a")
    whole: list[int] = tokenizer("a", verbose=False)["input_ids"]
    first = next((at for at in range(len(whole)) if whole[at : at + len(bare)] == bare), 0)
    return whole[:first]


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
    tokens = _encode(tokenizer, _text_of(path))
    prompts = len(tokens) // length
    if prompts < requests:
        raise RequestError(
            "workload.text", f"{path} has {len(tokens)} tokens: enough for {prompts} prompts, not for {requests}"
        )
    return [tokens[first * length : (first + 1) * length] for first in draw.sample(range(prompts), requests)]


def _text_of(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError("workload.text", f"{path} is not readable as UTF-8 text: {error}") from None


def _of_prompt_file(
    path: Path, tokenizer: Any, requests: int, before: list[int], draw: random.Random
) -> list[list[int]]:
    there = read_prompt_file(path)
    if requests > len(there):
        raise RequestError("workload.requests", f"{requests} is more than the {len(there)} prompts of {path}")
    return [_of_line(prompt, tokenizer, before) for prompt in draw.sample(there, requests)]


def _of_line(prompt: FilePrompt, tokenizer: Any, before: list[int]) -> list[int]:
    if prompt.tokens is not None:
        return list(prompt.tokens)
    if prompt.text is not None:
        return [*before, *_encode(tokenizer, prompt.text)]
    try:
        asked: list[int] = tokenizer.apply_chat_template(
            list(prompt.messages or ()), add_generation_prompt=True, tokenize=True, return_dict=False
        )
    except Exception as error:  # of the template, which may raise anything
        raise RequestError(FIELD, f"{prompt.where}: the model's chat template refuses it: {one_line(error)}") from None
    return list(asked)


def _encode(tokenizer: Any, text: str) -> list[int]:
    tokens: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    return tokens
