# SPDX-License-Identifier: Apache-2.0
"""A recording of a model's routing: one Parquet file, read into contiguous arrays.

`docs/runs/routing.md` describes the columns. A *pass* is one forward pass; a *token-layer* is one token in one MoE
layer of a pass, and one row of the file. The rows of a pass stand together, layer after layer, token after token.
"""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from bridge.network import RequestError
from model_side.record_routing import FORMAT, VERSION
from model_side.routing import Floats, Probabilities, Weights
from model_side.selection import Phase
from model_side.shapes import ModelShape

_INTEGERS = ("request", "pass", "position", "layer")


@dataclass(frozen=True)
class RoutingTrace:
    """R token-layers of P passes through L MoE layers, E experts, k a token.

    `model` names what was recorded, `shape` has its sizes. Of each pass [P]: `request` (from 0), `position` of its
    first token, `decode` (else prefill), `tokens` N, and `next_token`, the id of the token that it gave. Of each
    exchange [P * L + 1]: `begin`, its first row, behind the last one the end. Of each row: `weights` [R, k] and
    `experts` [R, k] of the model's own choice, and the router's `probabilities` [R, E], None if not recorded.
    """

    model: str
    shape: ModelShape
    request: NDArray[np.int64]
    position: NDArray[np.int64]
    decode: NDArray[np.bool_]
    tokens: NDArray[np.int64]
    next_token: NDArray[np.int64]
    begin: NDArray[np.int64]
    weights: Weights
    experts: NDArray[np.int16]
    probabilities: Probabilities | None

    @classmethod
    def read(cls, path: Path) -> "RoutingTrace":
        """Read and check a file. Raises `RequestError` naming `model.routing`, and file, column and row."""
        return _Reader.open(path).read()

    @classmethod
    def describe(cls, path: Path) -> tuple[str, ModelShape]:
        """What was recorded, and its sizes, without reading the rows. Raises `RequestError` as `read`."""
        return _Reader.open(path).metadata()

    @classmethod
    def sha256(cls, path: Path) -> str:
        """Of the model that was recorded; empty if the file does not tell. Raises `RequestError` as `read`."""
        return _Reader.open(path).sha256()

    def phase(self, pass_: int) -> Phase:
        """The phase of a pass."""
        return Phase.DECODE if self.decode[pass_] else Phase.PREFILL

    def importance(self) -> Floats:
        """How much each expert matters [L, E]: P(chosen) * E[w^2 | chosen], with w its weight in the model's choice.

        That is the mean over all tokens of w^2, which is 0 where an expert is not chosen.
        """
        layers, experts = len(self.shape.moe_layers), self.shape.experts
        layer = np.repeat(np.arange(len(self.begin) - 1) % layers, np.diff(self.begin))
        place = layer[:, None] * experts + self.experts
        summed = np.bincount(place.ravel(), (self.weights.astype(np.float64) ** 2).ravel(), layers * experts)
        return np.asarray(summed.reshape(layers, experts) / self.tokens.sum())

    def first(self, requests: int) -> "RoutingTrace":
        """The trace of the first `requests` requests, or of all if there are no more."""
        passes = int(np.searchsorted(self.request, requests))
        exchanges = passes * len(self.shape.moe_layers)
        rows = int(self.begin[exchanges])
        return replace(
            self,
            **{name: getattr(self, name)[:passes] for name in ("request", "position", "decode", "tokens")},
            next_token=self.next_token[:passes],
            begin=self.begin[: exchanges + 1],
            weights=self.weights[:rows],
            experts=self.experts[:rows],
            probabilities=None if self.probabilities is None else self.probabilities[:rows],
        )

    def only(self, requests: NDArray[np.int64]) -> "RoutingTrace":
        """The trace of these requests, which keep their numbers and their order in the file."""
        passes = np.isin(self.request, requests)
        exchanges = passes.repeat(len(self.shape.moe_layers))
        rows_each = np.diff(self.begin)
        rows = exchanges.repeat(rows_each)
        return replace(
            self,
            **{name: getattr(self, name)[passes] for name in ("request", "position", "decode", "tokens")},
            next_token=self.next_token[passes],
            begin=np.append(0, rows_each[exchanges].cumsum()),
            weights=self.weights[rows],
            experts=self.experts[rows],
            probabilities=None if self.probabilities is None else self.probabilities[rows],
        )


