"""Versions of a served model: integer directories below the model's base path, as TF Serving reads them."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

AT_RUN_TIME = -1
"""As a `live_version`: the newest version when the node runs, for orchestrators that compile once and run often."""
MODEL_FILE = "saved_model.pb"
RELEASE_DIR = os.path.join("assets.extra", "release")
RELEASE_FILE = "release.json"
STATISTICS_FILE = "FeatureStats.pb"
SCHEMA_FILE = "schema.pbtxt"
TEXT_PROFILE_FILE = "text_profile.json"
KEPT_DIR = "kept"
"""Raw rows of past test splits, which later versions are asked about, too."""
HIGH_WATER_FILE = ".highest_version"
"""Holds the highest number ever given away, so that none comes back after its version was deleted."""


def version_dirs(serving_dir: str | os.PathLike[str]) -> dict[int, Path]:
    """All complete versions: version → directory, ascending. Names that are no plain integer are not versions."""
    try:
        entries = list(Path(serving_dir).iterdir())
    except FileNotFoundError:
        return {}
    found = {
        int(entry.name): entry
        for entry in entries
        if entry.name.isascii() and entry.name.isdecimal() and (entry / MODEL_FILE).is_file()
    }
    return dict(sorted(found.items()))


def latest_version(serving_dir: str | os.PathLike[str]) -> int:
    """The version that TF Serving serves by its default policy; 0 if there is none."""
    return max(version_dirs(serving_dir), default=0)


def live_version(serving_dir: str | os.PathLike[str], told: int) -> int:
    """The version to compare with: the one that was told or, for `AT_RUN_TIME`, the newest; 0: none yet."""
    return latest_version(serving_dir) if told == AT_RUN_TIME else told


def check_live_version(version: int) -> None:
    """Refuses what no version can be.

    Raises:
        ValueError: `version` is negative and not `AT_RUN_TIME`.
    """
    if version < 0 and version != AT_RUN_TIME:
        raise ValueError(f"`live_version` must not be negative, but for AT_RUN_TIME. Received: {version}.")


def next_version(serving_dir: str | os.PathLike[str]) -> int:
    """One more than any number that stands or ever stood in the directory."""
    root = Path(serving_dir)
    taken = [int(path.name) for path in root.glob("[0-9]*") if path.name.isdecimal()] if root.is_dir() else []
    with contextlib.suppress(FileNotFoundError):
        taken.append(int((root / HIGH_WATER_FILE).read_text(encoding="ascii")))
    return max(taken, default=0) + 1


def read_release(serving_dir: str | os.PathLike[str], version: int) -> dict[str, Any]:
    """What the Pusher recorded of a version.

    Returns:
        `version`, `content_hash`, `created`, `run_id`; empty for a version that our Pusher did not push.
    """
    try:
        return json.loads((release_dir(serving_dir, version) / RELEASE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def release_dir(serving_dir: str | os.PathLike[str], version: int) -> Path:
    """Where a version keeps the record of its release."""
    return Path(serving_dir) / str(version) / RELEASE_DIR


def statistics_file(serving_dir: str | os.PathLike[str], version: int, split: str) -> Path:
    """Where a version keeps the statistics of one of the splits it was made from."""
    return release_dir(serving_dir, version) / "statistics" / f"Split-{split}" / STATISTICS_FILE


def text_profile(serving_dir: str | os.PathLike[str], version: int) -> Path:
    """Where a version keeps what it remembers of the texts that it was trained on."""
    return release_dir(serving_dir, version) / TEXT_PROFILE_FILE
