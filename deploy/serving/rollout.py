"""Moves labels such as `stable` and `canary` between versions of a model, on servers that go on answering.

All that a server is told stands in its model config file, and is sent by HandleReloadConfigRequest: versions by name
(`model_version_policy { specific … }`) and labels for them. Nothing else is needed, so the original does as well.

A label may only name a version that is loaded. So a move has three steps, each written to the file before it is sent:

1. the versions of before and after, with the labels of before; then wait until they are AVAILABLE,
2. the same versions, with the labels of after: from here on clients are answered by the other version,
3. only the versions that still have a label; those without are drained and leave memory.

A process killed between them leaves a file that servers can start from, and from which the next move goes on. A move
between versions that are loaded already begins with step 2, which is why going back takes no time.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.serving.client_errors import PreconditionError, PredictionError, TimedOutError
from deploy.serving.model_config_file import ModelConfigFile, RolloutError
from deploy.serving.model_server import Server

STABLE, CANARY, PREVIOUS = "stable", "canary", "previous"

_GRACE_SECONDS = 0.5
"""Between the move of a label and the end of its old version: a request may have read the label just before."""


class SupersededError(RolloutError):
    """Another command moved the labels meanwhile."""


@dataclass(frozen=True)
class Rollout:
    """The servers of a model and the file that they start from."""

    file: ModelConfigFile
    servers: tuple[Server, ...]
    load_timeout_seconds: float

    def move(
        self, labels: Mapping[str, int], expect: Mapping[str, int] | None = None, keep_on_failure: bool = False
    ) -> None:
        """Gives versions their labels; versions without one are unloaded in the end.

        Args:
            labels: version by label, all of them.
            expect: version by label as the caller found them; None: whatever they are.
            keep_on_failure: whether the file says what is wanted even if a server could not be told: it holds when
                that server starts again. For going back; otherwise the file is put back as it was.

        Raises:
            LoadError: a version could not be loaded.
            SupersededError: another command moved the labels since, or while this one waited for a version.
            RolloutError: a server was not reached or refused, or the file cannot be written.
        """
        with self.file.locked():
            before, old = self.file.read(), self.file.labels()
            if expect is not None and old != expect:
                raise SupersededError(f"Another command moved the labels meanwhile: {dict(expect)} became {old}.")
            both = {*old.values(), *labels.values()}
            loaded = set(labels.values()) <= set(old.values())
            first = self.file.with_model(both, labels if loaded else old)
            with self._undone_on_fault(before, labels if keep_on_failure else None):
                behind = self._send(first, patient=not loaded)
                for server in behind:  # it came up without this file: versions first, then labels
                    self._tell(server, self._beside_what_it_serves(server, both))
                if loaded and not behind:
                    return self._drop(both, labels)
        try:
            # Nobody is locked out meanwhile: going back must not wait for a version that loads.
            self._wait(both)
        except RolloutError:
            with self.file.locked():
                if self.file.read() == first:
                    self._put_back(before)
            raise
        with self.file.locked():
            if self.file.read() != first:
                raise SupersededError(f"Another command moved the labels meanwhile: {old} became {self.file.labels()}.")
            with self._undone_on_fault(before, labels if keep_on_failure else None):
                for server in self._send(self.file.with_model(both, labels)):
                    raise RolloutError(f"The server {server.target} refused {dict(labels)}, though it loaded them all.")
                self._drop(both, labels)

    @contextlib.contextmanager
    def _undone_on_fault(self, before: Any, keep: Mapping[str, int] | None) -> Iterator[None]:
        try:
            yield
        except RolloutError:
            if keep is None:
                self._put_back(before)
            else:
                self.file.write(self.file.with_model(keep.values(), keep))
            raise

    def _wait(self, versions: Iterable[int]) -> None:
        for server in self.servers:
            try:
                server.wait_until_available(versions, self.load_timeout_seconds)
            except PredictionError as error:
                raise _untold(server, error) from error

    def _send(self, config: Any, patient: bool = False) -> list[Server]:
        """Writes a config, then tells all servers, even if one is not there: going back must not wait for it.

        Args:
            config: ModelServerConfig.
            patient: whether a server may need longer to answer, because it loads.

        Returns:
            The servers that refused it, because a label's version is not loaded there.

        Raises:
            RolloutError: a server was not reached.
        """
        self.file.write(config)
        behind, fault = [], None
        for server in self.servers:
            try:
                server.reload(config)
            except PreconditionError:
                behind.append(server)
            except PredictionError as error:
                if not (patient and isinstance(error, TimedOutError)):
                    fault = fault or _untold(server, error)
        if fault is not None:
            raise fault
        return behind

    def _beside_what_it_serves(self, server: Server, versions: Iterable[int]) -> Any:
        """A config for a server that lacks versions: what its own labels name serves on while they come."""
        try:
            labels = server.labels((STABLE, CANARY, PREVIOUS))
        except PredictionError as error:
            raise _untold(server, error) from error
        return self.file.with_model({*versions, *labels.values()}, labels)

    def _drop(self, loaded: set[int], labels: Mapping[str, int]) -> None:
        if loaded == set(labels.values()):
            return
        time.sleep(_GRACE_SECONDS)
        self._send(self.file.with_model(labels.values(), labels))

    def _tell(self, server: Server, config: Any) -> None:
        try:
            server.reload(config)
        except PredictionError as error:
            raise _untold(server, error) from error

    def _put_back(self, config: Any) -> None:
        if config.model_config_list.config:
            self.file.write(config)
        else:
            self.file.path.unlink(missing_ok=True)
            return
        for server in self.servers:
            with contextlib.suppress(PredictionError):  # it is told again by the next command
                server.reload(config)


def _untold(server: Server, error: PredictionError) -> RolloutError:
    return RolloutError(f"The server {server.target} could not be told: {error}")
