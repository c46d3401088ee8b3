"""Whole versions or none: killed at every step, and with no space left."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from components.pusher import install, versions


@pytest.fixture
def source(tmp_path):
    """A directory that looks like a SavedModel."""
    model = tmp_path / "model"
    (model / "variables").mkdir(parents=True)
    (model / "variables" / "variables.data").write_bytes(b"v" * 5000)
    (model / "assets.extra").mkdir()
    (model / "assets.extra" / "classes.txt").write_text("no\nyes")
    (model / "saved_model.pb").write_bytes(b"m" * 1000)
    return model


def write_release(release_dir, version):
    (release_dir / "release.json").write_text(json.dumps({"version": version}))


def snapshot(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }


def test_a_version_is_the_source_and_its_release(source, tmp_path):
    serving = tmp_path / "serving" / "m"
    assert install.install(source, serving, write_release) == 1
    expected = {**snapshot(source), "assets.extra/release/release.json": b'{"version": 1}'}
    assert snapshot(serving / "1") == expected
    assert versions.latest_version(serving) == 1
    assert versions.read_release(serving, 1) == {"version": 1}


def test_numbers_rise_and_never_come_back(source, tmp_path):
    serving = tmp_path / "serving"
    assert [install.install(source, serving, write_release) for _ in range(5)] == [1, 2, 3, 4, 5]
    assert install.prune(serving, keep=2) == [1, 2, 3]
    assert list(versions.version_dirs(serving)) == [4, 5]
    for version in (4, 5):
        (serving / str(version)).rename(tmp_path / str(version))
    assert versions.latest_version(serving) == 0
    assert install.install(source, serving, write_release) == 6


def test_a_number_that_somebody_else_took_is_passed_over(source, tmp_path):
    (tmp_path / "serving" / "41").mkdir(parents=True)
    (tmp_path / "serving" / "not_a_version").mkdir()
    assert versions.latest_version(tmp_path / "serving") == 0, "a directory without a model is no version"
    assert install.install(source, tmp_path / "serving", write_release) == 42


def test_prune_keeps_the_newest_the_protected_and_the_foreign(source, tmp_path):
    serving = tmp_path / "serving"
    for _ in range(6):
        install.install(source, serving, write_release)
    (serving / "2" / versions.RELEASE_DIR / "release.json").unlink()
    (serving / "2" / versions.RELEASE_DIR).rmdir()
    assert install.prune(serving, keep=0, protected={3}) == [1, 4]
    assert list(versions.version_dirs(serving)) == [2, 3, 5, 6]


def test_the_model_file_comes_last(source, tmp_path, monkeypatch):
    seen = []

    def release(release_dir, version):
        seen.append((release_dir.parents[1] / "saved_model.pb").exists())
        seen.append(release_dir.parents[1].name.startswith("."))

    install.install(source, tmp_path / "serving", release)
    assert seen == [False, True]


def test_a_release_of_the_source_does_not_travel_on(source, tmp_path):
    (source / versions.RELEASE_DIR).mkdir()
    (source / versions.RELEASE_DIR / "old.json").write_text("{}")
    install.install(source, tmp_path / "serving", write_release)
    assert not (tmp_path / "serving" / "1" / versions.RELEASE_DIR / "old.json").exists()


PUSH = textwrap.dedent(
    """
    import os, resource, signal, sys
    from pathlib import Path
    from components.pusher import install

    source, serving, kill_at, max_bytes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    left = kill_at

    def watch(event, arguments):
        global left
        if event == "open" or event.startswith(("os.", "shutil.", "fcntl.")):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def release(release_dir, version):
        (release_dir / "release.json").write_text("{}")

    if max_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes))
    if kill_at:
        sys.addaudithook(watch)
    try:
        version = install.install(source, serving, release)
        install.prune(serving, 2)
    except install.PushError as error:
        sys.exit(str(error))
    left = 0
    print(version)
    """
)


def push_in_process(source, serving, kill_at=0, max_bytes=0):
    arguments = [str(source), str(serving), str(kill_at), str(max_bytes)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-S", "-c", PUSH, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_killed_at_any_moment_there_is_a_whole_version_or_none(source, tmp_path):
    serving = tmp_path / "serving"
    for _ in range(3):
        install.install(source, serving, write_release)
    whole = snapshot(source)
    kills = 0
    for kill_at in range(1, 1000):
        before = set(versions.version_dirs(serving))
        done = push_in_process(source, serving, kill_at)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
        for version, path in versions.version_dirs(serving).items():
            files = snapshot(path)
            assert files.pop("assets.extra/release/release.json")
            assert files == whole, f"version {version} is not whole after kill {kill_at}"
        new = set(versions.version_dirs(serving)) - before
        assert len(new) <= 1
        assert all(version > max(before) for version in new)
        assert {path.name for path in serving.iterdir() if path.name.isdecimal()} == set(
            map(str, versions.version_dirs(serving))
        ), "a directory that TF Serving would take for a version is not whole"
    assert kills > 40, "the kills did not reach the end of the push"
    hidden = {path.name for path in serving.iterdir() if not path.name.isdecimal()}
    assert hidden == {".highest_version", ".push.lock"}, "leftovers of the kills are still there"


def test_no_space_left_is_one_sentence_and_leaves_nothing(source, tmp_path):
    serving = tmp_path / "serving"
    install.install(source, serving, write_release)
    before = snapshot(serving / "1")
    done = push_in_process(source, serving, max_bytes=4096)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"No space left to push to {serving}: the version takes 0.0 MB. "
        "Nothing was pushed. Free some space and run again."
    )
    assert list(versions.version_dirs(serving)) == [1]
    assert snapshot(serving / "1") == before
    assert {path.name for path in serving.iterdir()} == {"1", ".highest_version", ".push.lock"}


def test_space_is_looked_at_before_anything_is_copied(source, tmp_path, monkeypatch):
    monkeypatch.setattr(install.shutil, "disk_usage", lambda path: install.shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(install.PushError, match="No space left to push"):
        install.install(source, tmp_path / "serving", write_release)
    assert not versions.version_dirs(tmp_path / "serving")


def test_a_source_that_breaks_while_it_is_copied_leaves_nothing(source, tmp_path):
    def release(release_dir, version):
        raise PermissionError(13, "Permission denied")

    with pytest.raises(install.PushError, match="could not be written to .*Permission denied.*Nothing was pushed"):
        install.install(source, tmp_path / "serving", release)
    assert not [path for path in (tmp_path / "serving").iterdir() if path.is_dir()]


def test_two_pushes_at_once_get_two_numbers(source, tmp_path):
    serving = tmp_path / "serving"
    command = [sys.executable, "-S", "-c", PUSH, str(source), str(serving), "0", "0"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    numbers = sorted(int(process.communicate()[0]) for process in running)
    assert numbers == [1, 2, 3, 4]
