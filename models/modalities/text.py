"""Text: one token a word piece; all text features share one vocabulary and one embedding."""

from collections.abc import Mapping

import keras
import tensorflow as tf
from keras import ops

from models.encoders.bigram_embedding import BigramEmbedding
from models.encoders.position_embedding import PositionEmbedding
from models.modalities.token_names import TokenNames, of_feature
from models.modalities.tokens import Tokens
from models.raw import dense
from models.spec import ModelOptions, ModelSpec, TextFeature
from models.word_pieces import EMPTY_ID, PAD, PAD_ID, VOCABULARY_FILE, learn_tokenizer, split_words

WORD_PIECES = f"{VOCABULARY_FILE}/embeddings"
"""Path of the weight with a row for each word piece."""

BIGRAM_TABLE = "bigrams/table/embeddings"
"""Path of the hashed table of pairs of word pieces."""


def transform(
    inputs: Mapping[str, tf.Tensor | tf.SparseTensor], features: Mapping[str, TextFeature], spec: ModelSpec
) -> dict[str, tf.SparseTensor]:
    """Cleans the texts and turns them into word pieces.

    Args:
        inputs: raw features of all types.
        features: the text features.
        spec: how to clean, and how many word pieces to learn.

    Returns:
        `<name>_token_ids`: int64 `(batch, tokens)`; at least one and at most `max_len` tokens a row.
    """
    words = {
        name: split_words(dense(inputs[name], "text"), feature.max_len, spec.text.lowercase)
        for name, feature in features.items()
    }
    tokenizer = learn_tokenizer(
        tf.concat([text.flat_values for text in words.values()], axis=0), spec.text.vocabulary_size
    )
    return {
        f"{name}_token_ids": _never_empty(tokenizer.tokenize(text).merge_dims(1, 2)[:, : features[name].max_len])
        for name, text in words.items()
    }


def _never_empty(token_ids: tf.RaggedTensor) -> tf.SparseTensor:
    """Gives a row without tokens the one token that says so."""
    tokens = token_ids.to_sparse()
    shape = tf.maximum(tokens.dense_shape, [0, 1])
    tokens = tf.SparseTensor(tokens.indices, tokens.values, shape)
    return tf.sparse.fill_empty_rows(tokens, tf.constant(EMPTY_ID, tokens.dtype))[0]


def vocabulary_files(features: Mapping[str, TextFeature]) -> list[str]:
    """Names of the vocabularies that `transform` left in the Transform graph."""
    return [VOCABULARY_FILE] if features else []


def keras_inputs(features: Mapping[str, TextFeature]) -> dict[str, keras.KerasTensor]:
    """The network's inputs: int32 `(batch, tokens)`, padded with `PAD_ID`."""
    return {key: keras.Input([None], dtype="int32", name=key) for key in (f"{name}_token_ids" for name in features)}


def embed(
    tensors: Mapping[str, keras.KerasTensor],
    features: Mapping[str, TextFeature],
    vocabulary_sizes: Mapping[str, int],
    reader: ModelOptions,
) -> dict[str, Tokens]:
    """Looks up the word pieces, adds what each means behind the one before it, and their positions.

    Args:
        tensors: the network's inputs.
        features: the text features.
        vocabulary_sizes: entries of each vocabulary file.
        reader: size of a token's vector, and the table of bigrams.

    Returns:
        feature name → its tokens.
    """
    pieces = keras.layers.Embedding(vocabulary_sizes[VOCABULARY_FILE], reader.hidden_dim, name=VOCABULARY_FILE)
    bigrams = None
    if reader.bigram_buckets:
        bigrams = BigramEmbedding(
            reader.bigram_buckets, reader.bigram_dim, reader.hidden_dim, reader.bigram_dropout, name="bigrams"
        )
    tokens = {}
    for name, feature in features.items():
        token_ids = tensors[f"{name}_token_ids"]
        positions = PositionEmbedding(feature.max_len, name=f"{name}_positions")
        vectors = pieces(token_ids) if bigrams is None else pieces(token_ids) + bigrams(token_ids)
        tokens[name] = Tokens(positions(vectors), ops.not_equal(token_ids, PAD_ID))
    return tokens


def row_names(features: Mapping[str, TextFeature], vocabularies: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Names the rows of the looked-up weights: the word pieces, and the positions.

    Returns:
        path of a variable → the names of its rows, each once.
    """
    positions = {
        f"{name}_positions/positions": [str(place) for place in range(feature.max_len)]
        for name, feature in features.items()
    }
    return {WORD_PIECES: vocabularies[VOCABULARY_FILE], **positions}


def token_names(
    rows: Mapping[str, tf.Tensor],
    tensors: Mapping[str, tf.Tensor],
    features: Mapping[str, TextFeature],
    vocabularies: Mapping[str, list[str]],
) -> dict[str, TokenNames]:
    """Names each token for a reader: the word piece itself, `""` on padding.

    Args:
        rows: dense raw features.
        tensors: the network's inputs.
        features: the text features.
        vocabularies: entries of each vocabulary file.

    Returns:
        feature name → the names of its tokens.
    """
    names = {}
    for name in features:
        pieces = tf.constant(["" if piece == PAD else piece for piece in vocabularies[VOCABULARY_FILE]])
        names[name] = of_feature(name, tf.gather(pieces, tensors[f"{name}_token_ids"]))
    return names
