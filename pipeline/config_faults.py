"""What is wrong with a config, in the config's own words."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from models.spec import LABEL_TYPES, BertOptions, ModelOptions
from pipeline.beam.options import RUNNERS

_ENCODERS: dict[str, type[BaseModel]] = {"self_attention": ModelOptions, "bert": BertOptions}
_SECRET_NAME = re.compile("password|secret|token|credential", re.IGNORECASE)
_CREDENTIALS = re.compile(r"://[^/@\s]+@")


def describe(fault: Any, settings: Callable[[], Iterable[str]]) -> list[str]:
    """The lines of one fault that pydantic found.

    Args:
        fault: of `ValidationError.errors()`.
        settings: gives the names of all settings, where they are needed.
    """
    if fault["type"] == "value_error" and not fault["loc"]:
        return str(fault["ctx"]["error"]).splitlines()
    tags = {"text", "number", "category", "passthrough"}
    path = [str(part) for part in fault["loc"]]
    if len(path) > 2 and path[0] == "features" and path[2] in tags:
        del path[2]
    if len(path) > 2 and path[0] == "heads" and path[2] in LABEL_TYPES:
        del path[2]
    if len(path) > 2 and path[0] == "model":  # after it comes the encoder
        del path[1]
    if len(path) > 3 and path[:2] == ["tune", "space"]:  # … whether it is a range
        del path[3]
    runner = path.pop(1) if len(path) > 1 and path[0] == "beam" and path[1] in RUNNERS else ""
    where = ".".join(path)
    told = fault["type"] == "missing" or "Received" in fault["msg"] or _SECRET_NAME.search(path[-1])
    received = "" if told else f" Received: {_short(fault['input'])}."
    text = {
        "missing": "is needed and not there",
        "extra_forbidden": "is not a setting that is known here",
    }.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    meant = _meant(path[-1], settings()) if fault["type"] == "extra_forbidden" else ""
    if runner and fault["type"] == "extra_forbidden":
        text, meant = f"is not a setting of `beam.runner: {runner}`", _one_of(path[-1], RUNNERS) or meant
    if path[0] == "model" and fault["type"] == "extra_forbidden":
        meant = _one_of(path[-1], _ENCODERS) or meant
    return [f"`{where}`: {text.rstrip('.')}.{received}{meant}"]


def _one_of(name: str, kinds: Mapping[str, type[BaseModel]]) -> str:
    """The runners or encoders whose setting it is."""
    found = [kind for kind, options in kinds.items() if name in options.model_fields]
    return f" It is one of {', '.join(found)}." if found else ""


def _meant(name: str, settings: Iterable[str]) -> str:
    """The setting whose name is most like one that is not known."""
    found = difflib.get_close_matches(name, dict.fromkeys(settings), n=1, cutoff=0.75)
    return f" Did you mean `{found[0]}`?" if found else ""


def _short(value: Any) -> str:
    text = _CREDENTIALS.sub("://…@", repr(value))
    return text if len(text) <= 80 else f"{text[:77]}…"
