"""Runs the DAG in this process, node by node, and says what each one did."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path

from ml_metadata.errors import StatusError
from ml_metadata.proto.metadata_store_pb2 import Artifact
from rich.markup import escape
from tfx.orchestration import metadata

from components.example_gen.errors import InputDataError
from components.pusher.versions import read_release, version_dirs
from pipeline import release
from pipeline.artifact_store import ArtifactStore
from pipeline.beam.workers import watched_workers
from pipeline.config import ConfigError, MetadataError, PipelineConfig
from pipeline.console import PROGRESS_LOGGER, RunConsole
from pipeline.dag import create_pipeline
from pipeline.history import History, Run, Step, connection_config, property_of
from pipeline.metadata_store import open_store
from pipeline.step_reports import report
from pipeline.tuning import found
from pipeline.workspace import Workspace


class StepFailedError(RuntimeError):
    """A node raised.

    Attributes:
        is_usage: whether the config and the table do not fit together, rather than something having broken.
    """

    def __init__(self, message: str, is_usage: bool = False):
        super().__init__(message)
        self.is_usage = is_usage


def run(
    config: PipelineConfig,
    workspace: Workspace,
    console: RunConsole,
    run_id: str,
    enable_cache: bool = True,
    stopped: Callable[[], bool] = lambda: False,
    overrules: Mapping[str, str] | None = None,
    tune: bool = False,
) -> Run:
    """Runs every node that has something new to do.

    Args:
        config: what to do.
        workspace: where; the caller holds its lock.
        console: shows the steps.
        run_id: name of the run in ML Metadata.
        enable_cache: False runs every node again.
        stopped: asked before each node whether the run is to end there.
        overrules: gates that shall not block this run: name → reason.
        tune: whether training options are searched; else what was found last counts.

    Returns:
        The run as recorded; `verdict` and `why` say how it ended.

    Raises:
        KeyboardInterrupt: it was stopped.
        ValueError: the config does not fit the input.
    """
    from tfx.orchestration.local import runner_utils
    from tfx.orchestration.portable import runtime_parameter_utils

    connection = connection_config(config.metadata, workspace.metadata)
    live_version = release.live_version(config, workspace)
    labelled = set(release.labelled_versions(config, workspace).values())
    history = History(connection, config.name)
    _check_owner(history, config, workspace)
    store = ArtifactStore(config.artifacts.store, workspace.artifacts) if config.artifacts.store else None
    if store is not None:
        store.restore(history.newest_outputs({"DataGate": "blessing", "ReleaseGate": "blessing", **found.OUTPUTS}))
    tuned_uri = ""
    if config.tune is not None and not tune:
        tuned_uri, line = found.newest(history, config.tune)
        console.say(f"[{'dim' if tuned_uri else 'yellow'}]{escape(line)}[/]")
    with _told_by(console):  # it may fetch an asset
        pipeline = create_pipeline(
            config,
            workspace,
            live_version,
            connection,
            enable_cache,
            conditional=False,
            protected_versions=labelled,
            overrules=overrules,
            tune=tune,
            tuned_uri=tuned_uri,
        )
    ir = _compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(ir, {"pipeline-run-id": run_id})
    deployment = runner_utils.extract_local_deployment_config(ir)
    history.close_interrupted()
    config_file = _write_config(config, workspace, run_id)

    with _told_by(console):
        for node in (each.pipeline_node for each in ir.nodes):
            if stopped():
                raise KeyboardInterrupt
            started = time.monotonic()
            if node.node_info.id == "BaselineModel":
                version = _baseline_version(history, run_id, workspace.serving(config.name), live_version)
                node.parameters.parameters["live_version"].field_value.int_value = version
            elif node.node_info.id == "LiveModel":
                version = _start_version(history, run_id, workspace.serving(config.name), live_version, enable_cache)
                node.parameters.parameters["live_version"].field_value.int_value = version
            elif node.node_info.id == "Pusher":  # what is live is no input of any node: it must look each time
                node.execution_options.caching_options.enable_cache = False
            try:
                with console.step(node.node_info.id), watched_workers():
                    _launcher(node, ir, deployment, connection).launch()
            except Exception as error:
                raise _failure(error, node.node_info.id, run_id, history, console) from error
            else:
                history.record_config(run_id, str(config_file))
            step = history.step(run_id, node.node_info.id)
            if store is not None and step is not None:
                store.keep(chain.from_iterable(step.outputs.values()))
            if _closes_gate(console, step, time.monotonic() - started):
                break
    if store is not None:
        console.say(f"[dim]artifacts: {escape(store.told())}[/]")
    return history.run(run_id)


@contextlib.contextmanager
def _told_by(console: RunConsole) -> Iterator[None]:
    """Shows progress and notices of what runs inside."""
    logger = logging.getLogger(PROGRESS_LOGGER)
    logger.addHandler(console)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(console)


def _check_owner(history: History, config: PipelineConfig, workspace: Workspace) -> None:
    """In a database that is shared, a pipeline's name belongs to one workspace: its lock guards the open steps.

    Raises:
        ConfigError: the newest runs of this name were made elsewhere.
    """
    for run in history.runs(limit=3):
        folder = Path(run.config_uri).parent.parent
        if run.config_uri and folder.resolve() != workspace.logs.resolve():
            raise ConfigError(
                f"The pipeline {config.name!r} of this database belongs to another workspace ({folder.parent}): choose "
                "another `name`, another `metadata.database`, or that --workspace."
            )


def _baseline_version(history: History, run_id: str, serving_dir: Path, live_version: int) -> int:
    """The version that this run's model is compared with.

    A model that is the live version already was compared with the one before it when it was pushed. That comparison
    holds, and its steps come from the cache.
    """
    pushed_by = _pushed_by(serving_dir, live_version)
    baseline = _output(history, pushed_by, "BaselineModel", "baseline_model")
    if baseline is None or not _same_output(history, run_id, pushed_by, "Trainer", "model"):
        return live_version
    return int(property_of(baseline, "version") or 0)


def _start_version(history: History, run_id: str, serving_dir: Path, live_version: int, enable_cache: bool) -> int:
    """The version whose weights this run's training goes on from.

    Without new data that is where the live version itself began: its training comes from the cache, and no model goes
    on from itself on the same rows night after night.
    """
    pushed_by = _pushed_by(serving_dir, live_version)
    start = _output(history, pushed_by, "LiveModel", "baseline_model")
    if start is None or not _same_output(history, run_id, pushed_by, "ExampleGen", "examples"):
        return live_version
    version = int(property_of(start, "version") or 0)
    is_there = version == 0 or enable_cache or version in version_dirs(str(serving_dir))
    return version if is_there else live_version


def _pushed_by(serving_dir: Path, version: int) -> str | None:
    """The run that pushed a version; none of what was copied there by hand."""
    return read_release(serving_dir, version).get("run_id")


def _output(history: History, run_id: str | None, node: str, name: str) -> Artifact | None:
    step = history.step(run_id, node) if run_id else None
    return step.output(name) if step else None


def _same_output(history: History, run_id: str, other_run_id: str | None, node: str, name: str) -> bool:
    own, other = (_output(history, run, node, name) for run in (run_id, other_run_id))
    return own is not None and other is not None and own.id == other.id


class _Metadata(metadata.Metadata):
    """TFX's handle on ML Metadata, over our store."""

    def __enter__(self) -> "_Metadata":
        self._store = open_store(self._connection_config)
        self._users += 1
        return self


