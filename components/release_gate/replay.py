"""Loads a SavedModel as TF Serving does and replays its recorded requests. Run as a script in a process of its own.

    python -I replay.py MODEL_DIR RESULT.json

After that it answers what it is asked on standard input, until that is closed: each question a pickled mapping with
`model` (a directory, loaded the first time), `signature`, `inputs` (alias → array of rows), `batches` (row numbers
of each), `at_once` (how many of these run at a time) and `outputs` (aliases that are wanted, of which the model may
lack some), each answer on standard output one with `outputs` (for each batch alias → array), `seconds` (of each
batch), `missing` (inputs that were not given) and `error`.

Imports numpy, TensorFlow, TensorFlow Text (for its operations) and TF Serving's protos, and nothing of this project:
a model that needs our code to load fails here. What goes wrong is written into the result, with exit code 0; another
exit code means that the process itself broke down.
"""

import json
import os
import pickle
import resource
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np  # before TensorFlow: it binds the C++ runtime that TensorFlow Text needs
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry  # there is no public way to ask which operations are known
from tensorflow_serving.apis import classification_pb2, predict_pb2, prediction_log_pb2

OWN_PACKAGES = ("pipeline", "components", "models", "deploy")
REQUESTS_FILE = Path("assets.extra", "tf_serving_warmup_requests")
DEFAULT_SIGNATURE = "serving_default"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"


class ReplayError(ValueError):
    """A recorded request or its response does not fit the model; the message says how."""


class Recording:
    """Requests and responses of one signature."""

    def __init__(self, signature):
        self.signature = signature
        self.requests = 0
        self.max_difference = 0.0
        self.mismatches = 0
        self.seconds = 0.0

    def compare(self, alias, expected, got):
        """Adds one output's difference.

        Args:
            alias: the output's name.
            expected: array of the recorded response.
            got: array that the model returned.
        """
        if expected.shape != got.shape:
            raise ReplayError(f"`{alias}` has shape {list(got.shape)}, recorded is {list(expected.shape)}")
        if np.issubdtype(got.dtype, np.floating):
            one_is_nan = np.isnan(expected) != np.isnan(got)
            self.mismatches += int(one_is_nan.sum())
            difference = np.abs(expected.astype(np.float64) - got.astype(np.float64))
            difference = difference[np.isfinite(expected) & np.isfinite(got)]
            self.max_difference = max(self.max_difference, float(difference.max(initial=0.0)))
            infinite = np.isinf(expected) | np.isinf(got)
            self.mismatches += int((expected[infinite] != got[infinite]).sum())
        else:
            self.mismatches += int((expected != got).sum())

    def as_json(self):
        return {
            "requests": self.requests,
            "max_difference": self.max_difference,
            "mismatches": self.mismatches,
            "seconds": self.seconds,
        }


def count_ops(model_dir):
    """Counts the operations of a SavedModel's graph and functions: operation → nodes."""
    proto = saved_model_pb2.SavedModel.FromString((model_dir / "saved_model.pb").read_bytes())
    counts: Counter[str] = Counter()
    for meta_graph in proto.meta_graphs:
        library = meta_graph.graph_def.library.function
        counts.update(node.op for node in meta_graph.graph_def.node)
        for function in library:
            counts.update(node.op for node in function.node_def)
        for function in library:  # a call by name is not an operation
            counts.pop(function.signature.name, None)
    return counts


def classify(ops, known_before):
    """Says of each operation where it comes from: `tensorflow`, `tensorflow_text`, or `unknown`."""
    result = {}
    for op, count in sorted(ops.items()):
        known = op_def_registry.get(op) is not None
        origin = "tensorflow" if op in known_before else "tensorflow_text" if known else "unknown"
        result[op] = {"count": count, "from": origin}
    return result


def read_requests(model_dir):
    """Reads the recorded PredictionLogs."""
    path = model_dir / REQUESTS_FILE
    if not path.is_file():
        raise ReplayError(f"the model carries no recorded requests ({REQUESTS_FILE} is missing)")
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records]


def signature_of(log):
    """Name of the signature that a recorded request asks."""
    kind = log.WhichOneof("log_type")
    if kind not in CHECKS:
        raise ReplayError(f"a recorded request is of a kind that is not replayed: {kind}")
    return getattr(log, kind).request.model_spec.signature_name or DEFAULT_SIGNATURE


