"""A SavedModel in memory, run through the same Session::Run as the C++ server.

`tf.Session.run` would cast values and check shapes in Python first; `_call_tf_sessionrun` hands the arrays to
Session::Run as they are, so that wrong types and shapes give the texts that TF Serving's clients know.
"""

import gc
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import tensorflow as tf
import tensorflow_text  # noqa: F401  # registers the operations that text models hold
from google.protobuf.message import DecodeError

from deploy.serving.status import InternalError, InvalidArgumentError, NotFoundError, error_from_code
from deploy.serving.tensors import Array

SERVE_TAG = "serve"
INFERENCE_METHODS = (
    tf.saved_model.PREDICT_METHOD_NAME,
    tf.saved_model.CLASSIFY_METHOD_NAME,
    tf.saved_model.REGRESS_METHOD_NAME,
)


class Runner(Protocol):
    """What computes outputs from inputs: a session, or whatever gathers rows before it reaches one."""

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str]) -> list[Array]:
        """Feeds arrays by tensor name and returns the named tensors, in order."""
        ...


class LoadedModel:
    """A loaded SavedModel; `run` may be called from any number of threads."""

    def __init__(self, path: str, threads: tuple[int, int] = (0, 0)) -> None:
        """Loads from disk.

        Args:
            path: Directory that holds `saved_model.pb`.
            threads: Of one operation, and of operations beside each other; 0: as many as processors.

        Raises:
            ServingError: There is no SavedModel here that can be served, with the reason.
        """
        names = ("saved_model.pb", "saved_model.pbtxt")
        if not any(os.path.isfile(os.path.join(path, name)) for name in names):
            raise NotFoundError(
                f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}. "
                "Check that the directory exists and that you have the right permissions for accessing it."
            )
        self._graph = tf.Graph()
        options = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads[0], inter_op_parallelism_threads=threads[1], allow_soft_placement=True
        )
        # The first call of a signature builds its functions for seconds, in a thread of the pool: if all sessions
        # shared one, the version that still answers would go without that thread while the next is warmed up.
        options.use_per_session_threads = True
        self._session = tf.compat.v1.Session(graph=self._graph, config=options)
        try:
            self.signatures = self._load(path)
        except BaseException:
            self._session.close()
            raise

    def _load(self, path: str) -> dict[str, Any]:
        try:
            with self._graph.as_default():
                meta_graph = tf.compat.v1.saved_model.loader.load(self._session, [SERVE_TAG], path)
            self._session._extend_graph()
            signatures = dict(meta_graph.signature_def)
            self._tensors = {
                info.name: self._graph.get_tensor_by_name(info.name)._as_tf_output()
                for signature in signatures.values()
                if signature.method_name in INFERENCE_METHODS
                for info in (*signature.inputs.values(), *signature.outputs.values())
                if info.name
            }
        except tf.errors.OpError as error:
            raise error_from_code(error.error_code, error.message) from error
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, DecodeError) as error:
            # What a directory that is no SavedModel, half of one, or one of another TensorFlow ends in.
            raise InvalidArgumentError(f"The SavedModel at {path} cannot be loaded: {error}") from error
        return signatures

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str]) -> list[Array]:
        """Runs the graph once.

        Args:
            feeds: Arrays by tensor name.
            fetches: Names of the tensors to return.

        Returns:
            One array per name.

        Raises:
            ServingError: What Session::Run found, with its own code and text.
        """
        try:
            return self._session._call_tf_sessionrun(
                None,
                {self._tensors[name]: array for name, array in feeds.items()},
                [self._tensors[name] for name in fetches],
                [],
                None,
            )
        except KeyError as error:
            raise InvalidArgumentError(f"Tensor {error} is not fed or fetched by any signature.") from error
        except tf.errors.OpError as error:
            raise error_from_code(error.error_code, error.message) from error
        except (ValueError, TypeError, RuntimeError) as error:
            raise InternalError(f"Session::Run did not take the inputs: {error}") from error

    def close(self) -> None:
        """Frees the memory; nothing may be running."""
        self._session.close()
        self._tensors = {}
        self.signatures = {}
        self._graph = None
        # A graph is full of cycles: left to itself it stays until some later collection, and a few versions with it.
        gc.collect()
