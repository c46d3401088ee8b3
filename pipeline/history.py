"""Reads ML Metadata: runs, their steps, and where a version came from."""

import datetime
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.gates import Gate, read_gates
from components.release_gate.options import METRICS_FILE
from pipeline.config import ConfigError
from pipeline.config_groups import MetadataConfig
from pipeline.metadata_store import open_store

PIPELINE_TYPE = "pipeline"
RUN_TYPE = "pipeline_run"
NODE_TYPE = "node"
CONFIG_TYPE = "PipelineConfig"
ERROR_PROPERTY = "error"
STATES = {
    mlmd.Execution.NEW: "running",
    mlmd.Execution.RUNNING: "running",
    mlmd.Execution.COMPLETE: "ran",
    mlmd.Execution.CACHED: "cached",
    mlmd.Execution.FAILED: "failed",
    mlmd.Execution.CANCELED: "interrupted",
}
USUAL_PORTS = {"mysql": 3306, "postgresql": 5432}


class HistoryError(ValueError):
    """What was asked for is not recorded; the message says what is."""


@dataclass(frozen=True)
class Step:
    """One node in one run.

    Attributes:
        node: its id in the DAG.
        state: `ran`, `cached`, `failed`, `interrupted` or `running`.
        seconds: wall clock of what ran; 0 for what was cached.
        outputs: name → artifacts.
        error: why it failed, if it did.
        started: when.
    """

    node: str
    state: str
    seconds: float
    outputs: dict[str, list[mlmd.Artifact]] = field(default_factory=dict)
    error: str = ""
    started: datetime.datetime | None = None

    def output(self, name: str) -> mlmd.Artifact | None:
        artifacts = self.outputs.get(name) or []
        return artifacts[0] if artifacts else None


@dataclass(frozen=True)
class Run:
    """One run, as ML Metadata tells it. Verdicts: pushed, unchanged, blocked, failed, interrupted, running."""

    run_id: str
    started: datetime.datetime
    steps: dict[str, Step]
    config_uri: str = ""

    def _output(self, node: str, name: str) -> mlmd.Artifact | None:
        step = self.steps.get(node)
        return step.output(name) if step else None

    @property
    def verdict(self) -> str:
        states = {step.state for step in self.steps.values()}
        for state in ("failed", "interrupted", "running"):
            if state in states:
                return state
        pushed = self._output("Pusher", "pushed_model")
        if pushed is not None and property_of(pushed, "pushed") == 1:
            return "pushed" if self.steps["Pusher"].state == "ran" else "unchanged"
        if any(gate.blocks for gate in self.gates):
            return "blocked"
        return "interrupted" if pushed is None else "unchanged"

    @property
    def version(self) -> int | None:
        """The version that this run pushed, or found to be the same as its own model."""
        pushed = self._output("Pusher", "pushed_model")
        return int(property_of(pushed, "version") or 0) or None if pushed is not None else None

    @property
    def gates_by_step(self) -> dict[str, list[Gate]]:
        blessings = {node: self._output(node, "blessing") for node in ("DataGate", "ReleaseGate")}
        return {node: read_gates(blessing.uri) for node, blessing in blessings.items() if blessing is not None}

    @property
    def gates(self) -> list[Gate]:
        return [gate for gates in self.gates_by_step.values() for gate in gates]

    @property
    def rows(self) -> dict[str, int]:
        examples = self._output("ExampleGen", "examples")
        names = {"read": "rows_read", "used": "rows_used", "quarantined": "rows_quarantined"}
        if examples is None:
            return dict.fromkeys(names, 0)
        return {name: int(property_of(examples, key) or 0) for name, key in names.items()}

    @property
    def metrics(self) -> dict[str, float]:
        """Overall metrics on the test split, measured through the served signature."""
        blessing = self._output("ReleaseGate", "blessing")
        path = Path(blessing.uri, METRICS_FILE) if blessing is not None else None
        return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.exists() else {}

    @property
    def why(self) -> str:
        """One sentence for the verdict."""
        failed = [step for step in self.steps.values() if step.state == "failed"]
        if failed:
            return f"{failed[0].node}: {failed[0].error}"
        blocked = [gate for gate in self.gates if gate.blocks]
        if blocked:
            more = f" (and {len(blocked) - 1} more)" if len(blocked) > 1 else ""
            return f"gate {blocked[0].name}: {blocked[0].why}{more}"
        pushed = self._output("Pusher", "pushed_model")
        return str(property_of(pushed, "reason") or "") if pushed is not None else ""

    def as_json(self) -> dict[str, Any]:
        """The line that `attention run --json` ends with."""
        return {
            "verdict": self.verdict,
            "version": self.version,
            "metrics": self.metrics,
            "gates": [gate.as_json() for gate in self.gates],
            "rows": self.rows,
            "seconds": {step.node: round(step.seconds, 1) for step in self.steps.values()},
            "run": self.run_id,
            "why": self.why,
        }


