"""Spans of the input (`{SPAN}`, `{DATE}`) and windows that roll over them, settled before the DAG is built."""

import datetime
import glob
import os
import re
from collections.abc import Mapping
from typing import Any

from components.example_gen.errors import InputDataError
from components.example_gen.files import is_remote, matching_files
from components.example_gen.inputs import paths_of
from pipeline import assets
from pipeline.config import ConfigError, PipelineConfig
from pipeline.config_groups import Paths

_PLACE = re.compile(r"\{(SPAN|DATE)(?::(\d+))?\}")
_TFX_ONLY = ("{VERSION", "{YYYY}", "{MM}", "{DD}")


def with_files(config: PipelineConfig, until: datetime.date | None = None) -> PipelineConfig:
    """Puts paths in the place of spans, windows and assets.

    Args:
        config: its `data.input` may hold `{SPAN}` or `{DATE}`.
        until: leaves out younger dates of `{DATE}`.

    Returns:
        The config with paths, globs or folders alone as `data.input`; the same again if that is what it holds.

    Raises:
        ConfigError: `data.window` and `data.input` do not fit together.
        InputDataError: no span is there yet.
        AssetError: an asset cannot be had.
    """
    source, window, replay = config.data.input, config.data.window, config.data.replay
    given = [path for part in _parts(source) for path in paths_of(part)]
    if any(_PLACE.search(path) for path in given) and not any(sign in path for path in given for sign in _TFX_ONLY):
        if not isinstance(source, str):
            if all("{DATE" not in path for path in given) and window is None:
                return config  # {SPAN} in several splits is TFX's own
            raise ConfigError(
                "`data.input`: with {DATE} or `data.window`, spans stand in one path, not one for each split."
            )
        spans = _spans(source, until)
        chosen: Paths | dict[str, Paths] = spans[-1][1]
        replay = 0.0
        if window is not None and len(spans) > 1:
            chosen = {
                "train": [path for _, path in spans[-1 - window.train : -1]],
                "test": spans[-1][1],
            }
            older = [path for _, path in spans[: -1 - window.train]]
            if config.data.replay and older:
                replay, chosen["replay"] = config.data.replay, older
    elif window is not None:
        raise ConfigError("`data.window` rolls over spans: put {SPAN} or {DATE} into the one path of `data.input`.")
    elif isinstance(source, dict):
        chosen = {split: _fetched(paths) for split, paths in source.items()}
    else:
        chosen = _fetched(source)
    data = config.data.model_copy(update={"input": chosen, "window": None, "replay": replay})
    return config.model_copy(update={"data": data})


def are_in(config: PipelineConfig) -> bool:
    """Whether `data.input` holds spans, so that what it names changes as they come."""
    return any(_PLACE.search(path) for part in _parts(config.data.input) for path in paths_of(part))


def _parts(source: Paths | Mapping[Any, Paths]) -> list[Paths]:
    return list(source.values()) if isinstance(source, Mapping) else [source]


def _fetched(paths: Paths) -> Paths:
    return assets.resolve(paths) if isinstance(paths, str) else [assets.resolve(path) for path in paths]


def _spans(path: str, until: datetime.date | None) -> list[tuple[int, str]]:
    """(number, path) of every span that holds files, oldest first; the path keeps what else is a pattern in it."""
    if not is_remote(path):
        path = os.path.abspath(os.path.expanduser(path))
    texts: set[str] = set()
    for found in matching_files(_PLACE.sub(_as_glob, path)):
        match = re.match(_as_regex(path), found)
        if match and _is_span(match, path, until) and _holds_files(found):
            texts.add(match["span"])
    spans = sorted((int(text), _PLACE.sub(text, path)) for text in texts)
    if not spans:
        before = f" up to {until}" if until else ""
        raise InputDataError(f"`data.input`: no span{before} matches `{path}` yet.")
    return spans


def _as_glob(place: re.Match) -> str:
    digits = 8 if place[1] == "DATE" else int(place[2] or 0)
    return "[0-9]" * digits or "[0-9]*"


def _as_regex(path: str) -> str:
    """Matches what the path's glob matches and takes out the span, the same in every place."""
    parts: list[str] = []
    end = 0
    for place in _PLACE.finditer(path):
        digits = 8 if place[1] == "DATE" else int(place[2] or 0)
        number = rf"\d{{{digits}}}" if digits else r"\d+"
        parts += [_regex_of_glob(path[end : place.start()]), "(?P=span)" if parts else f"(?P<span>{number})"]
        end = place.end()
    return "".join([*parts, _regex_of_glob(path[end:])]) + r"\Z"


def _regex_of_glob(part: str) -> str:
    """`*`, `?` and `[…]` within one level of folders."""
    pieces = re.split(r"(\*|\?|\[[^]]+\])", part)
    known = {"*": "[^/]*", "?": "[^/]"}
    return "".join(
        known.get(piece)
        or (piece.replace("[!", "[^") if piece.startswith("[") and len(piece) > 2 else re.escape(piece))
        for piece in pieces
    )


def _is_span(match: re.Match, path: str, until: datetime.date | None) -> bool:
    if "{DATE" not in path:
        return True
    try:
        date = datetime.datetime.strptime(match["span"], "%Y%m%d").date()
    except ValueError:
        return False
    return until is None or date <= until


def _holds_files(found: str) -> bool:
    """A folder counts from its first file on."""
    if is_remote(found) or not os.path.isdir(found):
        return True
    return any(os.path.isfile(each) for each in glob.glob(f"{glob.escape(found)}/*"))
