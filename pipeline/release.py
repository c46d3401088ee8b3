"""From `canary` to `stable`, or back: what `attention release` and `attention rollback` do.

Labels stand in the model config file that the servers start from, moves are recorded in ML Metadata before they are
made, and a killed command is taken up by the next one: it reads the file, tells the servers, and goes on.
"""

import contextlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_metadata.errors import StatusError

from components.gates import Gate
from components.pusher.versions import latest_version, version_dirs
from deploy.serving.client_calls import tls_credentials
from deploy.serving.model_config_file import ModelConfigFile
from deploy.serving.model_server import LoadError, connect
from deploy.serving.rollout import CANARY, PREVIOUS, STABLE, Rollout, SupersededError
from pipeline.config import ConfigError, MetadataError, PipelineConfig
from pipeline.history import History, HistoryError, connection_config
from pipeline.release_comparison import check_source, compare, judge
from pipeline.release_history import ReleaseHistory, current_user
from pipeline.workspace import Workspace

Labels = Mapping[str, int]


@dataclass(frozen=True)
class Reason:
    """Why a move is made, and what was measured."""

    why: str
    gates: tuple[Gate, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """How a command ended. Verdicts: promoted, unchanged, rolled_back, failed."""

    verdict: str
    version: int | None
    why: str
    labels: dict[str, int]
    gates: list[Gate] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "gates": [gate.as_json() for gate in self.gates]}


def model_config_file(config: PipelineConfig, workspace: Workspace) -> ModelConfigFile:
    """The file that servers of this pipeline's model start from."""
    path = config.release.model_config_file or workspace.root / "serving" / "models.config"
    base_path = config.release.base_path or str(workspace.serving(config.name))
    return ModelConfigFile(Path(path).absolute(), config.name, base_path)


def labelled_versions(config: PipelineConfig, workspace: Workspace) -> dict[str, int]:
    """Version by label; empty where versions are pushed without one.

    Raises:
        RolloutError: the model config file cannot be read.
    """
    return model_config_file(config, workspace).labels() if config.push.label else {}


def live_version(config: PipelineConfig, workspace: Workspace) -> int:
    """The version whose answers clients get: the stable one, or the newest where there are no labels; 0: none."""
    return live_among(labelled_versions(config, workspace), workspace.serving(config.name))


def live_among(labels: Labels, serving_dir: Path) -> int:
    """As `live_version`, of versions whose labels are known."""
    stable = labels.get(STABLE)
    return stable if stable is not None else latest_version(serving_dir)


