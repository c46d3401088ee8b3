"""Whether a run is due: triggers, retries and what a kill left, from the config, the state and the clock alone."""

import datetime
from dataclasses import dataclass

from components.example_gen.errors import InputDataError
from pipeline import spans
from pipeline.config import ConfigError, PipelineConfig
from pipeline.schedule import data
from pipeline.schedule.cron import Cron
from pipeline.schedule.data import Files
from pipeline.schedule.options import ScheduleOptions
from pipeline.schedule.state import Pending, State

CLOCK_SKEW_SECONDS = 3600.0
NO_TRIGGER = "`schedule` names no trigger: set `schedule.cron`, `schedule.new_data` or `schedule.new_rows`."


@dataclass(frozen=True)
class Decision:
    """What a look found.

    Attributes:
        due: the run to start now, as it is to be written down; None: nothing is due.
        state: with what the look learned.
        config: with paths in the place of spans.
        next_look: when to look again, if nothing is due.
        why: nothing is due.
    """

    due: Pending | None
    state: State
    config: PipelineConfig
    next_look: datetime.datetime
    why: str


def decide(config: PipelineConfig, state: State | None, now: datetime.datetime) -> Decision:
    """Looks at the clock and, where a trigger asks for it, at the input.

    Args:
        config: its `schedule` names at least one trigger.
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
    state = state.but(cron_done=done, counted=counted)

    times = [moment for moment in (retry_at, settles, cron.next_after(done, now) if cron else None) if moment]
    if options.new_data or options.new_rows:
        times.append(now + datetime.timedelta(seconds=options.poll_seconds))
    next_look = min((moment for moment in times if moment > now), default=now + datetime.timedelta(days=1))
    due = None
    if fired:
        triggers = tuple(each.partition(":")[0] for each in fired)
        due = Pending(triggers=triggers, why="; ".join(fired), started=now, at_work=True, not_before=now, until=until)
    elif retries and state.pending is not None:
        due = _again(state.pending, now)
    if due is not None:
        state = state.but(pending=due, tried=counted or files or state.tried)
    return Decision(due, state, resolved, next_look, _why(state, next_look))


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
    if -CLOCK_SKEW_SECONDS < age < options.settle_seconds:
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
