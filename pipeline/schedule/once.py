"""One look at the triggers and at most one run: what `attention schedule --once` does."""

import datetime
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.example_gen.errors import InputDataError
from components.gates import Gate
from deploy.serving.model_config_file import RolloutError
from pipeline.config import PipelineConfig
from pipeline.console import noise_to
from pipeline.schedule.decision import Decision, decide, live_model_dir
from pipeline.schedule.fresh_labels import Judge, judge_new
from pipeline.schedule.options import RetryOptions
from pipeline.schedule.state import Last, Pending, State, UnreadableStateError, load, save, set_aside
from pipeline.workspace import Workspace, WorkspaceBusyError, locked

EXIT_USAGE = 2

Run = Callable[[PipelineConfig, Workspace, Callable[[], bool]], dict[str, Any]]


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def run_once(
    config: PipelineConfig,
    workspace: Workspace,
    run: Run,
    clock: Callable[[], datetime.datetime] = utc_now,
    stopped: Callable[[], bool] = lambda: False,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Looks, runs if something is due, and writes down what came of it.

    The workspace is held all the while, so that no two looks start a run each. The state is written before the run and
    after it: whatever is killed in between is found at the next look and goes on.

    Args:
        config, workspace: of the pipeline.
        run: runs the pipeline and returns what `attention run --json` prints.
        clock: the time, with a time zone.
        stopped: whether to end before the next step.
        judge: tries the live version on fresh labels; default: the gates of `attention gate`.

    Returns:
        That of the run with `triggers`, `attempt` and `next`; or a verdict of `not_due`, `busy` or `interrupted`.

    Raises:
        ConfigError: the config cannot be scheduled.
    """
    try:
        with locked(workspace):
            return _look_and_run(config, workspace, run, clock, stopped, judge or _judge_in(workspace))
    except WorkspaceBusyError as error:
        return _outcome("busy", str(error))
    except InputDataError as error:
        return _outcome("failed", str(error)) | {"exit_code": EXIT_USAGE}
    except OSError as error:
        return _outcome("failed", f"The schedule's state in {workspace.root} cannot be written: {error}.")


def _look_and_run(
    config: PipelineConfig,
    workspace: Workspace,
    run: Run,
    clock: Callable[[], datetime.datetime],
    stopped: Callable[[], bool],
    judge: Judge,
) -> dict[str, Any]:
    now = clock()
    before: State | None
    try:
        before = load(workspace.root)
    except UnreadableStateError:
        before = set_aside(workspace.root, now)
        save(workspace.root, before)
        _say(before.pending.why if before.pending else "")
    before = _judged(config, workspace, before, now, judge, stopped)
    decision = decide(config, workspace, before, now)
    for note in decision.notes:
        _say(note)
    if decision.state != before:
        save(workspace.root, decision.state)
    if decision.due is None:
        return _outcome("not_due", decision.why) | {"next": decision.next_look.isoformat()}
    due = decision.due
    _say(f"{'again, ' if due.attempt > 1 or due.kills else ''}due by {due.why}")
    try:
        if stopped():
            raise KeyboardInterrupt
        result = run(decision.config, workspace, stopped)
    except KeyboardInterrupt:
        waits = due.model_copy(update={"at_work": False, "attempt": due.attempt - 1, "not_before": clock()})
        save(workspace.root, decision.state.but(pending=waits))
        return _outcome("interrupted", "Stopped by a signal; finished steps are kept, the next look goes on.")
    state = _after(decision, result, clock(), config.schedule.retry)
    try:
        save(workspace.root, state)
    except OSError as error:
        _say(
            f"What came of the run cannot be written down: {error}. The next look takes it for killed and tries again."
        )
    if state.pending is not None:
        _say(f"try {due.attempt} of {config.schedule.retry.attempts} failed, the next is at {state.pending.not_before}")
    following = state.pending.not_before.isoformat() if state.pending else None
    return result | {"triggers": list(due.triggers), "attempt": due.attempt, "next": following}


def _judged(
    config: PipelineConfig,
    workspace: Workspace,
    state: State | None,
    now: datetime.datetime,
    judge: Judge,
    stopped: Callable[[], bool],
) -> State | None:
    """The state after the live version was tried on fresh labels, if there are any."""
    if config.schedule.fresh_labels is None:
        return state
    try:
        directory = live_model_dir(config, workspace)
    except RolloutError:  # `decide` tells it
        return state
    if directory is None:
        return state

    def keep(changed: State) -> None:
        save(workspace.root, changed)

    return judge_new(config, directory, state or State(cron_done=now), now, judge, keep, _say, stopped)


def _judge_in(workspace: Workspace) -> Judge:
    def judge(config: PipelineConfig, model_dir: Path, table: Path) -> list[Gate]:
        with noise_to(workspace.logs / "fresh_labels.log"):
            from pipeline import gate_trial  # TensorFlow takes long to import

            return gate_trial.try_gates(config, model_dir, table)

    return judge


def _after(decision: Decision, result: dict[str, Any], now: datetime.datetime, retry: RetryOptions) -> State:
    """What is known after a run: a failed one waits for its next try, if it has one left."""
    due = decision.due
    if due is None:
        raise ValueError("Nothing was due.")
    waits: Pending | None = None
    if result["verdict"] == "failed" and due.attempt < retry.attempts:
        pause = datetime.timedelta(seconds=retry.pause(due.attempt))
        waits = due.model_copy(update={"at_work": False, "kills": 0, "not_before": now + pause})
    last = Last(
        triggers=due.triggers,
        verdict=result["verdict"],
        why=result["why"],
        version=result.get("version"),
        run=result.get("run"),
        started=due.started,
        ended=now,
    )
    return decision.state.but(pending=waits, last=last)


def _outcome(verdict: str, why: str) -> dict[str, Any]:
    _say(why)
    return {"verdict": verdict, "why": why, "triggers": [], "next": None}


def _say(text: str) -> None:
    print(f"schedule: {text}", file=sys.stderr, flush=True)
