"""The `--model_config_file` that servers start from, as far as one model goes. Without TensorFlow."""

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from deploy.serving.client_protos import ModelServerConfig


class RolloutError(Exception):
    """A move could not be made; the message says which server or file, and what holds now."""


@dataclass(frozen=True)
class ModelConfigFile:
    """The part of a `--model_config_file` that is about one model; other models in it are left as they are.

    Attributes:
        path: of the file; it need not be there yet.
        model_name: as clients ask for it.
        base_path: of its versions, as the servers see it.
    """

    path: Path
    model_name: str
    base_path: str

    def read(self) -> Any:
        """The ModelServerConfig; empty if there is no file yet.

        Raises:
            RolloutError: the file cannot be read.
        """
        try:
            return text_format.Parse(self.path.read_text(encoding="utf-8"), ModelServerConfig())
        except FileNotFoundError:
            return ModelServerConfig()
        except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
            raise RolloutError(f"The model config file {self.path} cannot be read: {error}.") from None

    def labels(self) -> dict[str, int]:
        """Version by label.

        Raises:
            RolloutError: the file cannot be read.
        """
        for model in self.read().model_config_list.config:
            if model.name == self.model_name:
                return dict(sorted(model.version_labels.items()))
        return {}

    def with_model(self, versions: Iterable[int], labels: Mapping[str, int]) -> Any:
        """What the file says, but with these versions and labels for the model."""
        config = self.read()
        models = config.model_config_list.config
        entry = next((model for model in models if model.name == self.model_name), None)
        if entry is None:
            entry = models.add(name=self.model_name, model_platform="tensorflow")
        entry.base_path = self.base_path
        entry.ClearField("model_version_policy")
        entry.model_version_policy.specific.versions.extend(sorted(set(versions)))
        entry.ClearField("version_labels")
        for label, version in labels.items():
            entry.version_labels[label] = version
        return config

    def write(self, config: Any) -> None:
        """Replaces the file at once, so that a reader never meets half of it.

        Raises:
            RolloutError: it cannot be written.
        """
        text = "# Kept by `attention release` and `attention rollback`.\n" + text_format.MessageToString(config)
        incoming = self.path.with_name(f".{self.path.name}.incoming")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(incoming, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(incoming, self.path)
        except OSError as error:
            raise RolloutError(f"The model config file {self.path} cannot be written: {error}.") from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time changes the file; the system frees it when the process ends, however it ends.

        Raises:
            RolloutError: the folder cannot be written.
        """
        path = self.path.with_name(f".{self.path.name}.lock")
        with contextlib.ExitStack() as stack:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                lock = stack.enter_context(open(path, "w", encoding="ascii"))
            except OSError as error:
                raise RolloutError(f"{path} cannot be written: {error}.") from None
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
