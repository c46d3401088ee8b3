"""One training on several devices, with the result that one device gives.

Keras itself clips the gradients of each replica before they are added up, and gives replicas with fewer rows the same
say; here the step is that of the whole batch. Only chance (dropout) falls otherwise, and where there are several heads,
the loss of each by itself is shown as the mean over batches and replicas, whatever rows they had.
"""

import functools
import json
import logging
import os
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from models.spec import TrainOptions
from models.training.attended_words import TrainedModel

_notices = logging.getLogger("attention.progress")


def make_strategy(options: TrainOptions) -> tf.distribute.Strategy:
    """Finds the devices that `train.strategy` asks for.

    Args:
        options: `mirrored`: all GPUs; on a machine without, the logical CPU devices that TensorFlow was configured to
            have (`tf.config.set_logical_device_configuration`), which is for tests. `multi_worker`: all processes that
            TF_CONFIG names; then nothing of TensorFlow may have run yet.

    Returns:
        TensorFlow's default strategy where one device is asked for, or no more are there.

    Raises:
        ValueError: TF_CONFIG is not as TensorFlow wants it.
        RuntimeError: TensorFlow is at work already, too late to join other workers.
    """
    if options.strategy == "mirrored":
        gpus = tf.config.list_logical_devices("GPU")
        devices = tuple(device.name for device in gpus or tf.config.list_logical_devices("CPU"))
        if len(devices) > 1:
            return _mirrored(devices)
        _notices.warning(
            "`train.strategy: mirrored` wants two GPUs or more, and there is %s: training on one device",
            "one" if gpus else "none",
        )
    if options.strategy == "multi_worker":
        workers = _workers(os.environ.get("TF_CONFIG", ""))
        if workers > 1:
            return _multi_worker()
        _notices.warning(
            "`train.strategy: multi_worker` wants TF_CONFIG in the environment to name two workers or more, and %s: "
            "training in this process alone",
            "it names one" if workers else "it is not set",
        )
    return tf.distribute.get_strategy()


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """One for the whole process: a second one would number its collective operations like the first."""
    return tf.distribute.MirroredStrategy(devices)


def _multi_worker() -> tf.distribute.Strategy:
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise RuntimeError(
            "`train.strategy: multi_worker` must be the first thing that TensorFlow does in a process: start the "
            f"Trainer's step by itself, once for each worker. Received: {error}"
        ) from None


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Returns once every process of the training has come here."""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(1.0), axis=None)


def _workers(tf_config: str) -> int:
    """Processes that train together, by the text of TF_CONFIG."""
    if not tf_config:
        return 0
    try:
        cluster = json.loads(tf_config)["cluster"]
        return len(cluster.get("chief", [])) + len(cluster["worker"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(
            'TF_CONFIG must be JSON like {"cluster": {"worker": ["HOST:PORT", …]}, "task": {"type": "worker", '
            f'"index": 0}}}}. Received: {tf_config[:200]!r}'
        ) from None


class ReplicatedModel(TrainedModel):
    """A functional model whose step is that of the whole batch, however many replicas share it.

    It must be made outside of the strategy's scope, and all else inside: Keras builds a model that was made inside from
    the mean of the replicas' batches, which must then be of one shape.
    """

    def train_step(self, data):
        features, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        replica = tf.distribute.get_replica_context()
        replicas = replica.num_replicas_in_sync
        rows = tf.cast(tf.shape(tf.nest.flatten(labels)[0])[0], tf.float32)
        all_rows = replica.all_reduce(tf.distribute.ReduceOp.SUM, rows)
        with tf.GradientTape() as tape:
            logits = self(features, training=True)
            # The mean of this replica's rows, and the penalties, over the number of replicas.
            loss = self.compute_loss(features, labels, logits, weights, training=True)
            # With shares of the rows in its place, the sum over all replicas is the loss of the whole batch.
            scaled = self.optimizer.scale_loss(loss * rows * replicas / all_rows)
        learning = self.trainable_variables
        gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, tape.gradient(scaled, learning))
        self.optimizer.apply(gradients, learning)
        next(metric for metric in self.metrics if metric.name == "loss").update_state(loss * replicas, rows)
        return _with_axis(self.compute_metrics(features, labels, logits, weights))

    def test_step(self, data):
        return _with_axis(super().test_step(data))


def _with_axis(logs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Gives scalars the axis that Keras takes the mean of where replicas are in several processes."""
    if isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
        return {name: value[tf.newaxis] for name, value in logs.items()}
    return logs


def without_sum(optimizer_class: Any) -> Any:
    """Derives an optimizer for gradients that are those of all replicas already; Keras would add them up again."""

    class WithoutSum(optimizer_class):
        def _all_reduce_sum_gradients(self, grads_and_vars):
            return grads_and_vars

    return WithoutSum


def distribute(
    strategy: tf.distribute.Strategy, make: Callable[[int, range], tf.data.Dataset]
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Gives each replica its part of every batch.

    Args:
        strategy: of the training.
        make: number of all replicas, numbers of those in this process → their parts of each batch, one after the other.
    """

    def of_process(context: tf.distribute.InputContext) -> tf.data.Dataset:
        own = context.num_replicas_in_sync // context.num_input_pipelines
        return make(
            context.num_replicas_in_sync,
            range(context.input_pipeline_id * own, (context.input_pipeline_id + 1) * own),
        )

    return strategy.distribute_datasets_from_function(of_process)
