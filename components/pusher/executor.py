"""Decides whether the candidate becomes a version, and makes it one."""

import datetime
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx import types
from tfx.components.evaluator import constants as evaluator
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils
from typing_extensions import override

from components.answer_record import ANSWERS_FILE
from components.gates import BLESSED_PROPERTY, EVALUATOR_GATE, overruled_of, read_gates
from components.pusher import install, versions
from components.pusher.content_hash import content_hash

MODEL_KEY = "model"
MODEL_BLESSING_KEY = "model_blessing"
INFRA_BLESSING_KEY = "infra_blessing"
STATISTICS_KEY = "statistics"
SCHEMA_KEY = "schema"
DATA_BLESSING_KEY = "data_blessing"
SERVING_DIR_KEY = "serving_dir"
KEEP_VERSIONS_KEY = "keep_versions"
PROTECTED_VERSIONS_KEY = "protected_versions"
PUSHED_MODEL_KEY = "pushed_model"

_logger = logging.getLogger("attention")


class Executor(base_executor.BaseExecutor):
    """Pushes, or says why not. Only a fault (a full disk, a broken model) is an exception."""

    @override
    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes a model that both blessings allow, unless the live version computes the same.

        Args:
            input_dict: `model`, `model_blessing`, `infra_blessing`, `statistics`, `schema`: one artifact each, and
                `data_blessing`, at most one.
            output_dict: `pushed_model`: gets the custom properties `pushed` (1 or 0), `version` (the pushed one,
                otherwise the live one, 0: none), `reason`, `content_hash` and `pushed_destination`.
            exec_properties: `serving_dir`, `keep_versions`, and `protected_versions` (JSON list), which servers name.

        Raises:
            PushError: the version cannot be written; nothing has changed.
            ValueError: `serving_dir` is not a path of this machine.
        """
        pushed_model = artifact_utils.get_single_instance(output_dict[PUSHED_MODEL_KEY])
        model_uri = artifact_utils.get_single_uri(input_dict[MODEL_KEY])
        model_dir = Path(path_utils.serving_model_path(model_uri))
        if "://" in exec_properties[SERVING_DIR_KEY]:
            raise ValueError(
                "`serving_dir` must be a path of a file system that renames at once, not an object store. "
                f"Received: {exec_properties[SERVING_DIR_KEY]}."
            )
        serving_dir = Path(exec_properties[SERVING_DIR_KEY])

        refusal = _refusal(input_dict, model_uri)
        if refusal:
            _publish(pushed_model, serving_dir, versions.latest_version(serving_dir), refusal, "")
            return
        digest = content_hash(model_dir)
        live = versions.latest_version(serving_dir)
        protected = set(json.loads(exec_properties.get(PROTECTED_VERSIONS_KEY) or "[]"))
        if live and versions.read_release(serving_dir, live).get("content_hash") == digest:
            which = "the newest one" if protected and live not in protected else "which is live"
            reason = f"Nothing new: version {live}, {which}, computes the same."
            _publish(pushed_model, serving_dir, live, reason, digest)
            return
        run_id = self._context.pipeline_run_id if self._context and self._context.pipeline_run_id else ""

        def write_release(release_dir: Path, version: int) -> None:
            _write_release(release_dir, input_dict, {"version": version, "content_hash": digest, "run_id": run_id})

        version = install.install(model_dir, serving_dir, write_release)
        deleted = install.prune(serving_dir, exec_properties[KEEP_VERSIONS_KEY], protected={version, live, *protected})
        reason = f"Pushed as version {version}." + (
            f" Deleted, being older than the newest {exec_properties[KEEP_VERSIONS_KEY]}: "
            f"{', '.join(map(str, deleted))}."
            if deleted
            else ""
        )
        _publish(pushed_model, serving_dir, version, reason, digest, pushed=True)


def _refusal(input_dict: dict[str, list[types.Artifact]], model_uri: str) -> str:
    """Why the blessings do not allow a push; empty if they do."""
    for key, giver in ((MODEL_BLESSING_KEY, "The Evaluator"), (INFRA_BLESSING_KEY, "The ReleaseGate")):
        blessing = artifact_utils.get_single_instance(input_dict[key])
        if (
            not blessing.has_custom_property(BLESSED_PROPERTY)
            or blessing.get_int_custom_property(BLESSED_PROPERTY) != evaluator.BLESSED_VALUE
        ):
            if key == MODEL_BLESSING_KEY and _taken_into_account(input_dict):
                continue
            return f"{giver} did not bless the model."
        if blessing.has_custom_property(evaluator.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY):
            blessed = blessing.get_string_custom_property(evaluator.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY)
            if blessed != model_uri:
                return f"{giver} blessed another model ({blessed})."
    return ""


def _taken_into_account(input_dict: dict[str, list[types.Artifact]]) -> bool:
    """Whether the ReleaseGate has the Evaluator's refusal among its gates as one that does not block."""
    blessing = artifact_utils.get_single_instance(input_dict[INFRA_BLESSING_KEY])
    try:
        gates = read_gates(blessing.uri) if blessing.uri else []
    except FileNotFoundError:
        return False
    return any(gate.name == EVALUATOR_GATE and not gate.blocks for gate in gates)


