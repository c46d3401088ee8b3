import keras
import numpy as np
import pytest

from models.encoders.position_embedding import PositionEmbedding
from models.encoders.self_attention import EncoderBlock, FeatureEmbedding, self_attention
from models.modalities.tokens import Tokens
from models.spec import ModelOptions


@pytest.fixture
def encoder():
    inputs = {name: (keras.Input([None, 4]), keras.Input([None], dtype="bool")) for name in ("a", "b")}
    encoded = self_attention(
        {name: Tokens(*pair) for name, pair in inputs.items()},
        ModelOptions(hidden_dim=4, num_heads=2, feedforward_dim=8, num_layers=2),
    )
    return keras.Model(inputs, [encoded.vectors, encoded.padding_mask])


def test_joins_the_features_in_their_order(encoder):
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 3, 4)), random.normal(size=(2, 1, 4))
    vectors, mask = encoder({"a": (a, np.array([[True] * 3, [True, False, False]])), "b": (b, np.ones((2, 1), bool))})
    assert vectors.shape == (2, 4, 4)
    assert np.asarray(mask).tolist() == [[True] * 4, [True, False, False, True]]


def test_the_same_token_of_another_feature_is_another_token(encoder):
    token = np.ones((1, 1, 4))
    vectors, _ = encoder({"a": (token, np.ones((1, 1), bool)), "b": (token, np.ones((1, 1), bool))})
    assert np.abs(vectors[0, 0] - vectors[0, 1]).max() > 1e-4


@pytest.mark.parametrize(
    "layer", [EncoderBlock(2, 8, 0.1, name="block"), PositionEmbedding(5, name="where"), FeatureEmbedding(name="what")]
)
def test_layers_come_back_from_their_config(layer):
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_positions_are_told_apart_and_short_rows_get_the_first():
    layer = PositionEmbedding(5)
    long = np.asarray(layer(np.zeros((1, 5, 4))))
    assert len(np.unique(long[0], axis=0)) == 5
    np.testing.assert_array_equal(layer(np.zeros((1, 2, 4))), long[:, :2])
