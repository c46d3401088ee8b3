import json
import pathlib
import socket
import time

import keras
import numpy as np
import pytest

from models.encoders.bert import gradual_unfreezing, layer_rates, load_reader, read_word_pieces
from models.labels import Target
from models.network import build_network
from models.spec import BertOptions
from pipeline import assets

TARGETS = {"label": Target(("no", "yes"))}
GOLDEN = pathlib.Path(__file__).parent / "golden_minilm.json"
"""Texts, and what PyTorch transformers 5 makes of them with the same weights: the first 8 components of two tokens."""


def read(reader, token_ids, segment_ids, padding=0):
    ids, segments = (np.pad([row], [(0, 0), (0, padding)]) for row in (token_ids, segment_ids))
    inputs = {"token_ids": ids, "segment_ids": segments, "padding_mask": np.arange(ids.shape[1])[None] < len(token_ids)}
    return np.asarray(reader.network(inputs)["sequence_output"])[0]


def test_loads_the_weights_and_sizes_of_a_preset(bert_preset):
    import keras_hub

    reader = load_reader(BertOptions(preset=bert_preset, dropout=0.3))
    assert (reader.hidden_dim, reader.num_segments, reader.max_len) == (8, 2, 40)
    backbone = keras_hub.models.BertBackbone.from_preset(bert_preset)
    inputs = {"token_ids": [[2, 5, 3]], "segment_ids": [[0, 0, 0]], "padding_mask": [[1, 1, 1]]}
    expected = backbone({key: np.array(value) for key, value in inputs.items()})["sequence_output"]
    np.testing.assert_allclose(read(reader, [2, 5, 3], [0, 0, 0]), expected[0], rtol=1e-5, atol=1e-6)
    assert reader.network.get_layer("transformer_layer_0").dropout == 0.3


def test_reads_the_pieces_of_a_preset(bert_preset):
    pieces = read_word_pieces(bert_preset)
    assert pieces.entries[:3] == ("[PAD]", "[UNK]", "[CLS]")
    assert pieces.cls_and_sep == (2, 3)
    assert pieces.lowercase


@pytest.mark.parametrize("load", [lambda preset: load_reader(BertOptions(preset=preset)), read_word_pieces])
def test_what_is_no_bert_is_told_with_the_way_out(load, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "t6"}')
    for preset in (str(tmp_path), str(tmp_path / "none")):
        with pytest.raises(ValueError, match=rf"must be a BERT: `asset:minilm`.* Received: '{preset}' \("):
            load(preset)


@pytest.mark.parametrize(
    ("preset", "host"), [("hf://no-such-owner/no-such-bert", "huggingface.co"), ("bert_tiny_en_uncased", "kaggle.com")]
)
def test_a_preset_that_is_out_of_reach_is_told_in_one_sentence(preset, host, monkeypatch, tmp_path):
    asked = []

    def unreachable(name, *_, **__):
        asked.append(name)
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between tries
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=rf"must be a BERT: .* over the network, .* Received: '{preset}' \("):
        load_reader(BertOptions(preset=preset))
    assert asked
    assert all(host in name for name in asked)


def learning(options):
    return {variable.path for variable in load_reader(options).network.trainable_variables}


def test_frozen_layers_do_not_learn(bert_preset):
    everything = learning(BertOptions(preset=bert_preset))
    assert any(path.startswith("token_embedding") for path in everything)
    above = learning(BertOptions(preset=bert_preset, frozen_layers=1))
    assert above == {path for path in everything if path.startswith("transformer_layer_1")}
    assert learning(BertOptions(preset=bert_preset, frozen_layers=2)) == set()
    with pytest.raises(ValueError, match="has 2 layers. Received: model.frozen_layers=3"):
        load_reader(BertOptions(preset=bert_preset, frozen_layers=3))


def test_with_lora_low_rank_changes_learn_and_begin_at_nothing(bert_preset):
    plain = load_reader(BertOptions(preset=bert_preset))
    lora = load_reader(BertOptions(preset=bert_preset, lora_rank=2))
    names = {path.rpartition("/")[2] for path in (variable.path for variable in lora.network.trainable_variables)}
    assert names == {"lora_kernel_a", "lora_kernel_b", "bias"}
    count = sum(np.prod(variable.shape) for variable in lora.network.trainable_variables)
    assert count < 0.2 * plain.network.count_params()
    np.testing.assert_array_equal(read(lora, [2, 5, 3], [0, 0, 0]), read(plain, [2, 5, 3], [0, 0, 0]))
    upper = learning(BertOptions(preset=bert_preset, lora_rank=2, frozen_layers=1))
    assert all(path.startswith("transformer_layer_1") for path in upper)


