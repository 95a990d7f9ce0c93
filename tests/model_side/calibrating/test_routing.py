# SPDX-License-Identifier: Apache-2.0
"""What routing alone tells, counted by hand."""

import numpy as np
import pandas as pd
import pytest

from model_side.calibrating.routing import of_routing, of_trace
from model_side.calibration import LEVELS, NoTable
from tests.support.routing_traces import make_rows, write_rows


def test_shares_and_pairs_by_hand():
    weights = [np.array([[0.6, 0.2], [0.1, 0.3], [0.5, 0.5]], np.float32)]
    table = of_routing("m", "t", weights, [np.array([[0, 1], [1, 2], [0, 1]])], 4)
    assert table.tokens == 3
    assert table.coactivation[0] * 3 == pytest.approx(np.array([[2, 2, 0, 0], [2, 3, 1, 0], [0, 1, 1, 0], [0] * 4]))
    assert table.popularity[0] * 3 == pytest.approx([2, 3, 1, 0])
    assert table.share_quantiles[0, :, [0, 16, 32]] == pytest.approx(np.array([[0.5, 0.25], [0.75, 0.25], [0.75, 0.5]]))
    assert table.ratio_quantiles[0, [0, 16, 32]] == pytest.approx([1 / 3, 1 / 3, 1])


def test_one_expert_a_token_has_no_second():
    table = of_routing("m", "t", [np.ones((5, 1), np.float32)], [np.zeros((5, 1), np.int64)], 2)
    assert (table.ratio_quantiles == 0).all()
    assert (table.share_quantiles == 1).all()


def test_a_recording_is_counted_layer_by_layer_as_pandas_counts_it(tmp_path):
    path = write_rows(make_rows(), tmp_path / "trace.parquet")
    table, rows = of_trace(path), pd.read_parquet(path)
    assert (table.layers, table.experts) == (3, 8)
    for layer, of_layer in rows.groupby("layer"):
        assert table.tokens == len(of_layer)
        named = of_layer.gate_experts.explode().value_counts(sort=False).reindex(range(8), fill_value=0)
        assert table.popularity[layer] == pytest.approx(named.to_numpy(float) / len(of_layer), rel=1e-5)
        ratio = of_layer.gate_weights.map(lambda weights: weights[1] / weights[0])
        assert table.ratio_quantiles[layer] == pytest.approx(ratio.quantile(LEVELS).to_numpy(), rel=1e-4)
    with pytest.raises(NoTable, match="run cosim calibrate MODEL"):
        _ = table.curvature
