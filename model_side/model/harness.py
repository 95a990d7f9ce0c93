# SPDX-License-Identifier: Apache-2.0
"""lm-evaluation-harness (extra `eval`) with a model whose experts are behind links.

`RoutedLM` is its own Hugging Face model, `HFLM`, of which only the forward passes are another's: so what the harness
asks, how it encodes it and how it scores it is the harness's own, to the last digit.
"""

import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from bridge.network import RequestError
from model_side.base_station import BaseStation
from model_side.element import Element
from model_side.model.inference import routed_by
from model_side.model.loaded_model import LoadedModel
from model_side.model.moe import Carry, SplitModel
from model_side.model.wire import carried_by
from model_side.selection import Phase
from model_side.serving import TokenRecord
from model_side.tasks.reading import digest
from model_side.tasks.score import BYTES, NLL, WORDS, ItemScore

FIELD = "workload.lm_eval"
_PARTS = {"word_perplexity": WORDS, "byte_perplexity": BYTES, "bits_per_byte": BYTES}
"""Measures of the harness that are the log-likelihood of a text, and what it is divided by."""

Sample = dict[str, Any]


class RoutedLM(HFLM):  # type: ignore[misc]  # the harness has no types
    """An `LM` of the harness that runs `split` over `base_station`, one sequence at a time.

    Each call of the model is a request of its own; `records` has a row for each forward pass, in order. Without a base
    station it is the unmodified model. `carry`: see `SplitModel.routed`.
    """

    def __init__(
        self,
        split: SplitModel,
        tokenizer: Any,
        base_station: BaseStation | None = None,
        carry: Carry | None = None,
    ):
        super().__init__(pretrained=split.model, tokenizer=tokenizer, batch_size=1)
        self._split = split
        self._base_station = base_station
        self._carry = carry
        self._requests = 0
        self.records: list[TokenRecord] = []

    @property
    def requests(self) -> int:
        """How many requests there were."""
        return self._requests

    def _model_call(self, *arguments: Any, **options: Any) -> Any:
        with self._request():
            return super()._model_call(*arguments, **options)

    def _model_generate(self, *arguments: Any, **options: Any) -> Any:
        with self._request():
            return super()._model_generate(*arguments, **options)

    @contextmanager
    def _request(self) -> Iterator[None]:
        """Inside, the model's forward passes are those of one request."""
        position = start_ns = 0

        def begin(_module: Any, arguments: Any, options: dict[str, Any]) -> None:
            nonlocal position, start_ns
            ids = arguments[0] if arguments else options["input_ids"]
            if len(ids) != 1:
                raise RequestError(
                    FIELD, "asks for several sequences at once; a request is one (num_beams, batch_size)"
                )
            if self._base_station is not None:
                phase = Phase.DECODE if position else Phase.PREFILL
                start_ns = self._base_station.begin(phase, self._requests, position)
            position += ids.shape[1]

        def end(_module: Any, _arguments: Any, output: Any) -> None:
            end_ns = 0 if self._base_station is None else self._base_station.finish()
            token = int(output.logits[0, -1].argmax())
            self.records.append(TokenRecord(self._requests, position, token, start_ns, end_ns, None))

        hooks = [
            self._split.model.register_forward_pre_hook(begin, with_kwargs=True),
            self._split.model.register_forward_hook(end),
        ]
        try:
            if self._base_station is None:
                yield
            else:
                with self._split.routed(routed_by(self._base_station), self._carry):
                    yield
        finally:
            for hook in hooks:
                hook.remove()
        self._requests += 1


