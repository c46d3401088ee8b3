"""Whether a run is due: triggers, retries and what a kill left, from the config, the state and the clock alone."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from components.example_gen.errors import InputDataError
from components.pusher.versions import RELEASE_DIR
from deploy.serving.model_config_file import RolloutError
from pipeline import spans
from pipeline.config import ConfigError, PipelineConfig
from pipeline.schedule import data, fresh_labels, served
from pipeline.schedule.cron import Cron
from pipeline.schedule.data import Files
from pipeline.schedule.options import TRIGGERS, ScheduleOptions
from pipeline.schedule.served import Served
from pipeline.schedule.state import Pending, State
from pipeline.workspace import Workspace

NO_TRIGGER = f"`schedule` names no trigger: set {', '.join(f'`schedule.{name}`' for name in TRIGGERS)}, or several."


@dataclass(frozen=True)
class Decision:
    """What a look found.

    Attributes:
        due: the run to start now, as it is to be written down; None: nothing is due.
        state: with what the look learned.
        config: with paths in the place of spans.
        next_look: when to look again, if nothing is due.
        why: nothing is due.
        notes: what could not be looked at.
        unjudged: whether there are fresh labels to try the live version on.
    """

    due: Pending | None
    state: State
    config: PipelineConfig
    next_look: datetime.datetime
    why: str
    notes: tuple[str, ...] = ()
    unjudged: bool = False


def decide(config: PipelineConfig, workspace: Workspace, state: State | None, now: datetime.datetime) -> Decision:
    """Looks at the clock and, where a trigger asks for it, at the input, the servers and the live version.

    Args:
        config: its `schedule` names at least one trigger.
        workspace: of the pipeline; nothing is written there.
        state: of the look before; None: this is the first.
        now: with a time zone.

    Raises:
        ConfigError: no trigger is set, or `data.window` does not fit the input.
        InputDataError: the input is not there, and nothing but new data could make a run due.
    """
    options = config.schedule
    if not options.triggers:
        raise ConfigError(NO_TRIGGER)
    state = state or State(cron_done=now)
    done = min(state.cron_done or now, now)  # a clock that was put back must not silence the schedule
    cron = Cron(options.cron, options.time_zone, options.jitter_seconds, config.name) if options.cron else None
    point = None
    if cron is not None:
        point = cron.oldest_missed(done, now) if options.catch_up else cron.newest_missed(done, now)
        done = point or done
    retry_at = _retry_at(state.pending, options)
    retries = retry_at is not None and retry_at <= now
    until = None
    if cron is not None and point is not None and options.catch_up:
        until = point.astimezone(cron.zone).date()
    elif point is None and retries and state.pending is not None:
        until = state.pending.until

    fired = [f"cron: {point.astimezone(cron.zone):%Y-%m-%d %H:%M %Z}"] if cron is not None and point is not None else []
    seen = _look_at_live(config, workspace, state, now)
    if seen.drifted:
        fired.append(f"drift: {' '.join(seen.drifted)}")
    fired += [f"fresh_labels: {why}" for why in fresh_labels.failed(state)]
    resolved, files, counted, settles = config, Files(), state.counted, None
    if fired or retries or options.new_data or options.new_rows:
        try:
            resolved = spans.with_files(config, until)
            files = data.look(resolved)
        except InputDataError:
            if not fired and not retries:
                raise
            resolved = config  # the run says what is wrong
        else:
            counted = data.with_rows(files, {**state.tried, **state.counted}, config) if options.new_rows else {}
            told, settles = _new_data(options, counted or files, state.tried, now)
            fired += told
    state = state.but(cron_done=done, counted=counted, served=seen.served)
    fresh, fresh_settles = fresh_labels.waiting(config, state, now) if seen.version else ({}, None)

    following = cron.next_after(done, now) if cron else None
    times = [moment for moment in (retry_at, settles, fresh_settles, following) if moment]
    if set(options.triggers) - {"cron"}:
        times.append(now + datetime.timedelta(seconds=options.poll_seconds))
    next_look = min((moment for moment in times if moment > now), default=now + datetime.timedelta(days=1))
    due = None
    if fired:
        triggers = tuple(each.partition(":")[0] for each in fired)
        due = Pending(triggers=triggers, why="; ".join(fired), started=now, at_work=True, not_before=now, until=until)
    elif retries and state.pending is not None:
        due = _again(state.pending, now)
    if due is not None:
        state = fresh_labels.answered(state).but(pending=due, tried=counted or files or state.tried)
    return Decision(due, state, resolved, next_look, _why(state, next_look), seen.notes, bool(fresh))


@dataclass(frozen=True)
class _Live:
    """The live version (0: none) and its answers, where a trigger asks for them."""

    version: int
    served: Served | None
    drifted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def live_model_dir(config: PipelineConfig, workspace: Workspace) -> Path | None:
    """The live version's folder; None: there is none.

    Raises:
        RolloutError: the model config file cannot be read.
    """
    from pipeline import release  # only these triggers need what speaks with servers

    version = release.live_version(config, workspace)
    return workspace.serving(config.name) / str(version) if version else None


def _look_at_live(config: PipelineConfig, workspace: Workspace, state: State, now: datetime.datetime) -> _Live:
    options = config.schedule
    if options.drift is None and options.fresh_labels is None:
        return _Live(0, state.served)
    try:
        directory = live_model_dir(config, workspace)
    except RolloutError as error:
        return _Live(0, state.served, notes=(str(error),))
    if directory is None:
        return _Live(0, None)
    version = int(directory.name)
    looked = served.look(config, version, directory / RELEASE_DIR, state.served, now)
    return _Live(version, looked.served, looked.drifted, looked.notes)


def _retry_at(pending: Pending | None, options: ScheduleOptions) -> datetime.datetime | None:
    """When what is pending is to be tried again."""
    if pending is None:
        return None
    if pending.at_work and pending.kills:
        return pending.started + datetime.timedelta(seconds=options.retry.pause(pending.kills))
    return pending.started if pending.at_work else pending.not_before


def _again(pending: Pending, now: datetime.datetime) -> Pending:
    """The next try. What was killed goes on at once and then ever later, and is never given up."""
    if pending.at_work:
        return pending.model_copy(update={"started": now, "kills": pending.kills + 1})
    return pending.model_copy(update={"started": now, "kills": 0, "attempt": pending.attempt + 1, "at_work": True})


def _new_data(
    options: ScheduleOptions, files: Files, tried: Files, now: datetime.datetime
) -> tuple[list[str], datetime.datetime | None]:
    """The triggers that new data fires; or when the files that would fire them have settled."""
    fresh = data.changed(files, tried)
    if not fresh or not (options.new_data or options.new_rows):
        return [], None
    age = now.timestamp() - max(files[path].modified for path in fresh)
    if -data.CLOCK_SKEW_SECONDS < age < options.settle_seconds:
        return [], now + datetime.timedelta(seconds=options.settle_seconds - age)
    fired = []
    if options.new_data:
        more = f" and {len(fresh) - 1} more" if len(fresh) > 1 else ""
        fired.append(f"new_data: {fresh[-1]}{more}")
    if options.new_rows:
        rows = data.new_rows(files, tried)
        if rows is None or rows >= options.new_rows:
            fired.append("new_rows: a file cannot be counted" if rows is None else f"new_rows: {rows:,}")
    return fired, None


def _why(state: State, next_look: datetime.datetime) -> str:
    pending = state.pending
    what = "the next try" if pending is not None and next_look == pending.not_before else "the next look"
    return f"Nothing is due; {what} is at {next_look:%Y-%m-%d %H:%M:%S} UTC."
