"""The SavedModel: raw values in, verdict and attention out, by the graph that training used.

`serving_default`, `examples`, `classify` and `explain` are one function with different mouths.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from models.input_fn import as_ragged, pad
from models.modalities import modalities_of
from models.modalities.token_names import TokenNames
from models.raw import dtype_of, parse_examples, raw_types, transform_inputs
from models.spec import ModelSpec
from models.warmup import write_warmup_requests

SERVING_DEFAULT, EXAMPLES, CLASSIFY, EXPLAIN = "serving_default", "examples", "classify", "explain"

_CLASSES_FILE = "classes.txt"


class ServedModel(tf.Module):
    """The network together with the Transform graph before it.

    Args:
        network: as `build_network` makes it.
        transform_output: the Transform graph that its training rows went through.
        spec: the features.
        vocabularies: entries of each vocabulary of the Transform graph.
        classes: class names in the order of their ids.
    """

    def __init__(
        self,
        network: keras.Model,
        transform_output: tft.TFTransformOutput,
        spec: ModelSpec,
        vocabularies: Mapping[str, list[str]],
        classes: Sequence[str],
    ):
        super().__init__()
        self.transform_layer = transform_output.transform_features_layer()
        self.network_variables = [variable.value for variable in network.variables]
        self._network = lambda tensors: network(tensors, training=False)
        self._feature_spec = transform_output.raw_feature_spec()
        self._spec = spec
        self._vocabularies = dict(vocabularies)
        self._classes = tuple(classes)

    def predict(self, rows: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Judges rows.

        Args:
            rows: name → dense `(batch,)`; NaN and `""` are missing values.

        Returns:
            `label`: string `(batch,)`, `probabilities`: float32 `(batch, classes)`, `classes`: string
            `(batch, classes)`.
        """
        return self._verdict(self._network(self._tensors(rows))["logits"])

    def predict_examples(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        """Judges rows in serialized tf.Examples, string `(batch,)`, in which any feature may be left out."""
        return self.predict(parse_examples(serialized, raw_types(self._spec)))

    def classify(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        """Judges rows for the Classify API.

        Args:
            serialized: tf.Examples, string `(batch,)`.

        Returns:
            `classes`: string `(batch, classes)`, `scores`: float32 `(batch, classes)`.
        """
        verdict = self.predict_examples(serialized)
        return {"classes": verdict["classes"], "scores": verdict["probabilities"]}

    def explain(self, rows: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Judges rows and says what the verdict was read from.

        Args:
            rows: as in `predict`.

        Returns:
            what `predict` returns, and of the same pass through the network `attention`: float32 `(batch, tokens)`,
            `tokens`: string `(batch, tokens)`, the readable name of each token, and `token_features`: string
            `(batch, tokens)`, the feature it comes from; `""` and 0 on padding.
        """
        tensors = self._tensors(rows)
        outputs = self._network(tensors)
        names: dict[str, TokenNames] = {}
        for modality, features in modalities_of(self._spec):
            names |= modality.token_names(rows, tensors, features, self._vocabularies)
        parts = [names[name] for name in self._spec.inputs if name in names]
        tokens = tf.concat([part.names for part in parts], axis=1)
        origins = tf.concat([part.features for part in parts], axis=1)
        attention = {"attention": outputs["attention"], "tokens": tokens, "token_features": origins}
        return self._verdict(outputs["logits"]) | attention

    def _tensors(self, rows: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return pad(as_ragged(self.transform_layer(transform_inputs(rows, self._feature_spec))))

    def _verdict(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        classes = tf.constant(self._classes)
        return {
            "label": tf.gather(classes, tf.argmax(logits, axis=-1)),
            "probabilities": tf.nn.softmax(logits),
            "classes": tf.tile(classes[tf.newaxis], [tf.shape(logits)[0], 1]),
        }


def export_model(
    network: keras.Model,
    transform_output: tft.TFTransformOutput,
    spec: ModelSpec,
    vocabularies: Mapping[str, list[str]],
    classes: Sequence[str],
    example_patterns: Sequence[str],
    directory: str,
) -> None:
    """Writes the SavedModel with its four signatures, class names, and recorded requests.

    Args:
        network: trained.
        transform_output: the Transform graph that its training rows went through.
        spec: the features.
        vocabularies: entries of each vocabulary of the Transform graph.
        classes: class names in the order of their ids.
        example_patterns: files of raw tf.Examples; the recorded requests are made of their first rows.
        directory: of the SavedModel.
    """
    model = ServedModel(network, transform_output, spec, vocabularies, classes)
    tf.saved_model.save(model, directory, signatures=_signatures(model, spec))
    _set_classify_method(directory)
    extra = os.path.join(directory, "assets.extra")
    tf.io.gfile.makedirs(extra)
    with tf.io.gfile.GFile(os.path.join(extra, _CLASSES_FILE), "w") as file:
        file.write("".join(f"{name}\n" for name in classes))
    write_warmup_requests(model, spec, example_patterns, extra)


def _signatures(model: ServedModel, spec: ModelSpec) -> dict[str, Any]:
    types = raw_types(spec)
    rows = {name: tf.TensorSpec([None], dtype_of(feature_type), name=name) for name, feature_type in types.items()}
    serialized = tf.TensorSpec([None], tf.string)
    return {
        SERVING_DEFAULT: tf.function(lambda **rows: model.predict(rows)).get_concrete_function(**rows),
        EXPLAIN: tf.function(lambda **rows: model.explain(rows)).get_concrete_function(**rows),
        EXAMPLES: tf.function(lambda examples: model.predict_examples(examples)).get_concrete_function(serialized),
        CLASSIFY: tf.function(lambda inputs: model.classify(inputs)).get_concrete_function(serialized),
    }


def _set_classify_method(directory: str) -> None:
    """TensorFlow 2 marks every signature for the Predict API; TF Serving's Classify API wants its own mark."""
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(directory)
    updater.replace_method_name(CLASSIFY, tf.compat.v1.saved_model.signature_constants.CLASSIFY_METHOD_NAME)
    updater.save()
