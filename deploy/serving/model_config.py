"""ModelServerConfig: reading it from a file or from flags, and refusing what the original refuses."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from deploy.serving.status import FailedPreconditionError, InvalidArgumentError

PLATFORM = "tensorflow"


def single_model_config(model_name: str, base_path: str) -> Any:
    """The ModelServerConfig of `--model_name` and `--model_base_path`."""
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(name=model_name, base_path=base_path, model_platform=PLATFORM)
    return config


def read_model_config(file: Path) -> Any:
    """Reads a `--model_config_file` (protobuf text format).

    Raises:
        InvalidArgumentError: The file cannot be read as a ModelServerConfig.
    """
    try:
        return text_format.Parse(file.read_text(encoding="utf-8"), model_server_config_pb2.ModelServerConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise InvalidArgumentError(f"Invalid protobuf file: '{file}': {error}") from error


def check_transition(old: Any | None, new: Any) -> None:
    """Checks a config, and the step to it from the one in force.

    Raises:
        ServingError: As `ServerCore::ReloadConfig` has it.
    """
    if new.WhichOneof("config") != "model_config_list":
        raise InvalidArgumentError(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported"
        )
    names: set[str] = set()
    for model in new.model_config_list.config:
        if model.name in names:
            raise InvalidArgumentError(f"Illegal to list model {model.name} multiple times in config list")
        names.add(model.name)
    for model in new.model_config_list.config:
        if not (model.base_path.startswith("/") or urlsplit(model.base_path).scheme):
            raise InvalidArgumentError(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )
    platforms = {} if old is None else {model.name: platform_of(model) for model in old.model_config_list.config}
    for model in new.model_config_list.config:
        platform = platform_of(model)
        if platforms.get(model.name, platform) != platform:
            raise InvalidArgumentError(
                f"Illegal to change a model's platform. For model {model.name} platform was "
                f"{platforms[model.name]} and new platform requested is {platform}"
            )
        if platform != PLATFORM:
            raise InvalidArgumentError(f"Model {model.name} requests unsupported platform {platform}")


def platform_of(model: Any) -> str:
    """The platform of one ModelConfig, from the field of today or the deprecated one."""
    if model.model_type:
        if model.model_platform:
            raise InvalidArgumentError("Illegal setting both model_type(deprecated) and model_platform.")
        return PLATFORM if model.model_type == model_server_config_pb2.TENSORFLOW else "other"
    if not model.model_platform:
        raise InvalidArgumentError("Illegal setting neither model_type(deprecated) nor model_platform.")
    return str(model.model_platform)


class Labels:
    """Names such as `stable` and `canary` for versions of a model."""

    def __init__(self, allow_unavailable: bool) -> None:
        """Starts without labels; `allow_unavailable` lets a new label name a version that is not loaded yet."""
        self._allow_unavailable = allow_unavailable
        self._versions: dict[str, dict[str, int]] = {}

    def assign(self, config: Any, available: dict[str, set[int]]) -> None:
        """Takes over all labels of a config, or none.

        Args:
            config: ModelServerConfig.
            available: Versions that take traffic now, by model.

        Raises:
            FailedPreconditionError: A label names a version that takes no traffic.
        """
        labels: dict[str, dict[str, int]] = {}
        for model in config.model_config_list.config:
            for label, version in model.version_labels.items():
                existing = self._versions.get(model.name, {}).get(label, version)
                free = self._allow_unavailable and existing == version
                if not free and version not in available.get(model.name, set()):
                    raise FailedPreconditionError(
                        f"Request to assign label to version {version} of model {model.name}, "
                        "which is not currently available for inference"
                    )
                labels.setdefault(model.name, {})[label] = version
        self._versions = labels

    def version(self, model_name: str, label: str) -> int:
        """The version behind a label.

        Raises:
            InvalidArgumentError: There is no such label.
        """
        try:
            return self._versions[model_name][label]
        except KeyError:
            raise InvalidArgumentError(f"Unrecognized servable version label: {label}") from None
