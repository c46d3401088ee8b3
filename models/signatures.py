"""The SavedModel: raw values in, verdict and attention out, by the graph that training used.

`serving_default`, `examples`, `explain`, `embed` and each head's `classify` or `regress` are one function with many
mouths.
"""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from models.attention.rollout import rollout
from models.encoders.layer_attention import LAYERS, NETWORK, with_layer_attention
from models.input_fn import as_dense
from models.labels import Target, type_of
from models.modalities import modalities_of
from models.modalities.token_names import TokenNames
from models.raw import dtype_of, parse_examples, raw_types, transform_inputs
from models.spec import EMBEDDING, BertOptions, ModelSpec, of_head
from models.warmup import EMBED, EXAMPLES, EXPLAIN, SERVING_DEFAULT, write_warmup_requests
from models.weights import write_names

_CLASSES_FILE = "classes.txt"

_graph = functools.partial(tf.function, autograph=False)
"""Nothing here depends on values in Python, and AutoGraph would read the source of all layers to find that out."""


class ServedModel(tf.Module):
    """The network together with the Transform graph before it.

    Args:
        network: as `build_network` makes it.
        transform_output: the Transform graph that its training rows went through.
        spec: the features.
        vocabularies: entries of each vocabulary of the Transform graph.
        targets: head → what is predicted.
    """

    def __init__(
        self,
        network: keras.Model,
        transform_output: tft.TFTransformOutput,
        spec: ModelSpec,
        vocabularies: Mapping[str, list[str]],
        targets: Mapping[str, Target],
    ):
        super().__init__()
        self.transform_layer = transform_output.transform_features_layer()
        self.network_variables = [variable.value for variable in network.variables]
        self._network = lambda tensors: network(tensors, training=False)
        # For `explain` alone, so that all other signatures cost what they cost without it.
        with_scores = with_layer_attention(network) if spec.explain.layers or spec.explain.rollout else None
        self._network_told = (
            (lambda tensors: with_scores(tensors, training=False))
            if with_scores
            else (lambda tensors: {NETWORK: self._network(tensors), LAYERS: []})
        )
        self._feature_spec = transform_output.raw_feature_spec()
        self._spec = spec
        self._vocabularies = dict(vocabularies)
        self._answers = [
            (name, functools.partial(type_of(head).answer, head=head, target=targets[name]))
            for name, head in spec.heads.items()
        ]

    def predict(self, rows: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Judges rows.

        Args:
            rows: name → dense `(batch,)`; NaN and `""` are missing values.

        Returns:
            what each head answers, named by `of_head`: `label`: string `(batch,)`, `probabilities`: float32
            `(batch, classes)`, `classes`: string `(batch, classes)`; or `value`: float32 `(batch,)`.
        """
        return self._verdict(self._network(self._tensors(rows)))

    def predict_examples(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        """Judges rows in serialized tf.Examples, string `(batch,)`, in which any feature may be left out."""
        return self.predict(parse_examples(serialized, raw_types(self._spec)))

    def judge_examples(self, serialized: tf.Tensor, head: str) -> dict[str, tf.Tensor]:
        """Judges rows by one head, for the Classify API or the Regress API.

        Args:
            serialized: tf.Examples, string `(batch,)`.
            head: its name.

        Returns:
            `classes`: string `(batch, classes)` and `scores`: float32 `(batch, classes)`; or, of a head that predicts
            a number, `outputs`: float32 `(batch,)`.
        """
        verdict = self.predict_examples(serialized)
        if of_head(head, "value") in verdict:
            return {"outputs": verdict[of_head(head, "value")]}
        return {"classes": verdict[of_head(head, "classes")], "scores": verdict[of_head(head, "probabilities")]}

    def explain(self, rows: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Judges rows and says what the verdict was read from.

        Args:
            rows: as in `predict`.

        Returns:
            what `predict` returns, and of the same pass through the network `attention`: float32 `(batch, tokens)`,
            `tokens`: string `(batch, tokens)`, the readable name of each token, and `token_features`: string
            `(batch, tokens)`, the feature it comes from; `""` and 0 on padding. What `_of_layers` tells, if the spec
            wants it.
        """
        tensors = self._tensors(rows)
        told = self._network_told(tensors)
        outputs = told[NETWORK]
        names: dict[str, TokenNames] = {}
        for modality, features in modalities_of(self._spec):
            names |= modality.token_names(rows, tensors, features, self._vocabularies)
        in_order = {name: names[name] for name in self._spec.inputs if name in names}
        tokens, origins = (tf.concat(part, axis=1) for part in zip(*in_order.values(), strict=True))
        attention = {"attention": outputs["attention"], "tokens": tokens, "token_features": origins}
        return self._verdict(outputs) | attention | self._of_layers(told[LAYERS], in_order, outputs["attention"])

    def embed(self, rows: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Places rows where those of one class are near each other.

        Args:
            rows: as in `predict`.

        Returns:
            `embedding`: float32 `(batch, embedding_dim)`, of length 1: a product of two is their cosine.
        """
        return {EMBEDDING: self._network(self._tensors(rows))[EMBEDDING]}

    def _of_layers(
        self, scores: Sequence[tf.Tensor], names: Mapping[str, TokenNames], attention: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What the layers of the encoder attended to, as far as the spec wants it.

        Args:
            scores: of each layer from the first on, float `(batch, heads, queries, keys)`.
            names: feature → its tokens, in their order.
            attention: of the pooling, float `(batch, tokens)`.

        Returns:
            `layer_attention`: float32 `(batch, layers, heads, layer_tokens, layer_tokens)`, of the layers asked for; a
            row is a query and sums to 1 over the keys; queries and keys that are padding are 0. `layer_tokens`: string
            `(batch, layer_tokens)`, the tokens that the layers read: all, or of a BERT its word pieces, which others
            join above it. `rollout`: float32 `(batch, tokens)`, sum 1; a token that no layer read keeps its attention.
        """
        bert = isinstance(self._spec.model, BertOptions)
        read = [name for name in names if not bert or self._spec.features[name].type == "text"]
        pieces, origins = (tf.concat(part, axis=1) for part in zip(*(names[name] for name in read), strict=True))
        told: dict[str, tf.Tensor] = {}
        places = self._spec.explain.places(len(scores))
        if places:
            is_query = tf.cast(origins != b"", tf.float32)[:, tf.newaxis, tf.newaxis, :, tf.newaxis]
            told["layer_attention"] = tf.stack([scores[place] for place in places], axis=1) * is_query
            told["layer_tokens"] = pieces
        if self._spec.explain.rollout:
            widths = [tf.shape(part.names)[1] for part in names.values()]
            first = list(names).index(read[0])
            sizes = [sum(widths[:first]), tf.shape(pieces)[1], sum(widths[first + len(read) :])]
            before, inside, after = tf.split(attention, sizes, axis=1)
            told["rollout"] = tf.concat([before, rollout(inside, scores), after], axis=1)
        return told

    def _tensors(self, rows: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return as_dense(self.transform_layer(transform_inputs(rows, self._feature_spec)))

    def _verdict(self, outputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {
            of_head(name, part): tensor
            for name, answer in self._answers
            for part, tensor in answer(outputs[of_head(name, "logits")]).items()
        }


def export_model(
    network: keras.Model,
    transform_output: tft.TFTransformOutput,
    spec: ModelSpec,
    vocabularies: Mapping[str, list[str]],
    targets: Mapping[str, Target],
    example_patterns: Sequence[str],
    directory: str,
) -> None:
    """Writes the SavedModel with its signatures, class names, recorded requests, and what its weights stand for.

    Args:
        network: trained.
        transform_output: the Transform graph that its training rows went through.
        spec: the features.
        vocabularies: entries of each vocabulary of the Transform graph.
        targets: head → what is predicted.
        example_patterns: files of raw tf.Examples; the recorded requests are made of their first rows.
        directory: of the SavedModel.
    """
    model = ServedModel(network, transform_output, spec, vocabularies, targets)
    tf.saved_model.save(model, directory, signatures=_signatures(model, spec))
    _set_methods(directory, spec)
    extra = os.path.join(directory, "assets.extra")
    tf.io.gfile.makedirs(extra)
    for head, target in targets.items():
        if target.classes:
            with tf.io.gfile.GFile(os.path.join(extra, of_head(head, _CLASSES_FILE)), "w") as file:
                file.write("".join(f"{name}\n" for name in target.classes))
    write_warmup_requests(model, spec, example_patterns, extra)
    write_names(network, spec, vocabularies, targets, directory)


def _signatures(model: ServedModel, spec: ModelSpec) -> dict[str, Any]:
    types = raw_types(spec)
    rows = {name: tf.TensorSpec([None], dtype_of(feature_type), name=name) for name, feature_type in types.items()}
    serialized = tf.TensorSpec([None], tf.string)

    def of_rows(answer: Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]]) -> Any:
        return _graph(lambda **rows: answer(rows)).get_concrete_function(**rows)

    def of_one_head(head: str) -> Any:
        return _graph(lambda inputs: model.judge_examples(inputs, head)).get_concrete_function(serialized)

    signatures = {
        SERVING_DEFAULT: of_rows(model.predict),
        EXPLAIN: of_rows(model.explain),
        EXAMPLES: _graph(lambda examples: model.predict_examples(examples)).get_concrete_function(serialized),
        **{signature: of_one_head(head) for signature, head in spec.signatures.items()},
    }
    if spec.embedding_head:
        signatures[EMBED] = of_rows(model.embed)
    return signatures


def _set_methods(directory: str, spec: ModelSpec) -> None:
    """TensorFlow 2 marks every signature for the Predict API; TF Serving's Classify and Regress want their own."""
    constants = tf.compat.v1.saved_model.signature_constants
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(directory)
    for signature, head in spec.signatures.items():
        is_number = spec.heads[head].type == "regression"
        method = constants.REGRESS_METHOD_NAME if is_number else constants.CLASSIFY_METHOD_NAME
        updater.replace_method_name(signature, method)
    updater.save()