def predict_feed(request: predict_pb2.PredictRequest, signature):
    """Tensor name → array, for the inputs of a Predict request."""
    if set(request.inputs) != set(signature.inputs):
        raise ReplayError(f"inputs are {sorted(signature.inputs)}, recorded are {sorted(request.inputs)}")
    feed = {}
    for alias, tensor in request.inputs.items():
        info = signature.inputs[alias]
        if tensor.dtype != info.dtype:
            asked, sent = tf.as_dtype(info.dtype).name, tf.as_dtype(tensor.dtype).name
            raise ReplayError(f"input `{alias}` is {asked}, recorded is {sent}")
        feed[info.name] = tf.make_ndarray(tensor)
    return feed


def check_predict(session, log, signature, recording):
    """Replays one Predict request and compares every output."""
    if not log.HasField("response"):
        raise ReplayError("a recorded request has no response")
    wanted = set(log.request.output_filter) or set(signature.outputs)
    lacking = sorted(wanted - set(signature.outputs))
    if lacking:
        raise ReplayError(f"outputs are {sorted(signature.outputs)}, asked for was {', '.join(lacking)}, too")
    names = {alias: signature.outputs[alias].name for alias in wanted}
    started = time.perf_counter()
    got = session.run(names, predict_feed(log.request, signature))
    recording.seconds += time.perf_counter() - started
    if set(log.response.outputs) != wanted:
        raise ReplayError(f"outputs are {sorted(wanted)}, recorded are {sorted(log.response.outputs)}")
    for alias, tensor in log.response.outputs.items():
        if tensor.dtype != signature.outputs[alias].dtype:
            raise ReplayError(
                f"output `{alias}` is {tf.as_dtype(signature.outputs[alias].dtype).name}, not as recorded"
            )
        recording.compare(alias, tf.make_ndarray(tensor), np.asarray(got[alias]))


def check_classify(session, log, signature, recording):
    """Replays one Classify request and compares classes and scores."""
    got = run_examples(session, log, signature, recording, CLASSIFY_METHOD, ("classes", "scores"))
    rows: list[classification_pb2.Classifications] = list(log.response.result.classifications)
    classes = [[each.label.encode() for each in row.classes] for row in rows]
    scores = [[each.score for each in row.classes] for row in rows]
    recording.compare("classes", np.array(classes, object), np.asarray(got["classes"]))
    recording.compare("scores", np.array(scores, np.float32), np.asarray(got["scores"]))


def check_regress(session, log, signature, recording):
    """Replays one Regress request and compares the values."""
    got = run_examples(session, log, signature, recording, REGRESS_METHOD, ("outputs",))
    values = [each.value for each in log.response.result.regressions]
    recording.compare("outputs", np.array(values, np.float32), np.asarray(got["outputs"]))


def run_examples(session, log, signature, recording, method, aliases):
    """Runs a signature on the tf.Examples of a recorded request: alias → array."""
    if not log.HasField("response"):
        raise ReplayError("a recorded request has no response")
    if signature.method_name != method:
        api = method.rpartition("/")[2].title()
        raise ReplayError(f"its method is {signature.method_name}, the {api} API wants {method}")
    if log.request.input.WhichOneof("kind") != "example_list":
        raise ReplayError("a recorded request holds no example_list")
    examples = [example.SerializeToString() for example in log.request.input.example_list.examples]
    (input_info,) = signature.inputs.values()
    names = {alias: signature.outputs[alias].name for alias in aliases}
    started = time.perf_counter()
    got = session.run(names, {input_info.name: np.array(examples, object)})
    recording.seconds += time.perf_counter() - started
    return got


CHECKS = {"predict_log": check_predict, "classify_log": check_classify, "regress_log": check_regress}
"""By the kind of a recorded request."""


