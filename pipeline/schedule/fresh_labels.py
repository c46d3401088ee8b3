"""Labelled rows that came after the live version: its gates are tried on each new file, once."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from components.example_gen.errors import InputDataError
from components.gates import Gate
from pipeline.assets import AssetError
from pipeline.config import ConfigError, PipelineConfig
from pipeline.schedule import data
from pipeline.schedule.data import FileMark
from pipeline.schedule.state import Judged, State

MAX_TRIES = 3
"""Of a file over which the process dies."""

Judge = Callable[[PipelineConfig, Path, Path], list[Gate]]
"""(config, the version's directory, the table) → gates."""


def waiting(
    config: PipelineConfig, state: State, now: datetime.datetime
) -> tuple[dict[str, FileMark], datetime.datetime | None]:
    """The files that are to be judged.

    Returns:
        Path → mark, and when the files that are still being written will have settled.
    """
    options = config.schedule.fresh_labels
    if options is None:
        return {}, None
    ready, settles = {}, None
    for path, mark in data.files_of(options.data).items():
        judged = state.judged.get(path)
        if judged is not None and judged.is_of(mark) and not (judged.outcome == "at_work" and judged.tries < MAX_TRIES):
            continue
        age = now.timestamp() - mark.modified
        if -data.CLOCK_SKEW_SECONDS < age < config.schedule.settle_seconds:
            settled = now + datetime.timedelta(seconds=config.schedule.settle_seconds - age)
            settles = min(settles or settled, settled)
        else:
            ready[path] = mark
    return ready, settles


def judge_new(
    config: PipelineConfig,
    model_dir: Path,
    state: State,
    now: datetime.datetime,
    judge: Judge,
    keep: Callable[[State], None],
    say: Callable[[str], None],
    stopped: Callable[[], bool],
) -> State:
    """Tries the live version on the new files, until one fails: what comes then is for the version that follows.

    Args:
        config: names the files.
        model_dir: of the live version.
        state: of the look before.
        now: with a time zone.
        judge: tries the gates.
        keep: writes the state down, before and after each file.
        say: tells a line.
        stopped: whether to end before the next file.

    Returns:
        The state with what was found, which is written down already.
    """
    for path, mark in waiting(config, state, now)[0].items():
        if stopped() or any(each.outcome == "failed" and not each.answered for each in state.judged.values()):
            break
        known = state.judged.get(path)
        tries = known.tries + 1 if known is not None and known.is_of(mark) else 1
        entry = Judged(size=mark.size, modified=mark.modified, version=int(model_dir.name), tries=tries)
        state = _noted(state, path, entry)
        keep(state)
        try:
            gates = judge(config, model_dir, Path(path))
        except (ConfigError, InputDataError, AssetError, OSError) as error:
            found = {"outcome": "broken", "why": " ".join(str(error).split())}
            say(f"fresh_labels: {path} cannot be judged and is left alone until it changes: {found['why']}")
        else:
            found = _found(path, gates)
            say(f"fresh_labels: {path}: {found['why']}")
        state = _noted(state, path, entry.model_copy(update=found))
        keep(state)
    return state


def failed(state: State) -> list[str]:
    """A sentence for each file that the live version failed on and that no run has answered yet."""
    return [each.why for each in state.judged.values() if each.outcome == "failed" and not each.answered]


def answered(state: State) -> State:
    """The state in which a run is due for all of these."""
    judged = {
        path: each.model_copy(update={"answered": True}) if each.outcome == "failed" else each
        for path, each in state.judged.items()
    }
    return state.but(judged=judged)


def _noted(state: State, path: str, entry: Judged) -> State:
    """Also forgets files that are gone, unless a run is due for them."""
    kept = {
        name: each
        for name, each in state.judged.items()
        if "://" in name or Path(name).exists() or (each.outcome == "failed" and not each.answered)
    }
    return state.but(judged={**kept, path: entry})


def _found(path: str, gates: list[Gate]) -> dict[str, Literal["passed", "failed"] | str]:
    blocking = [gate for gate in gates if gate.blocks]
    if not blocking:
        return {"outcome": "passed", "why": f"{len(gates)} gates, none blocks."}
    more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
    return {"outcome": "failed", "why": f"{path}: gate {blocking[0].name}: {blocking[0].why}{more}"}
