"""Brings a directory into a model's base path as its next version: whole or not at all, whatever happens meanwhile.

Order: copy into a hidden directory of the same file system, everything to disk, saved_model.pb last, then one rename.
TF Serving skips names that are no integer, so it never sees less than a whole version.
"""

import contextlib
import errno
import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from components.pusher.versions import HIGH_WATER_FILE, MODEL_FILE, RELEASE_DIR, next_version, version_dirs

INCOMING = ".incoming-"
OUTGOING = ".outgoing-"
LOCK_FILE = ".push.lock"
MIN_KEPT_VERSIONS = 2
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

_logger = logging.getLogger("attention")


class PushError(OSError):
    """The version could not be written; the base path is as it was."""


def install(source: Path, serving_dir: Path, write_release: Callable[[Path, int], None]) -> int:
    """Copies a SavedModel to `serving_dir/<next version>`.

    A process killed at any moment leaves either no new version or a whole one; what else it leaves is hidden and is
    removed by the next call. A number is never given twice, even if its version was deleted or never finished.

    Args:
        source: the SavedModel.
        serving_dir: the model's base path; made if missing.
        write_release: called with the new version's `assets.extra/release` directory and its number.

    Returns:
        The new version.

    Raises:
        PushError: the disk is full, or a file cannot be written.
    """
    try:
        serving_dir.mkdir(parents=True, exist_ok=True)
        with _lock(serving_dir):
            return _install(source, serving_dir, write_release)
    except OSError as error:
        raise PushError(_explain(error, source, serving_dir)) from error


def _install(source: Path, serving_dir: Path, write_release: Callable[[Path, int], None]) -> int:
    _remove_leftovers(serving_dir)
    version = next_version(serving_dir)
    incoming = serving_dir / f"{INCOMING}{version}"
    try:
        _check_space(source, serving_dir)
        _write_high_water(serving_dir, version)
        _copy(source, incoming, lambda release_dir: write_release(release_dir, version))
        os.rename(incoming, serving_dir / str(version))
    except OSError:
        shutil.rmtree(incoming, ignore_errors=True)
        raise
    _sync_directory(serving_dir)
    return version


def prune(serving_dir: Path, keep: int, protected: Collection[int] = ()) -> list[int]:
    """Deletes old versions that our Pusher pushed.

    Args:
        serving_dir: the model's base path.
        keep: newest versions that stay; never fewer than two, the pushed one and the one before it.
        protected: versions that stay whatever their age.

    Returns:
        The deleted versions. One that cannot be deleted is left, with a line in the log.
    """
    deleted = []
    with _lock(serving_dir):
        found = version_dirs(serving_dir)
        newest = sorted(found)[-max(keep, MIN_KEPT_VERSIONS) :]
        for version, path in found.items():
            if version in newest or version in protected or not (path / RELEASE_DIR).is_dir():
                continue
            outgoing = serving_dir / f"{OUTGOING}{version}"
            try:
                os.rename(path, outgoing)
                shutil.rmtree(outgoing)
            except OSError as error:
                _logger.warning("Version %d could not be deleted: %s", version, error)
                continue
            deleted.append(version)
    return deleted


@contextlib.contextmanager
def _lock(serving_dir: Path) -> Iterator[None]:
    """Lets one process at a time change the base path; the system frees it when the process ends, however it ends."""
    with open(serving_dir / LOCK_FILE, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_leftovers(serving_dir: Path) -> None:
    for entry in list(serving_dir.iterdir()):
        if entry.name.startswith((INCOMING, OUTGOING)):
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _check_space(source: Path, serving_dir: Path) -> None:
    needed = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
    free = shutil.disk_usage(serving_dir).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{needed:,} bytes are needed and {free:,} are free")


def _write_high_water(serving_dir: Path, version: int) -> None:
    """Replaces the file at once, so that a reader never finds half a number."""
    path = serving_dir / f"{INCOMING}{HIGH_WATER_FILE.removeprefix('.')}"
    _write(path, lambda target: target.write_text(str(version), encoding="ascii"))
    os.replace(path, serving_dir / HIGH_WATER_FILE)
    _sync_directory(serving_dir)


def _copy(source: Path, target: Path, write_release: Callable[[Path], None]) -> None:
    shutil.copytree(source, target, ignore=lambda directory, _: {MODEL_FILE} if Path(directory) == source else set())
    release_dir = target / RELEASE_DIR
    shutil.rmtree(release_dir, ignore_errors=True)
    release_dir.mkdir(parents=True)
    write_release(release_dir)
    for directory, _, names in os.walk(target, topdown=False):
        for name in names:
            _sync_file(Path(directory, name))
        _sync_directory(Path(directory))
    # TF Serving takes the presence of saved_model.pb as the sign that a version is complete.
    _write(target / MODEL_FILE, lambda path: shutil.copyfile(source / MODEL_FILE, path))
    _sync_directory(target)


def _write(path: Path, write: Callable[[Path], object]) -> None:
    write(path)
    _sync_file(path)


def _sync_file(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(error: OSError, source: Path, serving_dir: Path) -> str:
    # shutil.copytree gathers the faults of single files as text, so the number has to be looked for there too.
    full = error.errno in NO_SPACE or any(os.strerror(number) in str(error) for number in NO_SPACE)
    if full:
        needed = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
        return (
            f"No space left to push to {serving_dir}: the version takes {needed / 1e6:,.1f} MB. "
            "Nothing was pushed. Free some space and run again."
        )
    return f"The version could not be written to {serving_dir}: {error}. Nothing was pushed."
