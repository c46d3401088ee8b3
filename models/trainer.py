"""Trains the network and writes the SavedModel that is evaluated and served; called by TFX Trainer.

The Trainer is given the raw examples, not the transformed ones: see `models.input_fn`.
"""

import dataclasses
import hashlib
import json
import logging
import os
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from models.input_fn import Split, read_split
from models.labels import Target, type_of
from models.labels.class_names import UNSEEN_ID
from models.modalities import vocabulary_files
from models.network import build_network
from models.signatures import export_model
from models.spec import SPEC_KEY, BertOptions, ModelSpec
from models.training.calibration import calibrate
from models.training.device import grow_gpu_memory, precision, require_keras_3
from models.training.initial_embeddings import cooccurrence_embeddings
from models.training.loop import Outcome, train
from models.training.warm_start import take_over
from models.vocabulary import read_vocabulary
from models.weights import read_weights
from models.word_pieces import VOCABULARY_FILE

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

CHECKPOINT_KEY = "checkpoint_dir"
"""Key in `custom_config`: a folder that outlives the run, from which a killed training goes on."""

_log = logging.getLogger("attention")
_notices = logging.getLogger("attention.progress")


def run_fn(fn_args: "FnArgs") -> None:
    """Trains and exports.

    Reads the splits of raw tf.Examples and the Transform graph. Writes the SavedModel to `serving_model_dir`; to
    `model_run_dir`: `model.keras` for a later warm start, `training.json` with the curve, and TensorBoard's logs.

    Args:
        fn_args: `custom_config` holds the JSON text of the `ModelSpec` and, if wanted, `CHECKPOINT_KEY`.

    Raises:
        RuntimeError: Keras is not Keras 3.
        ValueError: there is nothing to learn or nothing to evaluate on.
        FloatingPointError: the loss is not finite.
        MemoryError: a batch does not fit into the memory of the device.
    """
    require_keras_3()
    spec = ModelSpec.model_validate_json(fn_args.custom_config[SPEC_KEY])
    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    vocabularies = {name: read_vocabulary(transform_output, name) for name in vocabulary_files(spec)}
    train_split = read_split(fn_args.train_files, transform_output, spec)
    eval_split = read_split(fn_args.eval_files, transform_output, spec)
    targets = {
        name: type_of(head).find_target(train_split.labels[name], name, transform_output)
        for name, head in spec.heads.items()
    }
    _check_labels(spec, train_split, eval_split)
    _tell_missing_classes({name: target for name, target in targets.items() if target.classes}, eval_split)

    keras.utils.set_random_seed(spec.train.seed)
    if not spec.train.jit_compile:  # XLA has no such promise
        tf.config.experimental.enable_op_determinism()  # else a busy machine adds up in another order
    sizes = {name: len(entries) for name, entries in vocabularies.items()}
    with precision(spec.train.mixed_precision, has_gpu=grow_gpu_memory()):
        network = build_network(spec, sizes, targets)
    _set_initial_weights(network, spec, vocabularies, targets, train_split, fn_args.base_model)
    _log.info(
        "Training %s weights on %s rows: %s",
        f"{network.count_params():,}",
        f"{len(train_split):,}",
        ", ".join(f"{name} ({len(target.classes) or 'no'} classes)" for name, target in targets.items()),
    )
    base_dir = fn_args.custom_config.get(CHECKPOINT_KEY) or os.path.join(fn_args.model_run_dir, "checkpoints")
    fingerprint = _fingerprint(spec, vocabularies, targets, network, train_split, eval_split)
    checkpoint_dir = os.path.join(base_dir, fingerprint)
    log_dir = fn_args.model_run_dir
    layers = _layer_plan(network, spec)
    try:
        outcome = train(network, train_split, eval_split, spec, targets, checkpoint_dir, log_dir, **layers)
    except tf.errors.ResourceExhaustedError:
        raise MemoryError(_out_of_memory(spec)) from None
    _log.info(
        "Trained %d epochs in %.0f s, %.0f rows/s; kept epoch %d",
        len(outcome.curve),
        outcome.seconds,
        outcome.rows_per_second,
        outcome.best_epoch,
    )

    if network.get_layer("attention").compute_dtype != "float32":  # a server may have no GPU
        weights = network.get_weights()
        network = build_network(spec, sizes, targets)
        network.set_weights(weights)
    if spec.train.calibration == "temperature":
        outcome = dataclasses.replace(outcome, temperatures=calibrate(network, eval_split, spec))
    network.save(os.path.join(fn_args.model_run_dir, "model.keras"))
    _write_outcome(outcome, os.path.join(fn_args.model_run_dir, "training.json"))
    export_model(network, transform_output, spec, vocabularies, targets, fn_args.eval_files, fn_args.serving_model_dir)
    if tf.io.gfile.exists(checkpoint_dir):
        tf.io.gfile.rmtree(checkpoint_dir)