def _launcher(node, ir, deployment, connection):
    from tfx.orchestration.local import runner_utils
    from tfx.orchestration.portable import launcher

    return launcher.Launcher(
        pipeline_node=node,
        mlmd_connection=_Metadata(connection),
        pipeline_info=ir.pipeline_info,
        pipeline_runtime_spec=ir.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node.node_info.id),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node.node_info.id),
    )


def _failure(error: Exception, node_id: str, run_id: str, history: History, console: RunConsole) -> StepFailedError:
    """Records and tells why a node failed."""
    logging.getLogger("attention").exception("%s failed", node_id)
    cause = _innermost(error)
    message = _sentence(cause)
    with contextlib.suppress(StatusError, MetadataError):  # a full disk, say, which the message tells already
        history.record_error(run_id, node_id, message)
    console.finished(node_id, "failed", 0, message)
    return StepFailedError(f"{node_id}: {message}", isinstance(cause, InputDataError))


def _compile(pipeline):
    from tfx.dsl.compiler import compiler

    return compiler.Compiler().compile(pipeline)


def _closes_gate(console: RunConsole, step: Step | None, seconds: float) -> bool:
    """Tells what a step did.

    Returns:
        Whether nothing that follows may run. Gates on the model are not meant: behind them is only the Pusher, which
        refuses by itself and records why.
    """
    if step is None or step.state == "failed":
        raise StepFailedError("The inputs of the next step could not be resolved; see the log.")
    text, blocked = report(step)
    console.finished(step.node, "blocked" if blocked else step.state, seconds, text)
    return blocked and step.node == "DataGate"


def _write_config(config: PipelineConfig, workspace: Workspace, run_id: str) -> Path:
    path = workspace.logs / run_id / "config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(config.to_yaml(), encoding="utf-8")
    return path


def _innermost(error: BaseException) -> BaseException:
    """The cause at the bottom; Beam and TFX wrap what our own code raises."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _sentence(error: BaseException) -> str:
    """What an error says, without the step and the traceback that Beam appends to its message."""
    return str(error).split(" [while running")[0].strip() or type(error).__name__
