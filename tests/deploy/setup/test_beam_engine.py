"""The engines' script without an engine; the portable one is run by tests/e2e/test_beam_engine.py."""

import os
import re

import apache_beam
import pytest

from deploy.setup import beam_engine


def program(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The only folder with programs, for want of a network."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin")
    return folder


def test_without_java_flink_or_maven_that_is_said_with_the_cure(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(path))
    with pytest.raises(beam_engine.EngineError, match=re.escape("there is no `java` here: install Java 17.")):
        beam_engine.flink_libraries()
    program(path, "java", "")
    with pytest.raises(beam_engine.EngineError, match=re.escape("pip install --no-deps 'apache-flink-libraries==2.2.")):
        beam_engine.flink_libraries()
    with pytest.raises(beam_engine.EngineError, match=r"there is no `mvn` here: .* or start `portable`"):
        beam_engine.job_server_jar("2.2", tmp_path)


def test_flinks_jars_tell_its_version(path, tmp_path, monkeypatch):
    program(path, "java", "")
    monkeypatch.syspath_prepend(str(tmp_path))
    jars = tmp_path / "pyflink" / "lib"
    jars.mkdir(parents=True)
    (jars / "flink-dist-1.20.3.jar").touch()
    assert beam_engine.flink_libraries() == (jars, "1.20")


def test_a_job_server_that_cannot_be_had_is_one_sentence_and_one_that_can_is_fetched_once(path, tmp_path):
    artifact = f"org.apache.beam:beam-runners-flink-2.2-job-server:{apache_beam.__version__}"
    program(path, "mvn", "echo '[ERROR] Could not find artifact'; exit 1")
    with pytest.raises(beam_engine.EngineError, match=rf"gives no {artifact} here: .* mvn said: \[ERROR\] Could not"):
        beam_engine.job_server_jar("2.2", tmp_path)
    jar = tmp_path / f"beam-runners-flink-2.2-job-server-{apache_beam.__version__}.jar"
    program(path, "mvn", f'echo "$@" >> {tmp_path}/asked; touch {jar}')
    for _ in range(2):
        assert beam_engine.job_server_jar("2.2", tmp_path) == jar
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert f"-Dartifact={artifact}" in asked
