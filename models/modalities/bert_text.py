"""Text for BERT: all texts of a row are one sequence, read by a pretrained network."""

import functools
from collections.abc import Mapping

import keras
import tensorflow as tf
import tensorflow_text as tf_text
from keras import ops

from models.bert_words import MAX_WORD_CHARACTERS, split_bert_words
from models.encoders.bert import BertReader, read_word_pieces
from models.modalities.token_names import TokenNames
from models.modalities.tokens import Tokens
from models.raw import dense
from models.spec import BertOptions, ModelSpec, TextFeature
from models.vocabulary import Counts, learn_vocabulary
from models.word_pieces import PAD_ID, UNKNOWN, VOCABULARY_FILE

TOKEN_IDS, COLUMNS = "bert_token_ids", "bert_columns"


def transform(
    inputs: Mapping[str, tf.Tensor | tf.SparseTensor], features: Mapping[str, TextFeature], spec: ModelSpec
) -> dict[str, tf.SparseTensor]:
    """Turns the texts of a row into one sequence: [CLS] first text [SEP] second text [SEP] …

    Args:
        inputs: raw features of all types.
        features: the text features.
        spec: names the preset, whose word pieces these are.

    Returns:
        `bert_token_ids`: int64 `(batch, tokens)`. `bert_columns`: int64 `(batch, tokens)`, the number of the text that
        a token belongs to; [CLS] belongs to the first, each [SEP] to the text before it.
    """
    if not isinstance(spec.model, BertOptions):
        raise TypeError(f"Text for BERT needs `model.encoder: bert`. Received: {spec.model.encoder!r}")
    word_pieces = read_word_pieces(spec.model.preset)
    tokenizer = tf_text.FastWordpieceTokenizer(
        list(word_pieces.entries),
        max_bytes_per_word=4 * MAX_WORD_CHARACTERS,
        token_out_type=tf.int64,
        unknown_token=UNKNOWN,
        no_pretokenization=True,
        support_detokenization=False,
    )
    texts = {name: dense(inputs[name], "text") for name in features}
    parts, columns = [], []
    for column, (name, text) in enumerate(texts.items()):
        max_len = features[name].max_len
        words = split_bert_words(text, max_len, word_pieces.lowercase)
        pieces = tokenizer.tokenize(words).merge_dims(1, 2)[:, :max_len]
        marks = [tf.fill([tf.shape(text)[0], 1], tf.constant(mark, tf.int64)) for mark in word_pieces.cls_and_sep]
        parts.append(tf.concat([*marks[column:1], pieces, marks[1]], axis=1))
        columns.append(tf.ones_like(parts[-1]) * column)
    # Nothing is learnt here, but so the pieces lie in the SavedModel and are found like all other vocabularies.
    keep = functools.partial(_keep, entries=word_pieces.entries)
    learn_vocabulary(next(iter(texts.values()))[:0], VOCABULARY_FILE, keep)
    return {TOKEN_IDS: tf.concat(parts, axis=1).to_sparse(), COLUMNS: tf.concat(columns, axis=1).to_sparse()}


def _keep(counts: Counts, entries: tuple[str, ...]) -> list[bytes]:
    return [entry.encode() for entry in entries]


def vocabulary_files(features: Mapping[str, TextFeature]) -> list[str]:
    """Names of the vocabularies that `transform` left in the Transform graph."""
    return [VOCABULARY_FILE]


def keras_inputs(features: Mapping[str, TextFeature]) -> dict[str, keras.KerasTensor]:
    """The network's inputs: int32 `(batch, tokens)`, padded with 0."""
    return {key: keras.Input([None], dtype="int32", name=key) for key in (TOKEN_IDS, COLUMNS)}


def embed(
    tensors: Mapping[str, keras.KerasTensor],
    features: Mapping[str, TextFeature],
    vocabulary_sizes: Mapping[str, int],
    reader: BertReader,
) -> dict[str, Tokens]:
    """Has BERT read the sequence.

    Args:
        tensors: the network's inputs.
        features: the text features.
        vocabulary_sizes: not needed here.
        reader: the pretrained network.

    Returns:
        name of the first text feature → the encoded tokens of all.
    """
    reader.check_length(1 + sum(feature.max_len + 1 for feature in features.values()))
    padding_mask = ops.not_equal(tensors[TOKEN_IDS], PAD_ID)
    segment_ids = ops.minimum(tensors[COLUMNS], reader.num_segments - 1)
    read = reader.network({"token_ids": tensors[TOKEN_IDS], "segment_ids": segment_ids, "padding_mask": padding_mask})
    return {next(iter(features)): Tokens(read["sequence_output"], padding_mask, read["embeddings"])}


def row_names(features: Mapping[str, TextFeature], vocabularies: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """None: the word pieces are the preset's, which another training has in the same places."""
    return {}


def token_names(
    rows: Mapping[str, tf.Tensor],
    tensors: Mapping[str, tf.Tensor],
    features: Mapping[str, TextFeature],
    vocabularies: Mapping[str, list[str]],
) -> dict[str, TokenNames]:
    """Names each token for a reader: the word piece itself, [CLS] or [SEP], `""` on padding.

    Args:
        rows: dense raw features.
        tensors: the network's inputs.
        features: the text features.
        vocabularies: entries of each vocabulary file.

    Returns:
        name of the first text feature → the names of the tokens of all.
    """
    names = tf.gather(tf.constant(["", *vocabularies[VOCABULARY_FILE][PAD_ID + 1 :]]), tensors[TOKEN_IDS])
    origins = tf.gather(tf.constant(list(features)), tensors[COLUMNS])
    return {next(iter(features)): TokenNames(names, tf.where(names != b"", origins, ""))}
