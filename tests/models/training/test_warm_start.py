"""A later training goes on from an older network, also when words, categories and classes are others now."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.encoders.bigram_embedding import bucket_of
from models.labels import Target
from models.modalities.text import BIGRAM_TABLE, WORD_PIECES
from models.network import build_network
from models.spec import (
    CategoryFeature,
    ModelOptions,
    ModelSpec,
    MultiLabelHead,
    OrdinalHead,
    RegressionHead,
    SingleLabelHead,
    TextFeature,
)
from models.training.warm_start import take_over
from models.weights import SavedWeights, Weight, named_axes

PIECES = ["<pad>", "<unk>", "good", "bad"]
GROWN_PIECES = ["<pad>", "<unk>", "new", "bad", "good"]
TARGETS = {
    "label": Target(("no", "yes")),
    "topics": Target(("fit", "price")),
    "stars": Target(("1", "2", "3", "4")),
    "price": Target(mean=10.0, deviation=2.0),
}
GROWN_TARGETS = {
    "label": Target(("maybe", "no", "yes")),
    "topics": Target(("fit", "price", "quality")),
    "stars": Target(("1", "2", "3", "4", "5")),
    "price": Target(mean=12.0, deviation=4.0),
}


def make(seed, pieces=PIECES, values=("a", "b"), targets=TARGETS, max_len=6, **sizes):
    """A network with random weights, its spec and its vocabularies."""
    spec = ModelSpec(
        name="reviews",
        features={"review": TextFeature(max_len=max_len), "shop": CategoryFeature(num_oov_buckets=1)},
        heads={
            "label": SingleLabelHead(similarity="triplet", embedding_dim=3),
            "topics": MultiLabelHead(),
            "stars": OrdinalHead(),
            "price": RegressionHead(),
        },
        model=ModelOptions(**{"hidden_dim": 8, "num_heads": 2, "feedforward_dim": 8, "bigram_buckets": 64} | sizes),
    )
    vocabularies = {"word_pieces": list(pieces), "shop_values": list(values)}
    keras.utils.set_random_seed(seed)
    network = build_network(spec, {name: len(entries) for name, entries in vocabularies.items()}, targets)
    generator = np.random.default_rng(seed)
    for variable in network.trainable_variables:
        variable.assign(generator.normal(size=variable.shape))
    return network, spec, vocabularies, targets


def saved(network, spec, vocabularies, targets):
    axes = named_axes(spec, vocabularies, targets)
    by_path = {each.path: Weight(np.asarray(each), axes.get(each.path)) for each in network.variables}
    return SavedWeights(by_path, dict(targets))


def weight(network, path):
    return next(np.asarray(variable) for variable in network.variables if variable.path == path)


def ask(network, token_ids, shop):
    return network({"review_token_ids": np.array([token_ids], np.int32), "shop_id": np.array([[shop]], np.int32)})


TEXTS = [tf.ragged.constant([[4, 3], [2, 4, 3, 3], [3]], dtype=tf.int64)]


def test_the_same_network_answers_the_same():
    old, new = make(0), make(1)
    take_over(new[0], saved(*old), *new[1:], TEXTS)
    for name, value in ask(old[0], [2, 3, 3], 1).items():
        np.testing.assert_array_equal(value, ask(new[0], [2, 3, 3], 1)[name])


def test_what_both_know_keeps_its_meaning_where_it_stands_now():
    old = make(0)
    new = make(1, GROWN_PIECES, ("c", "b", "a"), GROWN_TARGETS, max_len=8)
    fresh = {variable.path: np.asarray(variable) for variable in new[0].variables}
    take_over(new[0], saved(*old), *new[1:], TEXTS)
    before, after = ask(old[0], [2, 3, 3], 1), ask(new[0], [4, 3, 3], 3)  # "good bad bad" of the shop "a"

    np.testing.assert_allclose(after["attention"], before["attention"], atol=1e-5)
    np.testing.assert_allclose(after["embedding"], before["embedding"], atol=1e-5)
    np.testing.assert_allclose(after["logits"][:, 1:], before["logits"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(after["topics_logits"][:, :2], before["topics_logits"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(after["stars_logits"][:, :3], before["stars_logits"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        np.asarray(after["price_logits"]) * 4 + 12, np.asarray(before["price_logits"]) * 2 + 10, rtol=1e-4, atol=1e-4
    )
    np.testing.assert_array_equal(weight(new[0], WORD_PIECES)[2], fresh[WORD_PIECES][2])
    np.testing.assert_array_equal(weight(new[0], "logits/kernel")[:, 0], fresh["logits/kernel"][:, 0])
    np.testing.assert_array_equal(
        weight(new[0], "review_positions/positions")[6:], fresh["review_positions/positions"][6:]
    )


def test_pairs_in_one_row_of_the_table_get_their_mean_and_unseen_ones_nothing():
    old = make(0, bigram_buckets=1024)
    new = make(1, GROWN_PIECES, bigram_buckets=1)
    take_over(new[0], saved(*old), *new[1:], TEXTS)
    table = weight(old[0], BIGRAM_TABLE)
    # The train split's pairs by the new ids, without those of the piece 2, which is new: 0 stands before a text.
    pairs = [(0, 4), (4, 3), (4, 3), (3, 3), (0, 3)]
    old_id = {0: 0, 3: 3, 4: 2}
    expected = np.mean([table[bucket_of(old_id[a], old_id[b], 1024)] for a, b in pairs], axis=0)
    np.testing.assert_allclose(weight(new[0], BIGRAM_TABLE)[0], expected, rtol=1e-5)

    new = make(1, GROWN_PIECES, bigram_buckets=1024)
    take_over(new[0], saved(*old), *new[1:], TEXTS)
    assert not weight(new[0], BIGRAM_TABLE)[bucket_of(2, 2, 1024)].any()


def test_what_does_not_fit_stays_fresh_and_is_named(caplog):
    old, new = make(0), make(1, hidden_dim=12)
    fresh = {variable.path: np.asarray(variable) for variable in new[0].variables}
    with caplog.at_level("INFO", logger="attention"):
        take_over(new[0], saved(*old), *new[1:], TEXTS)
    assert "fresh are word_pieces/embeddings" in caplog.text
    for variable in new[0].trainable_variables:
        if 12 in variable.shape:  # the size of a token's vector, which was 8
            np.testing.assert_array_equal(variable, fresh[variable.path])
    np.testing.assert_array_equal(weight(new[0], "block_0/inner/bias"), weight(old[0], "block_0/inner/bias"))


def test_an_old_network_without_the_head_leaves_the_new_head_fresh():
    old, new = make(0), make(1)
    weights = saved(*old)
    for path in [path for path in weights.by_path if path.startswith("price_logits")]:
        del weights.by_path[path]
    weights.targets.pop("price")
    before = weight(new[0], "price_logits/kernel")
    take_over(new[0], weights, *new[1:], TEXTS)
    np.testing.assert_array_equal(weight(new[0], "price_logits/kernel"), before)


@pytest.mark.parametrize("classes", [("1", "2"), ("x", "y", "z")])
def test_thresholds_between_other_levels_are_fresh(classes):
    old = make(0)
    new = make(1, targets={**TARGETS, "stars": Target(classes)})
    fresh = weight(new[0], "stars_logits/steps_bias")
    take_over(new[0], saved(*old), *new[1:], TEXTS)
    np.testing.assert_array_equal(weight(new[0], "stars_logits/steps_bias"), fresh)
