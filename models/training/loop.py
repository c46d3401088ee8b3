"""The training itself: epochs of batches, early stopping, and going on after a kill."""

import functools
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import keras
import numpy as np
import tensorflow as tf

from models.input_fn import Split, batches, shuffled_rows, sorted_rows
from models.labels import Target, type_of
from models.spec import ModelSpec, SingleLabelHead, TrainOptions, of_head
from models.training.attended_words import agreeing_with_words
from models.training.callbacks import KeepState, ReportProgress, StopWithoutLoss
from models.training.event_log import EventLog
from models.training.optimizer import make_optimizer
from models.training.penalty import penalize
from models.training.replicas import ReplicatedModel, distribute
from models.training.similarity import trained_model, with_labels
from models.training.state import TrainingState

_log = logging.getLogger("attention")

EVAL_BATCHES = 4
"""Rows of an eval batch over those of a train batch: without gradients so many fit where training fits."""
_XLA_LENGTHS = 32
"""XLA compiles anew for each length, so there must be few."""


@dataclass(frozen=True)
class Outcome:
    """How a training went.

    Attributes:
        curve: loss and metrics of each epoch; those of the eval split begin with `val_`.
        best_epoch: the epoch whose weights were kept, counted from 1.
        seconds: what this run of the training took.
        rows_per_second: rows trained on in one second of this run, its evaluations included.
        temperatures: head → what its logits were divided by after the training, if that was asked for.
    """

    curve: list[dict[str, float]]
    best_epoch: int
    seconds: float
    rows_per_second: float
    temperatures: dict[str, float] = field(default_factory=dict)


def train(
    network: keras.Model,
    train_split: Split,
    eval_split: Split,
    spec: ModelSpec,
    targets: Mapping[str, Target],
    checkpoint_dir: str,
    log_dir: str,
    rates: Mapping[str, float] = MappingProxyType({}),
    unfreeze: Callable[[int], bool] = lambda epoch: False,
    strategy: tf.distribute.Strategy | None = None,
) -> Outcome:
    """Trains the network and leaves the weights of its best epoch in it, as `TrainingState.best_epoch` has it.

    Args:
        network: with the layer `logits` of each head.
        train_split: rows to learn from.
        eval_split: rows to choose the best epoch by.
        spec: its heads, and how to train.
        targets: head → what is to be predicted.
        checkpoint_dir: of this very training alone; a checkpoint there is taken up.
        log_dir: for TensorBoard.
        rates: path of a variable → its share of the learning rate; 1 where nothing is said.
        unfreeze: called before an epoch, counted from 0; makes those layers trainable that learn in it, of those that
            are trainable now, and says whether they are others than before.
        strategy: that the network was built in the scope of; default: one device.

    Returns:
        how it went.
    """
    strategy = strategy or tf.distribute.get_strategy()
    options = spec.train
    steps = -(-len(train_split) // options.batch_size)
    penalize(network, options.l2)
    weights = {
        name: class_weights(train_split.labels[name], options)
        for name, head in spec.heads.items()
        if options.class_weights != "none" and isinstance(head, SingleLabelHead)
    }
    multiple = _XLA_LENGTHS if options.jit_compile else 1
    heads = {name: type_of(head) for name, head in spec.heads.items()}
    replicas = strategy.num_replicas_in_sync
    logits = {name: network.get_layer(of_head(name, "logits")).output for name in heads}
    outputs = agreeing_with_words(network, logits, spec)
    model = trained_model(network, outputs, spec) if replicas == 1 else ReplicatedModel(network.inputs, outputs)

    def shares(split: Split, rows: np.ndarray, batch_size: int, first_step: int = 0):
        make = functools.partial(batches, split, rows, batch_size, weights, first_step, multiple)
        return distribute(strategy, lambda *which: with_labels(make(*which), spec))

    with strategy.scope():
        model.compile(
            make_optimizer(options, steps, rates, replicas),
            {name: head.loss(options, targets[name]) for name, head in heads.items()},
            loss_weights={name: head.weight for name, head in spec.heads.items()},
            weighted_metrics={name: head.metrics(targets[name]) for name, head in heads.items()},
            jit_compile=options.jit_compile,
        )
        model.optimizer.build(model.trainable_variables)
        eval_batch_size = EVAL_BATCHES * options.batch_size
        eval_batches = shares(eval_split, sorted_rows(eval_split.lengths), eval_batch_size)
        eval_steps = -(-len(eval_split) // eval_batch_size)
        model.evaluate(eval_batches, steps=1, verbose=0)  # builds the metrics, which a checkpoint holds, too
        writes = strategy.extended.should_checkpoint
        state = TrainingState(model, checkpoint_dir, writes)
        if state.restore():
            _log.info("Training goes on at epoch %d, step %d", state.epoch + 1, state.step + 1)
        callbacks = [
            KeepState(state, steps, options.checkpoint_every_steps),
            StopWithoutLoss(options.learning_rate),
            ReportProgress(state, options.epochs, steps),
        ]
        event_log = EventLog(log_dir) if writes else None
        began, rows_before = time.monotonic(), _rows_seen(state, len(train_split), options.batch_size)
        while state.epoch < options.epochs and not _has_converged(state, options.early_stopping_patience):
            if unfreeze(state.epoch):
                model.train_function = None  # Keras makes it anew, with the gradients of other weights
            rows = shuffled_rows(train_split.lengths, options.batch_size, options.seed, state.epoch)
            history = model.fit(
                shares(train_split, rows, options.batch_size, state.step),
                validation_data=eval_batches,
                initial_epoch=state.epoch,
                epochs=state.epoch + 1,
                steps_per_epoch=steps - state.step,
                validation_steps=eval_steps,
                callbacks=callbacks,
                shuffle=False,
                verbose=0,
            )
            state.end_epoch({name: float(values[-1]) for name, values in history.history.items()})
            if event_log is not None:
                event_log.write(state.epoch - 1, state.curve[-1])
            state.save()
        state.take_best_weights()
    seconds = time.monotonic() - began
    rows_seen = _rows_seen(state, len(train_split), options.batch_size) - rows_before
    return Outcome(state.curve, state.best_epoch + 1, seconds, rows_seen / max(seconds, 1e-9))


def class_weights(labels: np.ndarray, options: TrainOptions) -> np.ndarray:
    """Weights by how rare a class is, a row having the weight 1 on average.

    Args:
        labels: int `(rows,)`, each class at least once.
        options: `balanced`: each class has the same share of the loss. `effective_number`: a class of n rows counts as
            (1 - beta^n) / (1 - beta) different ones (Cui et al. 2019, eq. 2).

    Returns:
        float32 `(classes,)`.
    """
    counts = np.bincount(labels)
    beta = options.class_weights_beta
    weights = 1 / counts if options.class_weights == "balanced" else (1 - beta) / (1 - beta**counts)
    return (weights * len(labels) / np.sum(weights * counts)).astype(np.float32)


def _has_converged(state: TrainingState, patience: int) -> bool:
    return 0 < patience <= state.epoch and state.epoch - 1 - state.best_epoch >= patience


def _rows_seen(state: TrainingState, rows: int, batch_size: int) -> int:
    return state.epoch * rows + state.step * batch_size
