"""Small SavedModels of plain `tf.Module`s, exported as a trainer of this project would."""

from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

TEXT = tf.TensorSpec([None], tf.string)
NUMBER = tf.TensorSpec([None], tf.float32)


class Reviews(tf.Module):
    """Says `yes` to texts with `good` in them: the four signatures of the pipeline over one text and one number."""

    def __init__(self, bias: float = 0.0, weights: int = 1, steps: int = 0) -> None:
        super().__init__()
        self.steps = steps
        self.bias = tf.Variable(tf.fill([weights], bias), trainable=False)
        self.classes = tf.constant(["no", "yes"])

    def logic(self, review, age):
        batch = tf.shape(review)[0]
        good = tf.cast(tf.strings.regex_full_match(review, "(?s).*good.*"), tf.float32)
        old = tf.where(tf.math.is_nan(age), 0.0, age) / 1000.0
        yes = 0.25 + 0.5 * good + old + self.bias[0]
        if self.steps:
            (counted,) = tf.while_loop(lambda i: i < self.steps, lambda i: (i + 1,), (tf.zeros([], tf.int32),))
            yes += 0.0 * tf.cast(counted, tf.float32)
        probabilities = tf.stack([1.0 - yes, yes], axis=1)
        label = tf.gather(self.classes, tf.argmax(probabilities, axis=1))
        return {"label": label, "probabilities": probabilities, "classes": tf.tile(self.classes[None], [batch, 1])}

    def parsed(self, examples):
        spec = {
            "review": tf.io.FixedLenFeature([], tf.string, default_value=""),
            "age": tf.io.FixedLenFeature([], tf.float32, default_value=float("nan")),
        }
        features = tf.io.parse_example(examples, spec)
        return self.logic(features["review"], features["age"])

    def classified(self, inputs):
        outputs = self.parsed(inputs)
        return {"classes": outputs["classes"], "scores": outputs["probabilities"]}

    def explained(self, review, age):
        # A word is cut into three letters and its rest; `goo` draws more attention than all else.
        words = tf.strings.split(review)
        heads = tf.strings.regex_replace(words, "^(.{1,3}).*$", r"\1")
        rests = tf.strings.regex_replace(words, "^.{1,3}", "")
        pieces = tf.stack([heads, tf.where(rests == "", "", "##" + rests)], axis=-1)
        pieces = pieces.merge_dims(1, 2)
        pieces = tf.ragged.boolean_mask(pieces, pieces != "")
        start = tf.fill([tf.shape(review)[0], 1], "[START]")
        number = tf.strings.join(["age=", tf.strings.as_string(age, precision=0)])[:, None]
        tokens = tf.concat([start, pieces, number], axis=1)
        flat = tokens.flat_values
        features = tf.where(tf.strings.regex_full_match(flat, "age=.*"), "age", "review")
        scores = 1.0 + 3.0 * tf.cast(tf.strings.regex_full_match(flat, "goo"), tf.float32)
        scores = tokens.with_flat_values(scores)
        return self.logic(review, age) | {
            "tokens": tokens.to_tensor(""),
            "token_features": tokens.with_flat_values(features).to_tensor(""),
            "attention": (scores / tf.reduce_sum(scores, axis=1, keepdims=True)).to_tensor(0.0),
        }


def export_reviews(path: Path, bias: float = 0.0, weights: int = 1, steps: int = 0) -> None:
    """Writes a `Reviews` with its four signatures and one recorded request; `steps` of a loop make it slow."""
    module = Reviews(bias, weights, steps)
    functions = {
        "serving_default": tf.function(lambda review, age: module.logic(review, age)).get_concrete_function(
            review=tf.TensorSpec([None], tf.string, "review"), age=tf.TensorSpec([None], tf.float32, "age")
        ),
        "explain": tf.function(lambda review, age: module.explained(review, age)).get_concrete_function(
            review=tf.TensorSpec([None], tf.string, "review"), age=tf.TensorSpec([None], tf.float32, "age")
        ),
        "examples": tf.function(lambda examples: module.parsed(examples)).get_concrete_function(
            examples=tf.TensorSpec([None], tf.string, "examples")
        ),
        "classify": tf.function(lambda inputs: module.classified(inputs)).get_concrete_function(
            inputs=tf.TensorSpec([None], tf.string, "inputs")
        ),
    }
    tf.saved_model.save(module, str(path), signatures=functions)
    _rename_methods(path, classify="classify")
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "reviews"
    request.inputs["review"].CopyFrom(tf.make_tensor_proto(["a good dress"]))
    request.inputs["age"].CopyFrom(tf.make_tensor_proto([34.0]))
    write_warmup(path, request)