def _overruled(input_dict: dict[str, list[types.Artifact]]) -> dict[str, str]:
    """Gates that did not pass and that a person overruled for this run: gate → reason."""
    found: dict[str, str] = {}
    for key in (DATA_BLESSING_KEY, INFRA_BLESSING_KEY):
        for blessing in input_dict.get(key, []):
            found |= overruled_of(blessing)
    return found


def _write_release(release_dir: Path, input_dict: dict[str, list[types.Artifact]], record: dict[str, Any]) -> None:
    """Lets a version say what it was made from: the next run's drift is measured against it."""
    statistics = artifact_utils.get_single_instance(input_dict[STATISTICS_KEY])
    for split in artifact_utils.decode_split_names(statistics.split_names):
        source = Path(artifact_utils.get_split_uri([statistics], split), versions.STATISTICS_FILE)
        target = release_dir / "statistics" / f"Split-{split}" / versions.STATISTICS_FILE
        target.parent.mkdir(parents=True)
        shutil.copyfile(source, target)
    schema = io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(input_dict[SCHEMA_KEY]))
    shutil.copyfile(schema, release_dir / versions.SCHEMA_FILE)
    for blessing in input_dict.get(DATA_BLESSING_KEY, []):
        profile = Path(blessing.uri, versions.TEXT_PROFILE_FILE)
        if profile.exists():
            shutil.copyfile(profile, release_dir / versions.TEXT_PROFILE_FILE)
    for blessing in input_dict[INFRA_BLESSING_KEY]:
        answers = Path(blessing.uri, ANSWERS_FILE)
        if blessing.uri and answers.exists():
            shutil.copyfile(answers, release_dir / ANSWERS_FILE)
        kept = Path(blessing.uri, versions.KEPT_DIR)
        if blessing.uri and kept.is_dir():
            shutil.copytree(kept, release_dir / versions.KEPT_DIR)
    overruled = _overruled(input_dict)
    if overruled:
        record = {**record, "overruled": overruled}
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    text = json.dumps({**record, "created": created, "tensorflow": tf.__version__}, indent=2)
    (release_dir / versions.RELEASE_FILE).write_text(text + "\n", encoding="utf-8")


def _publish(
    pushed_model: types.Artifact, serving_dir: Path, version: int, reason: str, digest: str, pushed: bool = False
) -> None:
    pushed_model.set_int_custom_property("pushed", int(pushed))
    pushed_model.set_int_custom_property("version", version)
    pushed_model.set_string_custom_property("reason", reason)
    pushed_model.set_string_custom_property("content_hash", digest)
    pushed_model.set_string_custom_property("pushed_destination", str(serving_dir / str(version)) if pushed else "")
    _logger.info("Pusher %s", reason)
