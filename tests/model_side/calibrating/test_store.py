# SPDX-License-Identifier: Apache-2.0
"""Where tables are kept, and by what they are found."""

import json
import shutil
from dataclasses import replace

import pytest

from model_side.calibrating import store
from model_side.calibrating.text import TOKENS, sequences
from model_side.calibration import NoTable, decoded
from model_side.model.model_folder import SHIPPED_MODELS, check_model
from tests.support.calibrations import calibrate, keep_in
from tests.support.layers import table_of
from tests.support.routing_traces import SHAPE, make_rows, write_rows
from tests.support.shipped import MIXTURES


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    keep_in(tmp_path / "kept", monkeypatch)
    return tmp_path / "kept"


def table_named(model: str, seed: int = 1):
    return replace(table_of(3, 8, 2, seed=seed), model=model).rounded()


def test_what_is_kept_is_found_again_bit_for_bit(kept):
    table = table_named("abc")
    file = store.save(table)
    assert [path.name for path in kept.iterdir()] == [file.name]
    assert store.find("abc").encoded() == table.encoded()
    assert store.find("abc").sha256 == table.sha256
    assert store.find("abd") is None
    newer = table_named("abc", seed=2)
    store.save(newer)
    assert store.find("abc").sha256 == newer.sha256 != table.sha256


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-9], lambda text: "{}", lambda text: text.replace('"version":1', '"version":9')]
)
def test_a_damaged_file_is_as_if_it_were_not_there(damage):
    file = store.save(table_named("abc"))
    file.write_text(damage(file.read_text()))
    assert store.find("abc") is None


def test_a_table_under_another_models_name_is_not_taken():
    file = store.save(table_named("abc"))
    file.rename(file.with_name("def.json"))
    assert store.find("def") is None


@pytest.mark.parametrize("name", MIXTURES)
def test_a_shipped_model_comes_with_its_table(name):
    table, experts = store.of_model(name), check_model(SHIPPED_MODELS[name]).experts
    assert (table.layers, table.experts, table.tokens, table.text) == (6, experts, TOKENS, "shipped")
    assert table.outputs is not None
    file = SHIPPED_MODELS[name] / store.FILE_NAME
    assert decoded(file.read_bytes()).encoded() + "\n" == file.read_text()


def test_the_shipped_table_is_what_is_measured_of_its_text():
    """Of the same text the first sequence alone, whose routing is a part of it: the popularity of all must be near."""
    from model_side.calibrating.measure import measure
    from model_side.model.loading import load_model, load_tokenizer

    few = sequences(load_tokenizer(), 512)
    assert few == sequences(load_tokenizer(), TOKENS)[:2]
    table, whole = measure(load_model(), few[:1], "", ""), store.of_model("shipped")
    assert table.output_norm == pytest.approx(whole.output_norm, rel=0.25)
    assert table.distance == pytest.approx(whole.distance, rel=0.5)
    assert table.sensitivity == pytest.approx(whole.sensitivity, rel=0.5)


def test_a_model_is_known_by_its_weights_and_configuration_alone(tiny_model, tmp_path):
    copy = shutil.copytree(tiny_model, tmp_path / "copy")
    (copy / "README.md").write_text("said")
    assert store.digest_of(str(copy)) == store.digest_of(str(tiny_model))
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert store.digest_of(str(copy)) != store.digest_of(str(tiny_model))


def test_a_model_without_a_table_is_told_how_to_get_one(tiny_model):
    with pytest.raises(NoTable, match=f"run cosim calibrate {tiny_model}"):
        store.of_model(str(tiny_model))
    digest = calibrate(tiny_model)
    assert store.of_model(str(tiny_model)).sha256 == digest


def recorded(path, **metadata):
    return write_rows(make_rows(), path, metadata={"version": 1, "model": "made-up", "shape": SHAPE, **metadata})


def test_a_recording_has_its_models_table_or_its_own(tmp_path):
    known = recorded(tmp_path / "known.parquet", sha256="abc")
    with pytest.raises(NoTable, match=r"calibration of made-up, .*known.parquet was recorded of; run cosim calibrate"):
        store.of_routing(known)
    own = replace(table_of(3, 8, 2), model=store.file_digest(known), outputs=None).rounded()
    store.save(own)
    assert store.of_routing(known).sha256 == own.sha256
    store.save(table_named("abc"))
    assert store.of_routing(known).sha256 == table_named("abc").sha256
    with pytest.raises(NoTable):
        store.of_routing(recorded(tmp_path / "unknown.parquet"))


def test_a_recording_that_only_names_its_model_finds_it_here(tiny_model, tmp_path):
    digest = calibrate(tiny_model)
    named = recorded(tmp_path / "named.parquet", model=str(tiny_model))
    assert store.of_routing(named).sha256 == digest
    of_another_shape = recorded(tmp_path / "other.parquet", model="shipped")
    with pytest.raises(NoTable):
        store.of_routing(of_another_shape)


def test_what_the_recorder_writes_names_its_model(tiny_model, tmp_path):
    from model_side.record_routing import main
    from model_side.routing_trace import RoutingTrace

    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(json.dumps({"tokens": [1, 2, 3]}))
    main([str(tiny_model), str(prompts), str(tmp_path / "t.parquet"), "--new-tokens", "1"])
    assert RoutingTrace.sha256(tmp_path / "t.parquet") == store.digest_of(str(tiny_model))