def test_with_lora_one_step_moves_the_changes_alone_and_they_are_saved(bert_spec, bert_preset, tmp_path):
    spec = bert_spec.model_copy(update={"model": BertOptions(preset=bert_preset, lora_rank=2, word_loss_weight=0)})
    network = build_network(spec, {"word_pieces": 70, "department_values": 2}, TARGETS)
    batch = {
        "bert_token_ids": np.array([[2, 5, 3, 6, 3]] * 2, "int32"),
        "bert_columns": np.array([[0, 0, 0, 1, 1]] * 2, "int32"),
        "age_value": np.ones((2, 1), "float32"),
        "age_missing": np.zeros((2, 1), "float32"),
        "department_id": np.ones((2, 1), "int32"),
    }
    model = keras.Model(network.inputs, network.get_layer("logits").output)
    model.compile(keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = {variable.path: np.asarray(variable) for variable in network.get_layer("bert").weights}
    for _ in range(2):  # in the first step the second of two factors is still 0
        model.train_on_batch(batch, np.array([0, 1]))
    variables = network.get_layer("bert").weights
    moved = {variable.path for variable in variables if not np.array_equal(variable, before[variable.path])}
    assert {path.rpartition("/")[2] for path in moved} == {"lora_kernel_a", "lora_kernel_b", "bias"}
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(batch)["logits"], network(batch)["logits"], rtol=1e-5, atol=1e-6)


def test_layers_are_unfrozen_from_the_top(bert_spec):
    network = build_network(bert_spec, {"word_pieces": 70, "department_values": 2}, TARGETS)
    assert not gradual_unfreezing(network, BertOptions())(0)
    unfreeze = gradual_unfreezing(network, BertOptions(gradual_unfreezing=True))
    own = {variable.path for variable in network.trainable_variables if "/" in variable.path}
    bert = {variable.path for variable in network.get_layer("bert").variables}
    learning = []
    for epoch in range(4):
        assert unfreeze(epoch) == (epoch < 4)
        assert not unfreeze(epoch)
        paths = {variable.path for variable in network.trainable_variables}
        assert paths - bert == own - bert
        learning.append({path.split("/")[0] for path in paths & bert})
    upper, lower = {"transformer_layer_1"}, {"transformer_layer_1", "transformer_layer_0"}
    assert learning[:3] == [set(), upper, lower]
    assert learning[3] > lower
    assert not unfreeze(4)


def test_rates_fall_from_layer_to_layer(bert_spec):
    network = build_network(bert_spec, {"word_pieces": 70, "department_values": 2}, TARGETS)
    assert layer_rates(network, BertOptions(head_rate=1)) == {}
    rates = layer_rates(network, BertOptions(layer_decay=0.5))
    assert rates.keys() == {variable.path for variable in network.variables}
    by_layer = {path.split("/")[0]: rate for path, rate in rates.items()}
    assert by_layer["transformer_layer_1"] == 0.5
    assert by_layer["transformer_layer_0"] == 0.25
    assert by_layer["token_embedding"] == by_layer["embeddings_layer_norm"] == 0.125
    assert by_layer["logits"] == by_layer["attention"] == by_layer["age_scale"] == 10
    assert by_layer["logits_of_words"] == 10


@pytest.mark.slow
@pytest.mark.parametrize("row", json.loads(GOLDEN.read_text()), ids=lambda row: row["texts"][0][:12])
@pytest.mark.parametrize("padding", [0, 9])
def test_minilm_says_what_it_says_in_pytorch(row, padding):
    preset = assets.resolve("asset:minilm")
    entries = read_word_pieces(preset).entries
    assert [entries[i] for i in row["token_ids"]] == row["pieces"]
    vectors = read(load_reader(BertOptions(preset=preset)), row["token_ids"], row["segment_ids"], padding)
    np.testing.assert_allclose(vectors[0][:8], row["cls_vector"], atol=1e-3)
    np.testing.assert_allclose(vectors[row["middle"]][:8], row["middle_vector"], atol=1e-3)