class HarnessRun:
    """The harness's tasks, each by its name or as a YAML file of one, answered by a model.

    `items`: at most so many of each task, its first ones; 0: all. The rest as of `model_side.model.task_run.TaskRun`.
    Raises `RequestError` naming `workload.lm_eval` for a task that the harness cannot load.
    """

    probabilities = True

    def __init__(
        self,
        loaded: LoadedModel,
        tasks: Sequence[str],
        items: int,
        reference: bool,
        element: Element = Element.OWN,
    ):
        self._loaded = loaded
        self._limit = items or None
        self._element = element
        files = [Path(task).expanduser() for task in tasks if is_file(task)]
        self._names = [_name_in(Path(task).expanduser()) if is_file(task) else task for task in tasks]
        folders = [str(file.parent.resolve()) for file in files]
        known = len(files) < len(tasks)  # the harness's own, which take it seconds to find
        self._manager = _quiet(TaskManager, include_path=folders or None, include_defaults=known)
        self.model = loaded.path
        self.shape = loaded.shape
        named = zip(tasks, self._names, strict=True)
        digests = {name: digest(Path(task).expanduser()) if is_file(task) else "" for task, name in named}
        self.record: Mapping[str, Any] = {"tasks": digests, "weights": loaded.weights}
        self._reference: list[ItemScore] | None = None
        self.exchanges = 0
        if reference:
            lm = _quiet(RoutedLM, loaded.split, loaded.tokenizer)
            self._reference = list(self._scores(lm))
            self.exchanges = len(lm.records) * len(loaded.split.blocks)

    def serve(self, base_station: BaseStation) -> Iterator[TokenRecord]:
        """See `model_side.serving.Serving`; the harness answers a task as a whole, so tokens come when it has."""
        lm = _over(self._loaded, base_station, self._element)
        scores = tuple(self._scores(lm))
        yield from lm.records[:-1]
        yield replace(lm.records[-1], items=scores)

    def _scores(self, lm: RoutedLM) -> Iterator[ItemScore]:
        """What the harness makes of each sample, task after task."""
        number = 0
        for name in self._names:
            first = lm.requests
            samples = self._samples(lm, name)
            for task, sample in samples:
                yield self._score(number, task, sample, first, lm.requests - first)
                number += 1

    def _samples(self, lm: RoutedLM, name: str) -> list[tuple[str, Sample]]:
        options = {"limit": self._limit, "bootstrap_iters": 0, "task_manager": self._manager}
        try:
            results = _quiet(simple_evaluate, model=lm, tasks=[name], log_samples=True, **options)
        except (KeyError, ValueError, OSError, ConnectionError) as error:  # what it raises of a task that is not there
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise RequestError(FIELD, f"{name} cannot be loaded by the harness: {reason}") from error
        return [(task, sample) for task, samples in results["samples"].items() for sample in samples]

    def _score(self, number: int, task: str, sample: Sample, request: int, requests: int) -> ItemScore:
        there = None if self._reference is None else self._reference[number]
        scores = {
            metric: (value, None if there is None else there.scores[metric][0])
            for metric, value in _measures(sample).items()
        }
        kind = "" if sample["filter"] == "none" else f" ({sample['filter']})"
        place = (number, f"{task}{kind}", "", sample["doc_id"], request, requests)
        answer = "" if NLL in scores else str(sample["target"])
        return ItemScore(*place, answer, _given(sample), None if there is None else there.given, scores)


class HarnessCalls:
    """What a caller's own function asks of a model: `ask` gets an `LM` for each call of `serve`.

    `results` are what it returns, in order. How many exchanges it will take is not known.
    """

    probabilities = True
    exchanges = 0

    def __init__(self, loaded: LoadedModel, ask: Callable[[RoutedLM], Any], element: Element):
        self._loaded = loaded
        self._ask = ask
        self._element = element
        self.results: list[Any] = []
        self.model = loaded.path
        self.shape = loaded.shape
        self.record: Mapping[str, Any] = {"weights": loaded.weights}

    def serve(self, base_station: BaseStation) -> Iterator[TokenRecord]:
        """See `model_side.serving.Serving`; tokens come when the function has returned."""
        lm = _over(self._loaded, base_station, self._element)
        self.results.append(self._ask(lm))
        yield from lm.records


def _over(loaded: LoadedModel, base_station: BaseStation, element: Element) -> RoutedLM:
    """The model as an `LM` of the harness, its experts behind `base_station`."""
    loaded.take_threads()
    carry = carried_by(base_station, element, loaded.split.model.dtype)
    lm: RoutedLM = _quiet(RoutedLM, loaded.split, loaded.tokenizer, base_station, carry)
    return lm


def is_file(task: str) -> bool:
    """Whether a task is a YAML file, and not a name."""
    return task.endswith((".yaml", ".yml"))


def _name_in(file: Path) -> str:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))["task"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        reason = f"{file} is no task of the harness: {type(error).__name__} {error}"
        raise RequestError(FIELD, reason.splitlines()[0]) from None
    return str(found)


def _measures(sample: Sample) -> dict[str, float]:
    """A sample's measures: numbers, and of a perplexity the parts that it is made of."""
    found: dict[str, float] = {}
    for metric in sample["metrics"]:
        value = sample[metric]
        if metric in _PARTS:
            found |= {NLL: -float(value[0]), _PARTS[metric]: float(value[1])}
        elif isinstance(value, bool | int | float) or hasattr(value, "item"):
            found[metric] = float(value)
    return found


def _given(sample: Sample) -> str:
    """What was answered: the number of the likeliest choice, or the text that is left after the filter."""
    answers = sample["filtered_resps"]
    if all(isinstance(each, tuple | list) for each in answers):
        return str(max(range(len(answers)), key=lambda number: answers[number][0])) if len(answers) > 1 else ""
    return str(answers[0]) if isinstance(answers[0], str) else ""


def _quiet(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The harness without its progress bars and its reports of what it does."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with redirect_stderr(io.StringIO()):
            return function(*arguments, **options)
    finally:
        logger.setLevel(level)
