"""Searches for better training options before the Trainer trains with the best of them; called by TFX Tuner."""

import gc
import os
from typing import TYPE_CHECKING, Any

from tfx.components.tuner.component import TunerFnResult

from models.search_space import TUNE_KEY, TuneOptions
from models.spec import SPEC_KEY, ModelSpec
from models.trainer import fit
from models.training.device import require_keras_3
from models.training.material import Material, read_material
from models.tuning.search import Search
from models.weights import read_weights

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

SEARCH_DIR_KEY = "search_dir"
"""Key in `custom_config`: a folder that outlives the run, in which a search that was cut off goes on."""


def tuner_fn(fn_args: "FnArgs") -> TunerFnResult:
    """Makes the search; each of its trials is a training as the Trainer does it, on the same rows.

    Args:
        fn_args: `custom_config` holds the JSON texts of the `ModelSpec` and of `TuneOptions` and, if wanted,
            `SEARCH_DIR_KEY`.

    Returns:
        the search, for TFX to start.

    Raises:
        RuntimeError: Keras is not Keras 3.
        ValueError: there is nothing to learn or nothing to evaluate on.
    """
    require_keras_3()
    spec = ModelSpec.model_validate_json(fn_args.custom_config[SPEC_KEY])
    tune = TuneOptions.model_validate_json(fn_args.custom_config[TUNE_KEY])
    # TFX leaves `transform_output` empty here.
    material = read_material(spec, fn_args.transform_graph_path, fn_args.train_files, fn_args.eval_files)
    base_dir = fn_args.custom_config.get(SEARCH_DIR_KEY) or os.path.join(fn_args.working_dir, "searches")
    name = _fingerprint(spec, tune, material, fn_args.base_model)

    def train_trial(trial_spec: ModelSpec, log_dir: str, checkpoint_dir: str) -> dict[str, float]:
        gc.collect()  # the network of the trial before, which holds itself by circles
        _, outcome, _ = fit(trial_spec, material, fn_args.base_model, checkpoint_dir, log_dir)
        return outcome.curve[outcome.best_epoch - 1]

    return TunerFnResult(tuner=Search(spec, tune, train_trial, base_dir, name), fit_kwargs={})


def _fingerprint(spec: ModelSpec, tune: TuneOptions, material: Material, base_model: str | None) -> str:
    """Names a search by all that its trials depend on; how many there are and how long it takes is no matter."""
    described: Any = [spec.model_dump(), tune.model_dump(exclude={"trials", "minutes"})]
    saved = read_weights(base_model) if base_model and spec.train.warm_start != "none" else None
    weights = [weight.value for _, weight in sorted(saved.by_path.items())] if saved else []
    return material.fingerprint(described, weights)
