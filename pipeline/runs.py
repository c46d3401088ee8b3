"""A run as a command: lock, log file, steps on the terminal, verdict."""

import contextlib
import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ml_metadata.errors import StatusError
from rich.markup import escape

from components.example_gen.errors import InputDataError
from deploy.serving.model_config_file import RolloutError
from pipeline import extras, run_end
from pipeline.beam import checks as beam_checks
from pipeline.config import ArtifactStoreError, ConfigError, MetadataError, PipelineConfig
from pipeline.console import RunConsole, noise_to
from pipeline.history import History, HistoryError, connection_config
from pipeline.track.record import missing_packages
from pipeline.workspace import Workspace, WorkspaceBusyError, locked

EXIT_USAGE = 2
DISK_IS_FULL_BYTES = 1 << 20

_logger = logging.getLogger("attention")


def run_and_tell(
    config: PipelineConfig,
    workspace: Workspace,
    cache: bool = True,
    stopped: Callable[[], bool] = lambda: False,
    overrules: Mapping[str, str] | None = None,
    tune: bool = False,
) -> dict[str, Any]:
    """Runs the pipeline and says on standard error what happens.

    Args:
        config: what to do.
        workspace: where.
        cache: whether unchanged steps are taken from earlier runs.
        stopped: asked before each step whether the run is to end there.
        overrules: gates that shall not block this run: name → reason.
        tune: whether training options are searched first, as `config.tune` says.

    Returns:
        What `attention run --json` prints; always complete, whatever went wrong.

    Raises:
        KeyboardInterrupt: it was interrupted or stopped.
    """
    run_id = _new_run_id(config)
    log = workspace.logs / run_id / "tfx.log"
    try:
        with locked(workspace), _terminable(), _scratch(), noise_to(log) as (_, err):
            console = RunConsole(err)
            console.say(f"[bold]{config.name}[/] run {run_id} in {escape(str(workspace.root))}")
            return _run(config, workspace, console, run_id, cache, log, stopped, overrules or {}, tune)
    except WorkspaceBusyError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"The workspace {workspace.root} cannot be written: {error}.")


def _new_run_id(config: PipelineConfig) -> str:
    """The time; where pipelines share a database, two may start at the same, so the name goes with it."""
    moment = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S.%f")[:-3]
    return moment if config.metadata.type == "sqlite" else f"{moment}-{config.name}"


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, unless somebody looks after it already."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def _scratch() -> Iterator[None]:
    """One temporary folder for all that TFX and Beam leave in temporary folders; it goes with the run."""
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix="attention-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            tempfile.tempdir = before[0]
            if before[1] is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before[1]


def _run(
    config: PipelineConfig,
    workspace: Workspace,
    console: RunConsole,
    run_id: str,
    cache: bool,
    log: Path,
    stopped: Callable[[], bool],
    overrules: Mapping[str, str],
    tune: bool,
) -> dict[str, Any]:
    if missing := missing_packages(config.track):
        told = f"`track` needs a package that is not here: pip install 'attention-pipeline[{','.join(missing)}]'."
        console.say(f"[red]failed[/]: {escape(told)}")
        return _nothing(told) | {"exit_code": EXIT_USAGE}
    try:
        extras.check(config.evaluation)
        beam_checks.check(config, workspace)
        with console.step("starting TensorFlow and TFX"):
            from pipeline import local_runner
    except ConfigError as error:
        console.say(f"[red]failed[/]: {escape(str(error))}")
        return _nothing(str(error)) | {"exit_code": EXIT_USAGE}
    try:
        result = local_runner.run(config, workspace, console, run_id, cache, stopped, overrules, tune).as_json()
    except local_runner.StepFailedError as error:
        result = _recorded(config, workspace, run_id) | {"verdict": "failed", "why": str(error)}
        if error.is_usage:
            result["exit_code"] = EXIT_USAGE
    except InputDataError as error:
        result = _nothing(str(error)) | {"exit_code": EXIT_USAGE}
    except ArtifactStoreError as error:
        result = _recorded(config, workspace, run_id) | {"verdict": "failed", "why": str(error)}
    except (RolloutError, MetadataError) as error:
        result = _nothing(str(error))
    except ConfigError as error:
        result = _nothing(str(error)) | {"exit_code": EXIT_USAGE}
    except (OSError, StatusError) as error:
        result = _nothing(f"{workspace.root} cannot be written: {str(error).splitlines()[0]}")
    except KeyboardInterrupt:
        console.say("[yellow]interrupted[/]: finished steps are kept; run it again and it goes on from here.")
        run_end.leave_report(config, workspace, console, run_id, _interrupted(config, workspace, run_id))
        raise
    except Exception as error:  # nobody foresaw it, and the run has its record all the same
        _logger.exception("%s", run_id)
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:500]} (the log holds the traceback)"
        result = _recorded(config, workspace, run_id) | {"verdict": "failed", "why": why}
    if result["verdict"] == "failed" and shutil.disk_usage(workspace.root).free < DISK_IS_FULL_BYTES:
        result["why"] = (
            f"The disk that holds {workspace.root} is full: no space left for {result['why'].splitlines()[0][:200]} … "
            "Free some and run again; finished steps are kept."
        )
    used = {gate["name"] for gate in result["gates"] if gate["overruled"]}
    for name in sorted(set(overrules) - used):
        console.say(f"[yellow]--overrule {escape(name)}[/] had nothing to do: no gate of this name failed.")
    console.say(_verdict(result, config, workspace))
    if result["verdict"] == "pushed" and config.push.label:
        from pipeline import release_commands

        console.say(escape(release_commands.push_canary(config, workspace, result["version"])))
    result |= run_end.follow_up(config, workspace, console, run_id, result)
    console.say(f"[dim]log: {escape(str(log))}[/]")
    return result


