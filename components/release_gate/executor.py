"""Collects the verdicts on the model and publishes them."""

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
from components.gates import BLESSED_PROPERTY, publish_gates
from components.release_gate.options import METRICS_FILE, ReleaseGateOptions
from components.release_gate.quality import overall_metrics, quality_gates
from components.release_gate.serving_check import serving_gates

MODEL_KEY = "model"
EVALUATION_KEY = "evaluation"
MODEL_BLESSING_KEY = "model_blessing"
BASELINE_MODEL_KEY = "baseline_model"
EXAMPLES_KEY = "examples"
TEST_SPLIT = "test"
OPTIONS_KEY = "options"
BLESSING_KEY = "blessing"

_logger = logging.getLogger("attention")


class Executor(base_executor.BaseExecutor):
    """Quality and serving: each a gate. A failed gate is a verdict, not an exception."""

    @override
    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `gates.json`, `metrics.json`, `replay.json` and `ops.json`, and blesses the model if no gate blocks.

        Args:
            input_dict: `model`, `evaluation`, `model_blessing`, one each; `baseline_model` and `examples`, at most one.
            output_dict: `blessing`: one InfraBlessing.
            exec_properties: `options` (JSON).
        """
        options = ReleaseGateOptions.model_validate_json(exec_properties[OPTIONS_KEY])
        blessing = artifact_utils.get_single_instance(output_dict[BLESSING_KEY])
        model_uri = artifact_utils.get_single_uri(input_dict[MODEL_KEY])
        model_blessing = artifact_utils.get_single_instance(input_dict[MODEL_BLESSING_KEY])
        blessed_by_evaluator = (
            model_blessing.has_custom_property(BLESSED_PROPERTY)
            and model_blessing.get_int_custom_property(BLESSED_PROPERTY) == evaluator.BLESSED_VALUE
        )
        live_version = None
        for baseline in input_dict.get(BASELINE_MODEL_KEY, []):
            if baseline.has_custom_property(VERSION_PROPERTY):
                live_version = baseline.get_int_custom_property(VERSION_PROPERTY)
        evaluation_uri = artifact_utils.get_single_uri(input_dict[EVALUATION_KEY])
        os.makedirs(blessing.uri, exist_ok=True)
        gates = [
            *quality_gates(evaluation_uri, blessed_by_evaluator, live_version),
            *serving_gates(
                Path(path_utils.serving_model_path(model_uri)),
                Path(blessing.uri),
                options,
                _test_files(input_dict.get(EXAMPLES_KEY, [])),
            ),
        ]
        metrics = json.dumps(overall_metrics(evaluation_uri), indent=2, ensure_ascii=False)
        Path(blessing.uri, METRICS_FILE).write_text(metrics + "\n", encoding="utf-8")
        blessed = publish_gates(blessing, gates)
        failed = [gate.name for gate in gates if not gate.passed]
        _logger.info(
            "ReleaseGate %s: %d of %d gates passed%s",
            "passed" if blessed else "blocked",
            len(gates) - len(failed),
            len(gates),
            f"; failed: {', '.join(failed)}" if failed else "",
        )


def _test_files(examples: list[types.Artifact]) -> list[str]:
    """The files of the test split, as far as there are examples and they have one."""
    return [
        str(path)
        for each in examples
        if TEST_SPLIT in artifact_utils.decode_split_names(each.split_names)
        for path in sorted(Path(artifact_utils.get_split_uri([each], TEST_SPLIT)).iterdir())
    ]