def property_of(artifact: mlmd.Artifact, name: str) -> Any:
    """A property or custom property of an artifact; None where it has none of that name."""
    for properties in (artifact.custom_properties, artifact.properties):
        if name in properties:
            value = properties[name]
            kind = value.WhichOneof("value")
            return getattr(value, kind) if kind else None
    return None


def connection_config(metadata: MetadataConfig, database_file: Path) -> mlmd.ConnectionConfig:
    """The config's `metadata` group → ML Metadata's connection.

    Raises:
        ConfigError: a part is missing, or the variable that holds the password is not set.
    """
    config = mlmd.ConnectionConfig()
    if metadata.type == "sqlite":
        config.sqlite.filename_uri = str(database_file)
        config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        return config
    for name in ("host", "database", "user"):
        if not getattr(metadata, name):  # ML Metadata would end the process
            raise ConfigError(f"`metadata.type: {metadata.type}` needs `metadata.{name}`.")
    password = os.environ.get(metadata.password_variable)
    if password is None:
        raise ConfigError(
            f"`metadata.type: {metadata.type}` takes its password from the environment variable "
            f"{metadata.password_variable}, which is not set."
        )
    port = metadata.port or USUAL_PORTS[metadata.type]
    if metadata.type == "mysql":
        config.mysql.MergeFrom(
            mlmd.MySQLDatabaseConfig(
                host=metadata.host, port=port, database=metadata.database, user=metadata.user, password=password
            )
        )
    else:
        config.postgresql.MergeFrom(
            mlmd.PostgreSQLDatabaseConfig(
                host=metadata.host,
                port=str(port),
                dbname=metadata.database,
                user=metadata.user,
                password=_libpq_value(password),
            )
        )
    return config