class Numbers(tf.Module):
    """Signatures of many shapes, for what the four of the pipeline do not show."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = tf.Variable(0.5)

    def half_plus_two(self, x):
        return {"y": x * self.scale + 2.0}

    def product(self, a, b):
        return {"c": tf.matmul(a, b)}

    def regressed(self, inputs):
        features = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0])})
        return {"outputs": features["x"] * self.scale + 2.0}

    def classified(self, inputs):
        return {"scores": tf.concat([self.regressed(inputs)["outputs"]] * 2, axis=1)}

    def flat(self, inputs):
        return {"scores": self.regressed(inputs)["outputs"][:, 0]}

    def slow(self, steps):
        (counted,) = tf.while_loop(lambda i: i < steps, lambda i: (i + 1,), (tf.zeros([], tf.int32),))
        return {"counted": counted}

    def echo(self, **values):
        return {name + "_out": tf.identity(value) for name, value in values.items()} | {
            "raw_bytes": tf.identity(values["text"])
        }


ECHO_TYPES = {
    "text": tf.string,
    "int32": tf.int32,
    "int64": tf.int64,
    "uint8": tf.uint8,
    "flag": tf.bool,
    "double": tf.float64,
    "half": tf.float16,
    "brain": tf.bfloat16,
    "complex": tf.complex64,
}


def export_numbers(path: Path) -> None:
    """Writes a `Numbers`."""
    module = Numbers()
    matrix = tf.TensorSpec([None, None], tf.float32)
    examples = tf.TensorSpec([None], tf.string)
    json_types = ("text", "int32", "int64", "uint8", "flag", "double")
    echo = {name: tf.TensorSpec(None, dtype, name) for name, dtype in ECHO_TYPES.items()}
    functions = {
        "serving_default": tf.function(lambda x: module.half_plus_two(x)).get_concrete_function(
            x=tf.TensorSpec(None, tf.float32, "x")
        ),
        "product": tf.function(lambda a, b: module.product(a, b)).get_concrete_function(a=matrix, b=matrix),
        "regress": tf.function(lambda inputs: module.regressed(inputs)).get_concrete_function(inputs=examples),
        "classify": tf.function(lambda inputs: module.classified(inputs)).get_concrete_function(inputs=examples),
        "classify_flat": tf.function(lambda inputs: module.flat(inputs)).get_concrete_function(inputs=examples),
        "two_inputs": tf.function(lambda a, b: module.product(a, b)).get_concrete_function(a=matrix, b=matrix),
        "slow": tf.function(lambda steps: module.slow(steps)).get_concrete_function(
            steps=tf.TensorSpec([], tf.int32, "steps")
        ),
        "echo": tf.function(lambda **values: module.echo(**values)).get_concrete_function(**echo),
        "echo_json": tf.function(lambda **values: module.echo(**values)).get_concrete_function(
            **{name: echo[name] for name in json_types}
        ),
    }
    tf.saved_model.save(module, str(path), signatures=functions)
    _rename_methods(path, classify="classify", classify_flat="classify", regress="regress", two_inputs="classify")


def write_warmup(path: Path, *requests: predict_pb2.PredictRequest) -> None:
    """Records Predict requests beside a SavedModel."""
    extra = path / "assets.extra"
    extra.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.CopyFrom(request)
            writer.write(log.SerializeToString())


def _rename_methods(path: Path, **methods: str) -> None:
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(path))
    for signature, method in methods.items():
        updater.replace_method_name(signature, f"tensorflow/serving/{method}", tags="serve")
    updater.save()