def _recorded(config: PipelineConfig, workspace: Workspace, run_id: str) -> dict[str, Any]:
    """What ML Metadata holds of a run that failed; nothing, if not even that could be written."""
    try:
        history = History(connection_config(config.metadata, workspace.metadata), config.name)
        return history.run(run_id).as_json()
    except (HistoryError, StatusError, MetadataError):
        return _nothing("")


def _interrupted(config: PipelineConfig, workspace: Workspace, run_id: str) -> dict[str, Any]:
    """What ML Metadata holds of a run that was stopped; the step under way is marked as interrupted."""
    with contextlib.suppress(StatusError, MetadataError):
        History(connection_config(config.metadata, workspace.metadata), config.name).close_interrupted()
    told = {"verdict": "interrupted", "why": "Stopped by a signal; finished steps are kept."}
    return _recorded(config, workspace, run_id) | told


def _verdict(result: dict[str, Any], config: PipelineConfig, workspace: Workspace) -> str:
    why = escape(result["why"])
    match result["verdict"]:
        case "pushed":
            place = workspace.serving(config.name) / str(result["version"])
            return f"[bold green]pushed version {result['version']}[/] → {escape(str(place))}"
        case "unchanged":
            return f"[bold cyan]nothing new[/]: {why}"
        case "blocked":
            return f"[bold red]blocked[/] by {why}"
    return f"[bold red]{result['verdict']}[/]: {why}"


def _failed(why: str) -> dict[str, Any]:
    import sys

    print(f"failed: {why}", file=sys.stderr)
    return _nothing(why)


def _nothing(why: str) -> dict[str, Any]:
    """The result of a run that did not come to its first step."""
    rows = dict.fromkeys(("read", "used", "quarantined"), 0)
    return {
        "verdict": "failed", "version": None, "metrics": {}, "gates": [], "rows": rows, "seconds": {}, "why": why,
    }  # fmt: skip


def export_schema(config: PipelineConfig, workspace: Workspace, out: Path) -> Path:
    """Copies the newest run's schema to a file of the user's.

    Raises:
        ConfigError: there is no run with a schema yet, or the file stands already.
    """
    if out.exists():
        raise ConfigError(f"{out} stands already; choose another --out, so that no curated schema is lost.")
    history = History(connection_config(config.metadata, workspace.metadata), config.name)
    for run in history.runs():
        for node in ("SchemaGen", "ImportSchemaGen"):
            step = run.steps.get(node)
            artifact = step.output("schema") if step else None
            if artifact is not None:
                shutil.copyfile(Path(artifact.uri) / "schema.pbtxt", out)
                return out
    raise ConfigError(f"No run in {workspace.root} has made a schema yet: `attention run` first.")
