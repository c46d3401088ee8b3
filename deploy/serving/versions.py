"""Which versions lie under a base path, and which of them a policy wants served."""

import os
import re
from collections.abc import Iterable
from typing import Any

from deploy.serving.status import InvalidArgumentError

_INTEGER = re.compile(r"[+-]?[0-9]+")
_MAX_VERSION = 2**63 - 1

Fingerprint = tuple[tuple[str, int, int], ...]


def version_directories(base_path: str, model_name: str) -> dict[int, str]:
    """Finds the directories whose whole name is an integer; everything else is passed over.

    Returns:
        Path of each version.

    Raises:
        InvalidArgumentError: The base path cannot be listed.
    """
    found: dict[int, str] = {}
    try:
        with os.scandir(base_path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if _INTEGER.fullmatch(entry.name) and entry.is_dir() and abs(int(entry.name)) <= _MAX_VERSION:
                    found[int(entry.name)] = entry.path
    except OSError as error:
        raise InvalidArgumentError(
            f"Could not find base path {base_path} for servable {model_name} with error {error.strerror}"
        ) from error
    return found


def wanted_versions(policy: Any, versions: Iterable[int]) -> set[int]:
    """Applies a version policy.

    Args:
        policy: `FileSystemStoragePathSourceConfig.ServableVersionPolicy`; unset means the latest one.
        versions: What lies under the base path.

    Returns:
        The versions to serve.
    """
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return set(versions)
    if choice == "specific":
        return set(versions) & set(policy.specific.versions)
    return set(sorted(versions)[-max(policy.latest.num_versions, 1) :])


def fingerprint(path: str) -> Fingerprint:
    """Says whether a directory changed: name, size and time of every file in it.

    A directory that is being copied has another fingerprint at each look.
    """
    files = []
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            try:
                status = os.stat(file)
            except FileNotFoundError:  # moved away between the listing and the look
                continue
            files.append((os.path.relpath(file, path), status.st_size, status.st_mtime_ns))
    return tuple(sorted(files))
