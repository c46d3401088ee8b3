"""Learning similarity: rows of a class come near each other, and all else goes on as it did."""

import keras
import numpy as np
import pytest

from models.input_fn import batches, read_split, sorted_rows
from models.labels import Target
from models.network import build_network
from models.spec import SingleLabelHead
from models.training.loop import train

pytestmark = pytest.mark.slow

TARGETS = {"label": Target(("no", "yes"))}
SIZES = {"word_pieces": 200, "department_values": 2}


@pytest.fixture(scope="module")
def data(spec, splits, transform_output):
    return tuple(read_split([splits[name]], transform_output, spec) for name in ("train", "eval"))


@pytest.fixture(scope="module")
def trained(spec, data, tmp_path_factory):
    """Function of the options of the head that gives the trained network and how it went; each once."""
    done = {}

    def train_with(similarity):
        if similarity not in done:
            head = SingleLabelHead(similarity=similarity, embedding_dim=4)
            options = spec.train.model_copy(update={"epochs": 8, "early_stopping_patience": 0})
            own = spec.model_copy(update={"heads": {"label": head}, "train": options})
            keras.utils.set_random_seed(0)
            network = build_network(own, SIZES, TARGETS)
            directory = tmp_path_factory.mktemp(similarity)
            done[similarity] = (
                network,
                train(network, *data, own, TARGETS, str(directory / "checkpoint"), str(directory / "log")),
            )
        return done[similarity]

    return train_with


def vectors_of(network, split, layer):
    """What a layer makes of the rows of a split, each of length 1, and their classes."""
    output = network.get_layer(layer).output
    part = keras.Model(network.inputs, output[0] if isinstance(output, list | tuple) else output)
    ((features, labels),) = batches(split, sorted_rows(split.lengths), len(split))
    vectors = np.asarray(part(features, training=False))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels["label"].numpy()


def gap(vectors, ids):
    """Mean cosine of two rows of one class, less that of rows of two classes."""
    cosines, same = vectors @ vectors.T, ids[:, None] == ids[None, :]
    return cosines[same & ~np.eye(len(ids), dtype=bool)].mean() - cosines[~same].mean()


@pytest.mark.parametrize("similarity", ["contrastive", "triplet"])
def test_rows_of_a_class_are_nearer_to_each_other_than_without_it(trained, data, similarity):
    plain, _ = trained("none")
    network, outcome = trained(similarity)
    vectors, ids = vectors_of(network, data[1], "embedding")
    assert vectors.shape == (40, 4)
    assert gap(vectors, ids) > gap(*vectors_of(plain, data[1], "attention")) + 0.1  # what is pooled, the 1st of two
    assert outcome.curve[-1]["similarity_loss"] < outcome.curve[0]["similarity_loss"]


def test_the_curve_keeps_its_names_and_its_loss_holds_the_new_one(trained):
    _, plain = trained("none")
    _, outcome = trained("contrastive")
    assert outcome.curve[0].keys() - plain.curve[0].keys() == {"similarity_loss", "val_similarity_loss"}
    assert outcome.curve[0]["val_loss"] > 0.5 * outcome.curve[0]["val_similarity_loss"]
    assert outcome.curve[-1]["val_accuracy"] > 0.9


def test_without_it_there_is_no_embedding(trained):
    assert trained("none")[0].output.keys() == {"logits", "attention"}
