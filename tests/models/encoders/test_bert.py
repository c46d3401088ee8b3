import json
import pathlib

import numpy as np
import pytest

from models.encoders.bert import load_reader, read_word_pieces
from models.spec import BertOptions
from pipeline import assets

GOLDEN = pathlib.Path(__file__).parent / "golden_minilm.json"
"""Texts, and what PyTorch transformers 5 makes of them with the same weights: the first 8 components of two tokens."""


def read(reader, token_ids, segment_ids, padding=0):
    ids, segments = (np.pad([row], [(0, 0), (0, padding)]) for row in (token_ids, segment_ids))
    inputs = {"token_ids": ids, "segment_ids": segments, "padding_mask": np.arange(ids.shape[1])[None] < len(token_ids)}
    return np.asarray(reader.network(inputs))[0]


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
