"""Turns what the user gives as data into TFX's input base and split patterns."""

import glob
import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from components.example_gen.errors import InputDataError
from components.example_gen.files import is_remote
from components.example_gen.options import SPLITS

WHOLE = "all"
"""Name of the one input split that is cut into train, eval and test by us."""

REPLAY = "replay"
"""Name of the input split of spans before the window, of whose rows a share is trained on."""

NOT_READ = ("s3://", "s3a://", "s3n://")
"""Addresses for which TFX names a file system that TensorFlow's own wheels do not hold."""

Paths = str | Sequence[str]


def resolve_inputs(data: Paths | Mapping[Any, Paths], must_exist: bool = True) -> tuple[str, list[tuple[str, str]]]:
    """Finds the folder and the file patterns of the user's data.

    Args:
        data: a file, glob or folder, or several; or these for each split that already exists, and for `replay` with
            one path for each older span. A path may hold TFX's `{SPAN}`, `{VERSION}` or `{YYYY}`, `{MM}`, `{DD}`.
        must_exist: False where the data lies on the machine of the run alone; what is not here is taken as it is.

    Returns:
        The input base and one (split, pattern) per path; where `data` names no splits, the one split is named `all`.
        Characters that a glob would read are escaped.

    Raises:
        InputDataError: a path names nothing, a split's name is not known, or there is no train split.
    """
    if isinstance(data, Mapping):
        unknown = [name for name in data if name not in (*SPLITS, REPLAY)]
        if unknown:
            raise InputDataError(f"Splits are named {', '.join(SPLITS)}. Received: {', '.join(map(repr, unknown))}")
        if "train" not in data:
            raise InputDataError(f"A `train` split is needed. Received only: {', '.join(data) or 'nothing'}")
        paths = {name: data[name] for name in (*SPLITS, REPLAY) if name in data}
    else:
        paths = {WHOLE: data}
    patterns = [(name, _pattern(path, must_exist)) for name, given in paths.items() for path in paths_of(given)]
    base = shared_folder([_literal_folder(pattern) for _, pattern in patterns])
    return base, [(name, pattern[len(base) :].lstrip("/")) for name, pattern in patterns]


def paths_of(given: Paths) -> list[str]:
    """One path or several, as a list."""
    return [given] if isinstance(given, str) else list(given)


def shared_folder(folders: Sequence[str]) -> str:
    """The longest folder that all the folders lie in; unlike `os.path.commonpath` for addresses such as gs:// too."""
    levels = itertools.takewhile(
        lambda parts: len(set(parts)) == 1, zip(*(f.split("/") for f in folders), strict=False)
    )
    return "/".join(parts[0] for parts in levels) or "/"


def _pattern(path: str, must_exist: bool) -> str:
    """An absolute glob that matches exactly what the user's path means."""
    if is_remote(path):
        if path.startswith(NOT_READ):
            raise InputDataError(
                f"`{path}` cannot be read: TensorFlow's files have no S3 here. Mount the bucket or copy the files; "
                "gs:// can be read."
            )
        return path + "*" if path.endswith("/") else path
    if not path:
        raise InputDataError("No data: the path is empty. Give a file, a glob or a folder.")
    path = os.path.abspath(os.path.expanduser(path))
    if os.path.isdir(path):
        pattern = f"{glob.escape(path)}/*"
        if not any(os.path.isfile(found) for found in glob.glob(pattern)):
            raise InputDataError(f"The folder `{path}` holds no files. Name a file, a glob or a folder with data.")
        return pattern
    if os.path.exists(path):
        return glob.escape(path)
    if "{" in path or not must_exist:
        return path
    if not glob.has_magic(path):
        folder = os.path.dirname(path)
        known = sorted(os.listdir(folder))[:10] if os.path.isdir(folder) else None
        hint = f"The folder does not exist: `{folder}`." if known is None else f"`{folder}` holds: {', '.join(known)}"
        raise InputDataError(f"There is no file `{path}`. {hint}")
    if not glob.glob(path):
        raise InputDataError(f"No file matches `{path}`. Quote the pattern, so that the shell leaves it as it is.")
    return path


def _literal_folder(pattern: str) -> str:
    """The longest leading folder of a pattern in which nothing varies between files."""
    parts = pattern.split("/")
    for index, part in enumerate(parts):
        if "{" in part or glob.has_magic(part.replace("[[]", "").replace("[*]", "").replace("[?]", "")):
            return "/".join(parts[:index])
    return "/".join(parts[:-1])
