# SPDX-License-Identifier: Apache-2.0
"""Routing traces: read as pandas reads them, and refused with file, column and row where they are wrong."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import RequestError
from model_side.record_routing import GateArrays, RoutingWriter
from model_side.routing_trace import RoutingTrace
from model_side.selection import Phase
from tests.support.routing_traces import SHAPE, make_rows, write_rows

LAYERS = len(SHAPE["moe_layers"])


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 4), st.integers(0, 3))
def test_the_arrays_are_what_pandas_reads(tmp_path_factory, requests, prompt_tokens, new_tokens, seed):
    rows = make_rows(requests, prompt_tokens, new_tokens, seed)
    trace = RoutingTrace.read(write_rows(rows, tmp_path_factory.mktemp("traces") / "t.parquet"))
    assert (trace.model, trace.shape.moe_layers, trace.shape.shared_intermediate) == ("made-up", (1, 2, 3), 0)
    passes = rows[rows.layer == 0].groupby("pass")
    assert trace.request.tolist() == passes.request.first().tolist()
    assert trace.position.tolist() == passes.position.min().tolist()
    assert trace.tokens.tolist() == passes.size().tolist()
    assert trace.next_token.tolist() == passes.next_token.last().tolist()
    assert [trace.phase(number).value for number in range(len(trace.tokens))] == passes.phase.first().tolist()
    exchanges = rows.groupby(["pass", "layer"])
    assert np.diff(trace.begin).tolist() == exchanges.size().tolist()
    for (_, part), begin, end in zip(exchanges, trace.begin, trace.begin[1:], strict=False):
        for name, array in (("experts", "gate_experts"), ("weights", "gate_weights"), (*["probabilities"] * 2,)):
            read = getattr(trace, name)[begin:end]
            assert read.flags.c_contiguous
            np.testing.assert_array_equal(read, np.array(part[array].tolist(), read.dtype))
    first = trace.first(1)
    assert (first.request == 0).all()
    assert first.begin[-1] == len(first.weights) == len(first.experts) == (rows.request == 0).sum()
    assert trace.first(9).begin.tolist() == trace.begin.tolist()


def test_the_writers_file_is_the_same_to_a_reader(tmp_path):
    rows = make_rows()
    with RoutingWriter(tmp_path / "ours.parquet", "made-up", SHAPE, probabilities=True) as writer:
        for _, one in rows.groupby("pass"):
            gates = [
                GateArrays(
                    *(np.array(part[name].tolist()) for name in ("probabilities", "gate_weights", "gate_experts"))
                )
                for _, part in one.groupby("layer")
            ]
            top = one[one.layer == 0]
            ids = top.token.tolist(), top.next_token.tolist()
            writer.add(top.request.iloc[0], top.phase.iloc[0], top.position.iloc[0], *ids, gates)
    written = pd.read_parquet(tmp_path / "ours.parquet")
    for name in rows:
        np.testing.assert_array_equal(
            np.stack(written[name]), np.stack(rows[name]).astype(np.stack(written[name]).dtype)
        )
    ours, theirs = (
        RoutingTrace.read(path) for path in (tmp_path / "ours.parquet", write_rows(rows, tmp_path / "theirs.parquet"))
    )
    for name in RoutingTrace.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_several_row_groups_and_other_types_read_alike(tmp_path):
    rows = make_rows()
    whole = RoutingTrace.read(write_rows(rows, tmp_path / "whole.parquet"))
    table = pq.read_table(tmp_path / "whole.parquet")
    kinds = {"layer": pa.uint8(), "gate_experts": pa.list_(pa.int8()), "gate_weights": pa.large_list(pa.float64())}
    for name, kind in kinds.items():
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    pq.write_table(table.drop_columns("probabilities"), tmp_path / "parts.parquet", row_group_size=7)
    parts = RoutingTrace.read(tmp_path / "parts.parquet")
    assert parts.probabilities is None
    np.testing.assert_array_equal(parts.experts, whole.experts)
    np.testing.assert_array_equal(parts.weights, whole.weights)
    np.testing.assert_array_equal(parts.begin, whole.begin)


def with_value(name, row, value):
    def change(rows):
        values = [value if number == row else kept for number, kept in enumerate(rows[name])]
        return rows.assign(**{name: pd.Series(values, dtype=object)})

    return change


BROKEN = {
    "a weight that is no number": (with_value("gate_weights", 4, [0.5, float("nan")]), "gate_weights, row 4: .*finite"),
    "an infinite weight": (with_value("gate_weights", 4, [float("inf"), 1]), "gate_weights, row 4"),
    "a negative weight": (with_value("gate_weights", 4, [0.5, -0.5]), r"gate_weights, row 4: \[0.5, -0.5\] is not"),
    "too few weights": (with_value("gate_weights", 6, [1.0]), r"gate_weights, row 6: \[1.0\] is not a list of 2"),
    "no weights": (with_value("gate_weights", 6, None), "gate_weights, row 6: None is null"),
    "a weight that is null": (with_value("gate_weights", 6, [None, 1.0]), "gate_weights, row 6: .* is null"),
    "an expert too many": (with_value("gate_experts", 3, [1, 8]), r"gate_experts, row 3: \[1, 8\] is none of 8"),
    "a negative expert": (with_value("gate_experts", 3, [-1, 2]), "gate_experts, row 3"),
    "an expert twice": (with_value("gate_experts", 3, [5, 5]), r"gate_experts, row 3: \[5, 5\] names an expert twice"),
    "a probability above 1": (with_value("probabilities", 2, [2.0] * 8), "probabilities, row 2"),
    "experts that are words": (lambda rows: rows.assign(gate_experts=[["a", "b"]] * len(rows)), "holds string, not"),
    "no lists": (lambda rows: rows.assign(gate_weights=0.5), "gate_weights: holds double, not lists"),
    "a layer left out": (
        lambda rows: rows[(rows["pass"] != 1) | (rows.layer != 1)],
        "layer, row 16: 2 is not the next",
    ),
    "layers in another order": (lambda rows: rows[::-1], "layer, row 0: 2 is not the next of layers 0 to 2"),
    "a pass cut short": (lambda rows: rows[:-1], "layer, row 40: 1 the file ends within a pass of 3 layers"),
    "a token left out": (lambda rows: rows.drop(index=7), "layer, row 5: 1 has another number of tokens"),
    "a token twice": (with_value("position", 7, 1), "position, row 7: 1 is not the next of the pass"),
    "a pass left out": (lambda rows: rows[rows["pass"] != 2], "pass, row 18: 3 is not the next pass"),
    "a pass that goes on elsewhere": (
        lambda rows: rows.assign(position=rows.position + 3 * (rows["pass"] == 2)),
        "position, row 18: 9 does not go on",
    ),
    "a request that begins in its middle": (
        lambda rows: rows.assign(position=rows.position + rows.request),
        "position, row 21: 1 does not go on",
    ),
    "a request left out": (lambda rows: rows.assign(request=2 * rows.request), "request, row 21: 2 is not the next"),
    "a request that changes": (with_value("request", 16, 1), "request, row 16: 1 changes within a pass"),
    "a phase that changes": (with_value("phase", 16, "prefill"), "phase, row 16: 'prefill' changes within a pass"),
    "an unknown phase": (with_value("phase", 16, "speculate"), "phase, row 16: 'speculate' is neither"),
    "no next token": (with_value("next_token", 4, None), "next_token, row 4: None is null"),
    "a column left out": (lambda rows: rows.drop(columns="position"), "there is no column position"),
    "a layer that is no integer": (lambda rows: rows.assign(layer=rows.layer * 1.0), "layer: holds double, not integ"),
    "no rows": (lambda rows: rows[:0], "holds null, not integers"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_named_with_file_column_and_row(tmp_path, case):
    change, words = BROKEN[case]
    path = write_rows(change(make_rows()), tmp_path / "broken.parquet")
    with pytest.raises(RequestError, match=words) as caught:
        RoutingTrace.read(path)
    assert caught.value.field == "model.routing"
    assert str(path) in caught.value.reason


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"version": 2}, "format version 2; this program reads version 1"),
        ({"model": "x"}, "KeyError 'version'"),
        ({"version": 1, "model": "x", "shape": {"hidden": "wide"}}, "metadata wdmoe_routing: ValidationError .*hidden"),
        ({"version": 1, "model": "x", "shape": {**SHAPE, "heads": 0}}, "heads is 0"),
        ({"version": 1, "model": "x", "shape": {**SHAPE, "moe_layers": [2, 1]}}, r"moe_layers \[2, 1\] are not ascend"),
        ({"version": 1, "model": "x", "shape": {**SHAPE, "moe_layers": [1, 4]}}, "are not ascending layers of the 4"),
        ({"version": 1, "model": "x", "shape": {**SHAPE, "top_k": 9}}, "top_k 9 of 8 experts"),
    ],
)
def test_metadata_that_say_nothing_sensible_are_refused(tmp_path, metadata, words):
    path = write_rows(make_rows(), tmp_path / "broken.parquet", metadata)
    with pytest.raises(RequestError, match=words):
        RoutingTrace.read(path)


def test_files_of_another_kind_are_refused(tmp_path):
    with pytest.raises(RequestError, match="does not exist"):
        RoutingTrace.read(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text(json.dumps(SHAPE))
    with pytest.raises(RequestError, match="is no Parquet file"):
        RoutingTrace.read(tmp_path / "text.parquet")
    make_rows().to_parquet(tmp_path / "other.parquet")
    with pytest.raises(RequestError, match="is no routing trace: its metadata lack wdmoe_routing"):
        RoutingTrace.read(tmp_path / "other.parquet")


def test_prefill_in_pieces_is_several_passes(tmp_path):
    rows = make_rows(requests=1, prompt_tokens=3, new_tokens=3).assign(phase="prefill")
    trace = RoutingTrace.read(write_rows(rows, tmp_path / "t.parquet"))
    assert [trace.phase(number) for number in range(3)] == [Phase.PREFILL] * 3