class Models:
    """Loaded models: directory → session and signatures."""

    def __init__(self):
        self._loaded: dict[str, tuple[Any, Any]] = {}

    def load(self, model_dir):
        """Loads a model, once."""
        if str(model_dir) not in self._loaded:
            graph = tf.Graph()
            with graph.as_default():
                session = tf.compat.v1.Session(graph=graph)
                meta_graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(model_dir))
            self._loaded[str(model_dir)] = session, meta_graph.signature_def
        return self._loaded[str(model_dir)]

    def answer(self, question):
        """Answers one question; see the module."""
        answer: dict[str, Any] = {"outputs": [], "seconds": [], "missing": [], "error": ""}
        try:
            session, signatures = self.load(question["model"])
            if question["signature"] not in signatures:
                raise ReplayError(f"the model has no signature `{question['signature']}`")
            signature = signatures[question["signature"]]
            names = {alias: info.name for alias, info in signature.outputs.items() if alias in question["outputs"]}
            answer["missing"] = sorted(set(signature.inputs) - set(question["inputs"]))

            def run(batch):
                feed = {
                    info.name: rows_of(question["inputs"], alias, info, batch)
                    for alias, info in signature.inputs.items()
                }
                started = time.perf_counter()
                return session.run(names, feed), time.perf_counter() - started

            with ThreadPoolExecutor(question["at_once"]) as threads:
                for outputs, seconds in threads.map(run, question["batches"]):
                    answer["outputs"].append(outputs)
                    answer["seconds"].append(seconds)
        except (ReplayError, OSError, tf.errors.OpError, TypeError, ValueError, RuntimeError) as error:
            answer["error"] = str(error).splitlines()[0] if str(error) else type(error).__name__
        return answer


def rows_of(inputs, alias, info, batch):
    """Some rows of one input; missing values where it was not given."""
    dtype = tf.as_dtype(info.dtype)
    if alias in inputs:
        return inputs[alias][batch]
    return np.full(len(batch), b"" if dtype == tf.string else np.nan, dtype.as_numpy_dtype)


def resident_bytes():
    """Memory that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def replay(model_dir, result, models):
    """Loads, replays, and fills `result` on the way, so that what was found stands there whatever comes later."""
    logs = read_requests(model_dir)
    result["memory_before_bytes"] = resident_bytes()
    started = time.perf_counter()
    session, signatures = models.load(model_dir)
    result["load_seconds"] = time.perf_counter() - started
    result["signatures"] = {name: {} for name in signatures if not name.startswith("__")}
    recordings: dict[str, Recording] = {}
    errors: dict[str, str] = {}
    for log in logs:
        name = signature_of(log)
        recording = recordings.setdefault(name, Recording(name))
        if name in errors:
            continue
        try:
            if name not in signatures:
                raise ReplayError("the model has no such signature, but there are requests for it")
            kind = log.WhichOneof("log_type")
            CHECKS[kind](session, getattr(log, kind), signatures[name], recording)
            recording.requests += 1
        except (ReplayError, tf.errors.OpError, TypeError, ValueError, KeyError) as error:
            errors[name] = f"{type(error).__name__}: {error}" if not isinstance(error, ReplayError) else str(error)
    for name, recording in recordings.items():
        result["signatures"][name] = {**recording.as_json(), "error": errors.get(name, "")}


def main(model_dir, result_file, models):
    result: dict[str, Any] = {"error": "", "ops": {}, "signatures": {}}
    try:
        ops = count_ops(model_dir)
        known_before = {op for op in ops if op_def_registry.get(op) is not None}
        import tensorflow_text  # noqa: F401  late, so that its operations can be told from TensorFlow's own

        result["ops"] = classify(ops, known_before)
        replay(model_dir, result, models)
    except (ReplayError, OSError, tf.errors.OpError, ValueError, RuntimeError, ImportError) as error:
        result["error"] = str(error) or type(error).__name__
    result["own_modules"] = sorted(name for name in sys.modules if name.partition(".")[0] in OWN_PACKAGES)
    result["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    partial = result_file.with_suffix(".partial")
    partial.write_text(json.dumps(result), encoding="utf-8")
    partial.replace(result_file)  # it is waited for


def answer_questions(questions, answers, models):
    while True:
        try:
            question = pickle.load(questions)
        except EOFError:
            return
        pickle.dump(models.answer(question), answers)
        answers.flush()


if __name__ == "__main__":
    own_output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what TensorFlow prints is no answer
    loaded = Models()
    main(Path(sys.argv[1]), Path(sys.argv[2]), loaded)
    answer_questions(sys.stdin.buffer, own_output, loaded)