def _libpq_value(text: str) -> str:
    """Quoted for libpq's `name=value …`, into which ML Metadata puts it as it is."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class History:
    """The runs of one pipeline."""

    def __init__(self, connection: mlmd.ConnectionConfig, pipeline: str):
        self._store = open_store(connection)
        self._pipeline = pipeline

    def runs(self, limit: int | None = None) -> list[Run]:
        """Newest first."""
        return [self._run(context) for context in self._newest_first()[:limit]]

    def run(self, run_id: str) -> Run:
        """One run by its id, or `latest`.

        Raises:
            HistoryError: no run of this id; the message names those there are.
        """
        if run_id == "latest":
            runs = self.runs(limit=1)
            if runs:
                return runs[0]
            raise HistoryError(f"The pipeline {self._pipeline!r} has no run yet.")
        context = next((each for each in self._contexts() if each.name == run_id), None)
        if context is None:
            known = ", ".join(run.run_id for run in self.runs(limit=5)) or "none"
            raise HistoryError(f"There is no run of this id. Received: {run_id!r}; the newest: {known}.")
        return self._run(context)

    def step(self, run_id: str, node: str) -> Step | None:
        """One node of one run; None if it was skipped."""
        context = self._store.get_context_by_type_and_name(RUN_TYPE, run_id)
        return self._run(context).steps.get(node) if context else None

    def newest_outputs(self, of_all: Mapping[str, str]) -> Iterator[mlmd.Artifact]:
        """All outputs of each node, from the newest run in which it ended well.

        Args:
            of_all: node → the one of its outputs that is given of the earlier runs, too.
        """
        nodes = set()
        for context in self._newest_first():
            for step in self._run(context).steps.values():
                if step.state not in ("ran", "cached"):
                    continue
                for name, artifacts in step.outputs.items():
                    if step.node not in nodes or of_all.get(step.node) == name:
                        yield from artifacts
                nodes.add(step.node)

    def outputs(self, names: Mapping[str, str]) -> Iterator[str]:
        """Where the outputs of some nodes lie, those of the newest run first, each once.

        Args:
            names: node → its output.
        """
        seen = set()
        for context in self._newest_first():
            steps = self._run(context).steps
            done = [steps[node] for node in names if node in steps and steps[node].state in ("ran", "cached")]
            for artifact in filter(None, (step.output(names[step.node]) for step in done)):
                if artifact.uri not in seen:
                    seen.add(artifact.uri)
                    yield artifact.uri

    def record_config(self, run_id: str, uri: str) -> None:
        """Makes the resolved config an artifact of the run, once."""
        context = self._store.get_context_by_type_and_name(RUN_TYPE, run_id)
        if context is None or any(each.uri == uri for each in self._store.get_artifacts_by_context(context.id)):
            return
        type_id = self._store.put_artifact_type(mlmd.ArtifactType(name=CONFIG_TYPE), can_add_fields=True)
        artifact = mlmd.Artifact(type_id=type_id, uri=uri, name=f"config.{run_id}", state=mlmd.Artifact.LIVE)
        (artifact_id,) = self._store.put_artifacts([artifact])
        attribution = mlmd.Attribution(artifact_id=artifact_id, context_id=context.id)
        self._store.put_attributions_and_associations([attribution], [])

    def record_error(self, run_id: str, node: str, message: str) -> None:
        """Writes why a node failed to its execution (TFX itself keeps no message)."""
        context = self._store.get_context_by_type_and_name(RUN_TYPE, run_id)
        executions = self._store.get_executions_by_context(context.id) if context else []
        own = [execution for execution in executions if self._place(execution.id)[0] == node]
        for execution in own:
            execution.custom_properties[ERROR_PROPERTY].string_value = message
            if STATES.get(execution.last_known_state) == "running":
                execution.last_known_state = mlmd.Execution.FAILED
        if own:
            self._store.put_executions(own)

    def close_interrupted(self) -> int:
        """Marks steps that a killed run left open as interrupted. Only for the holder of the workspace's lock."""
        left = [
            execution
            for context in self._contexts()
            for execution in self._store.get_executions_by_context(context.id)
            if STATES.get(execution.last_known_state) == "running"
        ]
        for execution in left:
            execution.last_known_state = mlmd.Execution.CANCELED
        if left:
            self._store.put_executions(left)
        return len(left)

    def pushed_run(self, version: int) -> Run:
        """The run that pushed a version.

        Raises:
            HistoryError: no run pushed it.
        """
        runs = self.runs()
        for run in runs:
            if run.version == version and run.verdict == "pushed":
                return run
        known = sorted({run.version for run in runs if run.version and run.verdict == "pushed"})
        raise HistoryError(f"No run pushed this version. Received: {version}; pushed: {known or 'none'}.")

    def lineage(self, version: int) -> list[tuple[mlmd.Artifact, str, str]]:
        """What a version was made of, from the pushed model back to the examples.

        Returns:
            (artifact, the node that made it, the run that made it), newest work first.
        """
        pushed = self.pushed_run(version).steps["Pusher"].output("pushed_model")
        return self.origin(pushed) if pushed else []

    def origin(self, artifact: mlmd.Artifact) -> list[tuple[mlmd.Artifact, str, str]]:
        """What an artifact was made of, itself first; as `lineage` has it."""
        result, seen, open_ids = [], set(), [artifact.id]
        while open_ids:
            artifact_id = open_ids.pop(0)
            if artifact_id in seen:
                continue
            seen.add(artifact_id)
            (artifact,) = self._store.get_artifacts_by_id([artifact_id])
            events = self._store.get_events_by_artifact_ids([artifact_id])
            makers = sorted({event.execution_id for event in events if event.type == mlmd.Event.OUTPUT})
            node, run_id = self._place(makers[0]) if makers else ("", "")
            result.append((artifact, node, run_id))
            for event in self._store.get_events_by_execution_ids(makers[:1]):
                if event.type == mlmd.Event.INPUT:
                    open_ids.append(event.artifact_id)
        return result

    def _contexts(self) -> list[mlmd.Context]:
        """The runs of this pipeline; others may share the database."""
        pipeline = self._store.get_context_by_type_and_name(PIPELINE_TYPE, self._pipeline)
        children = self._store.get_children_contexts_by_context(pipeline.id) if pipeline else []
        return [context for context in children if context.type == RUN_TYPE]

    def _newest_first(self) -> list[mlmd.Context]:
        return sorted(self._contexts(), key=lambda context: context.create_time_since_epoch, reverse=True)

    def _place(self, execution_id: int) -> tuple[str, str]:
        """(node, run) of an execution."""
        node = run = ""
        for context in self._store.get_contexts_by_execution(execution_id):
            if context.type == NODE_TYPE:
                node = context.name.removeprefix(f"{self._pipeline}.")
            elif context.type == RUN_TYPE:
                run = context.name
        return node, run

    def _run(self, context: mlmd.Context) -> Run:
        executions = sorted(self._store.get_executions_by_context(context.id), key=lambda each: each.id)
        steps = {step.node: step for step in self._steps(executions)}
        configs = [each.uri for each in self._store.get_artifacts_by_context(context.id) if each.type == CONFIG_TYPE]
        started = datetime.datetime.fromtimestamp(context.create_time_since_epoch / 1000, datetime.UTC)
        return Run(context.name, started, steps, configs[0] if configs else "")

    def _steps(self, executions: list[mlmd.Execution]) -> Iterator[Step]:
        events = self._store.get_events_by_execution_ids([each.id for each in executions]) if executions else []
        outputs = [event for event in events if event.type == mlmd.Event.OUTPUT]
        ids = sorted({event.artifact_id for event in outputs})
        artifacts = {each.id: each for each in self._store.get_artifacts_by_id(ids)} if ids else {}
        for execution in executions:
            own: dict[str, list[mlmd.Artifact]] = {}
            for event in outputs:
                if event.execution_id == execution.id and event.artifact_id in artifacts:
                    own.setdefault(event.path.steps[0].key, []).append(artifacts[event.artifact_id])
            state = STATES.get(execution.last_known_state, "running")
            spent = execution.last_update_time_since_epoch - execution.create_time_since_epoch
            yield Step(
                node=self._place(execution.id)[0],
                state=state,
                seconds=0.0 if state == "cached" else spent / 1000,
                outputs=own,
                error=execution.custom_properties[ERROR_PROPERTY].string_value,
                started=datetime.datetime.fromtimestamp(execution.create_time_since_epoch / 1000, datetime.UTC),
            )