class Release:
    """The labels of one pipeline's model."""

    def __init__(self, config: PipelineConfig, workspace: Workspace, who: str = ""):
        """Opens channels; no server is asked yet.

        Raises:
            ConfigError: versions of this pipeline are pushed without a label, or a TLS file cannot be read.
        """
        if config.push.label is None:
            raise ConfigError(
                "Releases want `push.label: canary` in the config: without it every pushed version is live at once."
            )
        self._config, self._workspace, self._options = config, workspace, config.release
        self._who = who or current_user()
        self._serving_dir = workspace.serving(config.name)
        tls = (self._options.ca_file, self._options.certificate_file, self._options.key_file)
        try:
            credentials = tls_credentials(*tls) if any(tls) else None
        except OSError as error:
            raise ConfigError(f"`release`: a TLS file cannot be read: {error}.") from None
        servers = connect(self._options.servers, config.name, credentials, self._options.timeout_seconds)
        self._rollout = Rollout(model_config_file(config, workspace), servers, self._options.load_timeout_seconds)

    @property
    def labels(self) -> dict[str, int]:
        return self._rollout.file.labels()

    def push_canary(self, version: int, why: str) -> Outcome:
        """Loads a version beside the stable one and labels it; the first version of all becomes stable.

        Raises:
            LoadError: the servers cannot load it.
            RolloutError: they were not reached.
        """
        before = self.labels
        if STABLE not in before:
            reason = Reason("Nothing was stable yet, so there is nothing to compare with.")
            return self._promote(version, reason, before)
        return self._move("canary", "canary", version, Reason(why), before | {CANARY: version}, before)

    def run(self, version: int | None = None, requests: Iterable[Any] | None = None, why: str = "") -> Outcome:
        """Makes the newest version canary, compares it with stable, and promotes it or takes it back.

        Args:
            version: the candidate; default: the newest that is not stable and was not taken back before.
            requests: rows to send to both instead of what the config says.
            why: a word of the caller's for the record.

        Raises:
            ConfigError: the version is not there, or the requests cannot be read.
            RolloutError: a server was not reached.
            PredictionError: the same, while requests were compared; canary stays canary.
        """
        if requests is None:
            check_source(self._options)
        candidate, nothing = self._candidate(version)
        if candidate is None:
            if self.labels:
                self._rollout.move(self.labels)  # whatever a killed command did not come to tell
                self._history().close_interrupted()
            return Outcome("unchanged", self.labels.get(STABLE), nothing, self.labels)
        try:
            return self._try(candidate, requests, f"{why.rstrip('.')}. " if why else "")
        except SupersededError as error:
            return Outcome("rolled_back", candidate, str(error), self.labels)

    def _try(self, candidate: int, requests: Iterable[Any] | None, why: str) -> Outcome:
        try:
            started = self.push_canary(candidate, f"{why}To be compared with stable.")
        except LoadError as error:
            if STABLE not in self.labels:
                raise
            return self._take_back(candidate, Reason(f"{why}{error}"), self.labels)
        if started.verdict == "promoted":
            return started
        # What stable was recorded with is what its clients send; canary's own requests may hold what is new.
        both = [self._serving_dir / str(version) for version in (started.labels[STABLE], candidate)]
        comparison = compare(self._rollout.servers[0], self._config.name, self._options, both, requests)
        gates = judge(comparison, self._options)
        blocking = [gate for gate in gates if gate.blocks]
        end = self._take_back if blocking else self._promote
        told = why + " ".join(gate.why for gate in blocking or gates)
        return end(candidate, Reason(told, tuple(gates), comparison.as_json()), started.labels)

    def rollback(self, version: int | None, why: str) -> Outcome:
        """Takes the canary away, or gives `stable` back to the version before.

        Args:
            version: gets `stable`; default: undo the newest move.
            why: for the record.

        Raises:
            ConfigError: there is nothing to go back to.
            RolloutError: a server was not reached; the model config file says what was wanted.
        """
        labels = self.labels
        stable, canary, previous = (labels.get(label) for label in (STABLE, CANARY, PREVIOUS))
        if stable is None:
            raise ConfigError(f"Nothing was released yet: {self._rollout.file.path} names no stable version.")
        if version is None and canary is not None:
            return self._take_back(canary, Reason(why), labels)
        target = version if version is not None else previous
        if target is None:
            self._rollout.move(labels)  # whatever a killed command did not come to tell
            others = [each for each in version_dirs(self._serving_dir) if each != stable]
            raise ConfigError(f"No version is kept to go back to; name one by --to. There are: {others or 'none'}.")
        self._require(target)
        if target == stable:
            raise ConfigError(f"Version {target} is stable already.")
        return self._move("rollback", "rolled_back", stable, Reason(why), {STABLE: target}, labels)

    def _candidate(self, version: int | None) -> tuple[int | None, str]:
        """The version to try, or why there is none."""
        stable = self.labels.get(STABLE)
        if version is not None:
            self._require(version)
            return (None, f"Version {version} is stable already.") if version == stable else (version, "")
        newer = [each for each in version_dirs(self._serving_dir) if stable is None or each > stable]
        if not newer:
            return None, f"Version {stable} is stable, and nothing newer was pushed."
        rejected = self._history().rejected(newer[-1])
        if rejected is not None:
            return None, f"Version {newer[-1]} was taken back: {rejected.why} Try it again by --version {newer[-1]}."
        return newer[-1], ""

    def _require(self, version: int) -> None:
        there = version_dirs(self._serving_dir)
        if version not in there:
            raise ConfigError(f"There is no version {version} in {self._serving_dir}: {list(there) or 'none at all'}.")

    def _promote(self, version: int, reason: Reason, before: Labels) -> Outcome:
        after = {STABLE: version}
        if STABLE in before and self._options.keep_previous:
            after[PREVIOUS] = before[STABLE]
        return self._move("promote", "promoted", version, reason, after, before)

    def _take_back(self, canary: int, reason: Reason, before: Labels) -> Outcome:
        after = {label: version for label, version in before.items() if label != CANARY}
        return self._move("rollback", "rolled_back", canary, reason, after, before)

    def _move(self, action: str, verdict: str, version: int, reason: Reason, after: Labels, before: Labels) -> Outcome:
        """Records a move and makes it; going back does not wait for a database that is away."""
        going_back, moved = action == "rollback", False
        try:
            history = self._history()
            with history.record(action, version, self._who, reason.why, before, after, reason.numbers) as record:
                self._rollout.move(after, before, keep_on_failure=going_back)
                moved = True
            self._link(history, record, version)
        except (StatusError, HistoryError, MetadataError) as error:
            if not going_back:
                raise
            if not moved:
                self._rollout.move(after, before, keep_on_failure=True)
            print(f"The move is made, but ML Metadata did not take its record: {error}", file=sys.stderr)
        return Outcome(verdict, version, reason.why, dict(after), list(reason.gates), dict(reason.numbers))

    def _history(self) -> ReleaseHistory:
        return ReleaseHistory(connection_config(self._config.metadata, self._workspace.metadata), self._config.name)

    def _link(self, history: ReleaseHistory, record: int, version: int) -> None:
        connection = connection_config(self._config.metadata, self._workspace.metadata)
        with contextlib.suppress(HistoryError):  # a version that no run of ours pushed
            pushed = History(connection, self._config.name).pushed_run(version).steps["Pusher"].output("pushed_model")
            if pushed is not None:
                history.link(record, pushed.id)
