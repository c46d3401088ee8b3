"""Trains the network and writes the SavedModel that is evaluated and served; called by TFX Trainer.

The Trainer is given the raw examples, not the transformed ones: see `models.input_fn`.
"""

import dataclasses
import json
import logging
import os
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from models.input_fn import Split
from models.labels import Target
from models.network import build_network
from models.search_space import tuned_values, with_values
from models.signatures import export_model
from models.spec import SPEC_KEY, BertOptions, ModelSpec
from models.training.calibration import calibrate
from models.training.device import grow_gpu_memory, precision, require_keras_3
from models.training.initial_embeddings import cooccurrence_embeddings
from models.training.loop import Outcome, train
from models.training.material import Material, read_material
from models.training.replicas import make_strategy, wait_for_all
from models.training.warm_start import take_over
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
    `model_run_dir`: `model.keras` for a later warm start, `training.json` with the curve and what was tuned, and
    TensorBoard's logs. Of several workers that train together the chief alone writes; all must see the same files.

    Args:
        fn_args: `custom_config` holds the JSON text of the `ModelSpec` and, if wanted, `CHECKPOINT_KEY`;
            `hyperparameters`, if there are some, are put into that spec before all else.

    Raises:
        RuntimeError: Keras is not Keras 3, or it is too late to join other workers.
        ValueError: there is nothing to learn or nothing to evaluate on, or TF_CONFIG is no such thing.
        FloatingPointError: the loss is not finite.
        MemoryError: a batch does not fit into the memory of the device.
    """
    require_keras_3()
    values = tuned_values(fn_args.hyperparameters)
    spec = with_values(ModelSpec.model_validate_json(fn_args.custom_config[SPEC_KEY]), values)
    if values:
        _log.info("Tuned: %s", values)
    grow_gpu_memory()
    strategy = make_strategy(spec.train)  # before all else that TensorFlow does
    material = read_material(spec, fn_args.transform_output, fn_args.train_files, fn_args.eval_files)
    base_dir = fn_args.custom_config.get(CHECKPOINT_KEY) or os.path.join(fn_args.model_run_dir, "checkpoints")
    network, outcome, checkpoint_dir = fit(
        spec, material, fn_args.base_model, base_dir, fn_args.model_run_dir, strategy
    )

    if not strategy.extended.should_checkpoint:
        wait_for_all(strategy)  # TFX looks for the model at once
        return
    if network.get_layer("attention").compute_dtype != "float32" or strategy.num_replicas_in_sync > 1:
        # A server may have no GPU, and has one copy of each weight.
        weights = network.get_weights()
        network = build_network(spec, _sizes(material), material.targets)
        network.set_weights(weights)
    if spec.train.calibration == "temperature":
        outcome = dataclasses.replace(outcome, temperatures=calibrate(network, material.eval_split, spec))
    network.save(os.path.join(fn_args.model_run_dir, "model.keras"))
    _write_outcome(outcome, values, os.path.join(fn_args.model_run_dir, "training.json"))
    vocabularies, targets = material.vocabularies, material.targets
    export_model(
        network,
        material.transform_output,
        spec,
        vocabularies,
        targets,
        fn_args.eval_files,
        fn_args.serving_model_dir,
    )
    if tf.io.gfile.exists(checkpoint_dir):
        tf.io.gfile.rmtree(checkpoint_dir)
    wait_for_all(strategy)


def fit(
    spec: ModelSpec,
    material: Material,
    base_model: str | None,
    base_dir: str,
    log_dir: str,
    strategy: tf.distribute.Strategy | None = None,
) -> tuple[keras.Model, Outcome, str]:
    """Builds the network and trains it.

    Args:
        spec: the whole of it.
        material: as read by the same features and heads.
        base_model: the live version's SavedModel, if there is one.
        base_dir: gets a folder with the checkpoint of this very training; one that is there is taken up.
        log_dir: for TensorBoard.
        strategy: default: what the options ask for.

    Returns:
        the network with the weights of its best epoch, how it went, and the checkpoint's folder.

    Raises:
        FloatingPointError: the loss is not finite.
        MemoryError: a batch does not fit into the memory of the device.
    """
    vocabularies, targets = material.vocabularies, material.targets
    train_split, eval_split = material.train_split, material.eval_split
    keras.utils.set_random_seed(spec.train.seed)
    if not spec.train.jit_compile:  # XLA has no such promise
        tf.config.experimental.enable_op_determinism()  # else a busy machine adds up in another order
    has_gpu = grow_gpu_memory()
    strategy = strategy or make_strategy(spec.train)
    with strategy.scope(), precision(spec.train.mixed_precision, has_gpu):
        network = build_network(spec, _sizes(material), targets)
    _set_initial_weights(network, spec, vocabularies, targets, train_split, base_model)
    _log.info(
        "Training %s weights on %s rows: %s",
        f"{network.count_params():,}",
        f"{len(train_split):,}",
        ", ".join(f"{name} ({len(target.classes) or 'no'} classes)" for name, target in targets.items()),
    )
    started = [] if spec.train.warm_start == "none" else network.get_weights()
    checkpoint_dir = os.path.join(base_dir, material.fingerprint(spec.model_dump(), started))
    plan = {"strategy": strategy, **_layer_plan(network, spec)}
    try:
        outcome = train(network, train_split, eval_split, spec, targets, checkpoint_dir, log_dir, **plan)
    except tf.errors.ResourceExhaustedError:
        raise MemoryError(_out_of_memory(spec)) from None
    _log.info(
        "Trained %d epochs in %.0f s, %.0f rows/s; kept epoch %d",
        len(outcome.curve),
        outcome.seconds,
        outcome.rows_per_second,
        outcome.best_epoch,
    )
    return network, outcome, checkpoint_dir


def _sizes(material: Material) -> dict[str, int]:
    return {name: len(entries) for name, entries in material.vocabularies.items()}


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
    cure = "and double `train.gradient_accumulation_steps`, which gives the same steps"
    if spec.train.strategy != "none":
        cure = "or train on more devices"
    return (
        f"A batch does not fit into the memory of the device. Halve `train.batch_size` {cure}, "
        "or lower `max_len` of the text features. "
        f"Received: train.batch_size={spec.train.batch_size}, max_len={longest}"
    )


def _write_outcome(outcome: Outcome, tuned: dict[str, Any], path: str) -> None:
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(json.dumps({**dataclasses.asdict(outcome), "tuned": tuned}, indent=1))
