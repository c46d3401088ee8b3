"""Links the live version's SavedModel into an artifact."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils
from typing_extensions import override

from components.pusher import versions

MODEL_KEY = "model"
BASELINE_MODEL_KEY = "baseline_model"
SERVING_DIR_KEY = "serving_dir"
LIVE_VERSION_KEY = "live_version"
VERSION_PROPERTY = "version"

_logger = logging.getLogger("attention")


class Executor(base_executor.BaseExecutor):
    """Makes the baseline out of the live version or, where nothing is live, of the candidate."""

    @override
    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the SavedModel below `Format-Serving` and records its version (0: the candidate, or nothing).

        Args:
            input_dict: `model`: the candidate, at most one.
            output_dict: `baseline_model`: one Model.
            exec_properties: `serving_dir` and `live_version`.

        Raises:
            FileNotFoundError: the live version is not there, or has no saved_model.pb.
        """
        baseline = artifact_utils.get_single_instance(output_dict[BASELINE_MODEL_KEY])
        version = versions.live_version(exec_properties[SERVING_DIR_KEY], exec_properties[LIVE_VERSION_KEY])
        if version:
            found = versions.version_dirs(exec_properties[SERVING_DIR_KEY])
            if version not in found:
                listed = ", ".join(map(str, found)) or "none"
                raise FileNotFoundError(
                    f"`live_version` must be a complete version in {exec_properties[SERVING_DIR_KEY]}. "
                    f"Received: {version}; there are: {listed}."
                )
            source: Path | None = found[version]
        elif input_dict.get(MODEL_KEY):
            source = Path(path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict[MODEL_KEY])))
        else:
            source = None
            os.makedirs(baseline.uri, exist_ok=True)
        if source is not None:
            link_tree(source, Path(path_utils.serving_model_dir(baseline.uri)))
        baseline.set_int_custom_property(VERSION_PROPERTY, version)
        _logger.info("BaselineModel %s", f"version {version}" if version else "nothing is live")


def link_tree(source: Path, target: Path) -> None:
    """Copies a directory by hard links, or by content where the file system has none or the two are on different ones.

    A version that the Pusher deletes later stays whole here: a link holds the content.

    Args:
        source: an existing directory.
        target: where its copy goes; replaced if it is there.
    """
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
