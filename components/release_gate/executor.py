"""Collects the verdicts on the model and publishes them."""

import dataclasses
import json
import logging
import os
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.evaluator import constants as evaluator
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils
from typing_extensions import override

from components.baseline_model.executor import VERSION_PROPERTY
from components.example_gen.executor import TEST, TEST_FILE_PROPERTY
from components.gates import BLESSED_PROPERTY, overrule, publish_gates
from components.release_gate.kept_rows import Keep
from components.release_gate.model_gates import Candidate, judge
from components.release_gate.options import METRICS_FILE, NOISE_FILE, ReleaseGateOptions
from components.release_gate.quality import in_order, metrics_by_slice, quality_gates
from components.release_gate.slice_quality import slice_gates

MODEL_KEY = "model"
EXAMPLES_KEY = "examples"
MODEL_RUN_KEY = "model_run"
EVALUATION_KEY = "evaluation"
MODEL_BLESSING_KEY = "model_blessing"
BASELINE_MODEL_KEY = "baseline_model"
OPTIONS_KEY = "options"
OVERRULES_KEY = "overrules"
BLESSING_KEY = "blessing"
TRAIN = "train"
TRAINING_FILE = "training.json"
FINGERPRINT_PROPERTY = "input_fingerprint"
"""That TFX's driver gives to examples."""

_logger = logging.getLogger("attention")


class Executor(base_executor.BaseExecutor):
    """Quality, serving, answers to test rows: each a gate. A failed gate is a verdict, not an exception."""

    @override
    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `gates.json`, `metrics.json` and what `judge` writes; blesses.

        Args:
            input_dict: `model`, `examples`, `evaluation`, `model_blessing`, one each; `baseline_model` and `model_run`,
                at most one.
            output_dict: `blessing`: one InfraBlessing; blessed if no gate blocks.
            exec_properties: `options` (JSON), `overrules` (JSON).
        """
        options = ReleaseGateOptions.model_validate_json(exec_properties[OPTIONS_KEY])
        blessing = artifact_utils.get_single_instance(output_dict[BLESSING_KEY])
        model_uri = artifact_utils.get_single_uri(input_dict[MODEL_KEY])
        model_blessing = artifact_utils.get_single_instance(input_dict[MODEL_BLESSING_KEY])
        blessed_by_evaluator = (
            model_blessing.has_custom_property(BLESSED_PROPERTY)
            and model_blessing.get_int_custom_property(BLESSED_PROPERTY) == evaluator.BLESSED_VALUE
        )
        live_version, live = None, None
        for baseline in input_dict.get(BASELINE_MODEL_KEY, []):
            if baseline.has_custom_property(VERSION_PROPERTY):
                live_version = baseline.get_int_custom_property(VERSION_PROPERTY)
                live = Path(path_utils.serving_model_path(baseline.uri)) if live_version else None
        evaluation_uri = artifact_utils.get_single_uri(input_dict[EVALUATION_KEY])
        os.makedirs(blessing.uri, exist_ok=True)
        examples = artifact_utils.get_single_instance(input_dict[EXAMPLES_KEY])
        training = [Path(run.uri, TRAINING_FILE) for run in input_dict.get(MODEL_RUN_KEY, [])]
        candidate = Candidate(
            directory=Path(path_utils.serving_model_path(model_uri)),
            live=live,
            live_version=live_version or 0,
            test_files=_files(examples, TEST),
            training=training[0] if training else None,
            train_files=tuple(_files(examples, TRAIN)),
            keep=Keep(
                source=examples.get_string_custom_property(TEST_FILE_PROPERTY),
                run=(self._context.pipeline_run_id if self._context else "") or "",
                fingerprint=examples.get_string_custom_property(FINGERPRINT_PROPERTY),
            ),
        )
        by_slice = metrics_by_slice(evaluation_uri)
        verdict = judge(candidate, by_slice, Path(blessing.uri), options)
        gates = quality_gates(
            evaluation_uri, blessed_by_evaluator, live_version, verdict.noise, options.metric_severities
        )
        gates += slice_gates(
            by_slice,
            metrics_by_slice(evaluation_uri, baseline_model=True),
            verdict.spread,
            verdict.noise,
            options.slice_limits,
            f"version {live_version}" if live_version else None,
        )
        gates = overrule([*gates, *verdict.gates], json.loads(exec_properties.get(OVERRULES_KEY) or "{}"))
        metrics = json.dumps(in_order(by_slice.get("", {})), indent=2, ensure_ascii=False)
        Path(blessing.uri, METRICS_FILE).write_text(metrics + "\n", encoding="utf-8")
        noise = {metric: dataclasses.asdict(each) for metric, each in verdict.noise.get("", {}).items()}
        Path(blessing.uri, NOISE_FILE).write_text(json.dumps(noise, indent=2) + "\n", encoding="utf-8")
        blessed = publish_gates(blessing, gates)
        failed = [gate.name for gate in gates if not gate.passed]
        _logger.info(
            "ReleaseGate %s: %d of %d gates passed%s",
            "passed" if blessed else "blocked",
            len(gates) - len(failed),
            len(gates),
            f"; failed: {', '.join(failed)}" if failed else "",
        )


def _files(examples: types.Artifact, split: str) -> list[str]:
    return sorted(str(path) for path in Path(artifact_utils.get_split_uri([examples], split)).iterdir())