class _Reader:
    """Reads one file column by column; every check is over a whole column."""

    @classmethod
    def open(cls, path: Path) -> "_Reader":
        try:
            from pyarrow import compute, parquet  # noqa: PLC0415  (only who replays routing needs it)
        except ModuleNotFoundError:
            raise RequestError("model.routing", "needs pyarrow; pip install 'wdmoe-cosim[tables]'") from None
        return cls(path, parquet, compute)

    def __init__(self, path: Path, parquet: Any, compute: Any):
        self._path = path
        self._compute = compute
        if not path.is_file():
            self._refuse(f"{path} does not exist")
        try:
            self._file = parquet.ParquetFile(path, memory_map=True)
        except (OSError, ValueError) as error:
            self._refuse(f"{path} is no Parquet file: {str(error).splitlines()[0]}")

    def read(self) -> RoutingTrace:
        model, shape = self.metadata()
        integers = {name: self._integers(name) for name in _INTEGERS}
        rows = len(integers["layer"])
        if not rows:
            self._refuse(f"{self._path} holds no rows")
        decode = self._decode()
        begin = self._exchanges(integers, decode, len(shape.moe_layers))
        experts = self._lists("gate_experts", shape.top_k, np.dtype(np.int64))
        self._expect("gate_experts", (experts >= 0) & (experts < shape.experts), f"is none of {shape.experts} experts")
        ordered = np.sort(experts, axis=1)
        self._expect("gate_experts", ordered[:, 1:] != ordered[:, :-1], "names an expert twice")
        weights = self._lists("gate_weights", shape.top_k, np.dtype(np.float32))
        self._expect("gate_weights", np.isfinite(weights) & (weights >= 0), "is not finite and at least 0")
        probabilities = None
        if "probabilities" in self._file.schema_arrow.names:
            probabilities = self._lists("probabilities", shape.experts, np.dtype(np.float32))
            self._expect("probabilities", (probabilities >= 0) & (probabilities <= 1), "does not lie in 0 to 1")
        firsts = begin[: -1 : len(shape.moe_layers)]
        lasts = begin[1 :: len(shape.moe_layers)] - 1
        return RoutingTrace(
            model,
            shape,
            integers["request"][firsts],
            integers["position"][firsts],
            decode[firsts],
            lasts - firsts + 1,
            self._next_tokens(lasts),
            begin,
            weights,
            experts.astype(np.int16),
            probabilities,
        )

    def sha256(self) -> str:
        self.metadata()
        return str(json.loads(self._file.schema_arrow.metadata[FORMAT.encode()]).get("sha256", ""))

    def metadata(self) -> tuple[str, ModelShape]:
        found = (self._file.schema_arrow.metadata or {}).get(FORMAT.encode())
        if found is None:
            self._refuse(f"{self._path} is no routing trace: its metadata lack {FORMAT} (docs/runs/routing.md)")
        try:
            metadata = json.loads(found)
            version = metadata["version"]
            if version == VERSION:
                shape = msgspec.convert(metadata["shape"], ModelShape)
                return str(metadata["model"]), self._checked(shape)
        except (ValueError, TypeError, KeyError) as error:
            if isinstance(error, RequestError):
                raise
            self._refuse(f"{self._path}, metadata {FORMAT}: {type(error).__name__} {error}")
        return self._refuse(f"{self._path} has format version {version}; this program reads version {VERSION}")

    def _checked(self, shape: ModelShape) -> ModelShape:
        least = dict.fromkeys(("shared_intermediate", "dense_intermediate", "latent"), 0)
        if shape.layers:  # which say themselves what they are
            least |= dict.fromkeys(("heads", "kv_heads", "head_dim"), 0)
            if len(shape.layers) != shape.decoder_layers:
                self._refuse(f"{self._path}, metadata {FORMAT}: layers are not decoder_layers, {shape.decoder_layers}")
        for name in (field.name for field in fields(shape) if field.name not in ("moe_layers", "layers", "tied")):
            if getattr(shape, name) < least.get(name, 1):
                self._refuse(f"{self._path}, metadata {FORMAT}: {name} is {getattr(shape, name)}")
        layers = shape.moe_layers
        if not layers or list(layers) != sorted(set(layers) & set(range(shape.decoder_layers))):
            self._refuse(
                f"{self._path}, metadata {FORMAT}: moe_layers {list(layers)} are not ascending layers of "
                f"the {shape.decoder_layers} of the model"
            )
        if not shape.top_k <= shape.experts <= np.iinfo(np.int16).max:
            self._refuse(f"{self._path}, metadata {FORMAT}: top_k {shape.top_k} of {shape.experts} experts")
        return shape

    def _exchanges(self, integers: dict[str, NDArray[np.int64]], decode: NDArray[np.bool_], layers: int) -> Any:
        """The first row of each exchange, and the end; every pass is complete and in order."""
        request, number, position, layer = (integers[name] for name in _INTEGERS)
        starts = np.flatnonzero(np.diff(number, prepend=-1) | np.diff(layer, prepend=-1))
        begin = np.append(starts, len(layer))
        tokens = np.diff(begin)
        due = np.arange(len(starts)) % layers
        self._expect("layer", layer[starts] == due, f"is not the next of layers 0 to {layers - 1} of a pass", starts)
        self._expect("pass", number[starts] == np.arange(len(starts)) // layers, "is not the next pass", starts)
        if len(starts) % layers:
            self._refuse_row("layer", len(layer) - 1, f"the file ends within a pass of {layers} layers")
        first = starts[::layers].repeat(layers)  # of the exchange's pass
        own = tokens == tokens[::layers].repeat(layers)
        self._expect("layer", own, "has another number of tokens than the pass has in layer 0", starts)
        within = np.arange(len(layer)) - starts.repeat(tokens)
        first = first.repeat(tokens)
        self._expect("position", position == position[first] + within, "is not the next of the pass")
        self._expect("request", request == request[first], "changes within a pass")
        self._expect("phase", decode == decode[first], "changes within a pass")
        passes = starts[::layers]
        request, position = request[passes], position[passes]
        new = np.diff(request, prepend=-1)
        self._expect("request", (new == 0) | (new == 1), "is not the next request (they count from 0)", passes)
        due = np.where(new, 0, np.append(0, (position + tokens[::layers])[:-1]))
        self._expect("position", position == due, "does not go on where the request's pass before ended", passes)
        return begin

    def _next_tokens(self, lasts: NDArray[np.int64]) -> NDArray[np.int64]:
        column = self._column("next_token").take(lasts)
        missing = column.is_null().to_numpy(zero_copy_only=False)
        self._expect("next_token", ~missing, "is null, but a pass gives a token", lasts)
        ids = np.asarray(column.cast("int64"))
        self._expect("next_token", ids >= 0, "is negative", lasts)
        return ids

    def _integers(self, name: str) -> NDArray[np.int64]:
        column = self._column(name)
        self._no_nulls(name, column)
        return np.asarray(column.cast("int64"))

    def _decode(self) -> NDArray[np.bool_]:
        column = self._column("phase")
        self._no_nulls("phase", column)
        if not hasattr(column, "dictionary"):
            column = column.dictionary_encode()
        names, codes = column.dictionary.to_pylist(), np.asarray(column.indices)
        known = np.isin(codes, [code for code, name in enumerate(names) if name in (Phase.PREFILL, Phase.DECODE)])
        self._expect("phase", known, "is neither prefill nor decode")
        return np.isin(codes, [code for code, name in enumerate(names) if name == Phase.DECODE])

    def _lists(self, name: str, length: int, dtype: "np.dtype[Any]") -> Any:
        column = self._column(name)
        self._no_nulls(name, column)
        if not hasattr(column, "flatten"):
            self._refuse(f"{self._path}, column {name}: holds {column.type}, not lists")
        lengths = self._compute.list_value_length(column).to_numpy(zero_copy_only=False)
        self._expect(name, lengths == length, f"is not a list of {length}")
        values = column.flatten()
        self._check_type(name, values.type, dtype.kind)
        self._no_nulls(name, values, length)
        return np.asarray(values.cast(dtype.name)).reshape(-1, length)

    def _column(self, name: str) -> Any:
        if name not in self._file.schema_arrow.names:
            self._refuse(f"{self._path}: there is no column {name} (docs/runs/routing.md)")
        column = self._file.read([name])[name].combine_chunks()
        if name in (*_INTEGERS, "next_token"):
            self._check_type(name, column.type, "i")
        return column

    def _check_type(self, name: str, type_: Any, kind: str) -> None:
        text = str(type_)
        fits = text.startswith(("int", "uint")) if kind == "i" else text in ("halffloat", "float", "double")
        if not fits:
            self._refuse(f"{self._path}, column {name}: holds {text}, not {'integers' if kind == 'i' else 'floats'}")

    def _no_nulls(self, name: str, column: Any, a_row: int = 1) -> None:
        if column.null_count:
            row = int(column.is_null().to_numpy(zero_copy_only=False).argmax()) // a_row
            self._refuse_row(name, row, "is null")

    def _expect(self, name: str, good: NDArray[np.bool_], reason: str, rows: NDArray[np.int64] | None = None) -> None:
        """Refuse the first row at which `good` (an item or a line of items for each of `rows`) does not hold."""
        if not good.all():
            bad = int((~good).reshape(len(good), -1).any(axis=1).argmax())
            self._refuse_row(name, bad if rows is None else int(rows[bad]), reason)

    def _refuse_row(self, name: str, row: int, reason: str) -> NoReturn:
        found = self._file.read([name])[name][row].as_py()
        shown = repr(found) if len(repr(found)) < 80 else repr(found)[:77] + "..."
        self._refuse(f"{self._path}, column {name}, row {row}: {shown} {reason}")

    def _refuse(self, reason: str) -> NoReturn:
        raise RequestError("model.routing", reason)