def _set_initial_weights(
    network: keras.Model,
    spec: ModelSpec,
    vocabularies: dict[str, list[str]],
    targets: dict[str, Target],
    train_split: Split,
    base_model: str | None,
) -> None:
    """Starts from the live version where the options ask for it, else from the train split's co-occurrences."""
    texts = []
    if spec.model.encoder == "self_attention":
        texts = [train_split.features[f"{name}_token_ids"] for name in spec.of_type("text")]
    if spec.train.warm_start == "latest_blessed":
        saved = read_weights(base_model) if base_model else None
        if saved is not None:
            take_over(network, saved, spec, vocabularies, targets, texts)
            return
        _notices.info("The training starts afresh: nothing is live, or the live version has no network.json")
    if texts and spec.model.encoder == "self_attention" and spec.model.initial_embeddings == "cooccurrence":
        embeddings = network.get_layer(VOCABULARY_FILE).embeddings
        embeddings.assign(cooccurrence_embeddings(texts, *embeddings.shape))


def _layer_plan(network: keras.Model, spec: ModelSpec) -> dict[str, Any]:
    """How fast, and from when on, the layers of a BERT learn."""
    if not isinstance(spec.model, BertOptions):
        return {}
    from models.encoders import bert  # keras-hub takes seconds to import

    return {
        "rates": bert.layer_rates(network, spec.model),
        "unfreeze": bert.gradual_unfreezing(network, spec.model),
    }


def _out_of_memory(spec: ModelSpec) -> str:
    longest = max((feature.max_len for feature in spec.of_type("text").values()), default=0)
    return (
        "A batch does not fit into the memory of the device. Halve `train.batch_size` and double "
        "`train.gradient_accumulation_steps`, which gives the same steps, or lower `max_len` of the text features. "
        f"Received: train.batch_size={spec.train.batch_size}, max_len={longest}"
    )


def _check_labels(spec: ModelSpec, train_split: Split, eval_split: Split) -> None:
    for name in (name for name, label_type in spec.label_types.items() if label_type != "number"):
        for split_name, split in (("train", train_split), ("eval", eval_split)):
            unseen = int(np.sum(split.labels[name].reshape(len(split), -1)[:, 0] == UNSEEN_ID))
            if unseen:
                raise ValueError(
                    f"Every class of `{name}` must occur in the train split that Transform has read. "
                    f"Received: {unseen} of {len(split)} rows of the {split_name} split with another class"
                )


def _tell_missing_classes(targets: dict[str, Target], eval_split: Split) -> None:
    """Says which classes nothing can be said of, for no row of the eval split has them."""
    for name, target in targets.items():
        labels = eval_split.labels[name]
        seen = np.any(labels, axis=0) if labels.ndim == 2 else np.isin(np.arange(len(target.classes)), labels)
        missing = [each for each, occurs in zip(target.classes, seen.tolist(), strict=True) if not occurs]
        if missing:
            _notices.warning(
                "The eval split lacks %d of the %d classes of `%s`, so the best epoch is chosen without them: %s",
                len(missing),
                len(target.classes),
                name,
                ", ".join(missing[:10]) + (", …" if len(missing) > 10 else ""),
            )


def _fingerprint(
    spec: ModelSpec,
    vocabularies: dict[str, list[str]],
    targets: dict[str, Target],
    network: keras.Model,
    *splits: Split,
) -> str:
    """Names a training by all that it depends on, so that a checkpoint is never taken up by another one."""
    digest = hashlib.sha256(
        json.dumps(
            [spec.model_dump(), vocabularies, {name: dataclasses.asdict(target) for name, target in targets.items()}]
        ).encode()
    )
    if spec.train.warm_start != "none":
        for weight in network.get_weights():
            digest.update(weight.tobytes())
    for split in splits:
        for column in split.labels.values():
            digest.update(column.tobytes())
        for name, column in sorted(split.features.items()):
            digest.update(name.encode())
            for part in tf.nest.flatten(column, expand_composites=True):
                digest.update(np.asarray(part).tobytes())
    return digest.hexdigest()[:16]


def _write_outcome(outcome: Outcome, path: str) -> None:
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(json.dumps(dataclasses.asdict(outcome), indent=1))
