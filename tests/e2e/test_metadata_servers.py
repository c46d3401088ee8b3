"""ML Metadata on real database servers: two pipelines at once in each, and what goes wrong in one sentence."""

import contextlib
import json
import shutil
import subprocess
import sys

import pytest

from deploy.setup import databases
from tests.e2e.conftest import attention_process, versions, write_csv

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not shutil.which("apt-get"), reason="the servers are packages of Debian and Ubuntu: no apt-get"),
]
PASSWORD = "it's a \\ secret-9z"


@pytest.fixture(autouse=True)
def _password(monkeypatch):
    monkeypatch.setenv("METADATA_PASSWORD", PASSWORD)


@contextlib.contextmanager
def server(kind, data):
    """A database server while the block lasts; gives the flags that make a run use it."""
    command = [sys.executable, databases.__file__, kind, "--data", data]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            if not line:
                pytest.fail(f"{kind} cannot be started: {process.stderr.read()}")
            yield [part for name, value in json.loads(line).items() for part in ("--set", f"metadata.{name}={value}")]
        finally:
            process.terminate()
            _, told = process.communicate(timeout=90)
            assert process.returncode == 0, told


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_two_pipelines_share_a_database_and_the_password_stays_unseen(
    attention, small_config, reviews, tmp_path, monkeypatch, kind
):
    data = write_csv(reviews.slice(0, 600), tmp_path / "reviews.csv")
    small = [
        f"data.input={data}",
        "train.epochs=1",
        "text.vocabulary_size=300",
        "evaluation.gates.accuracy.min=0.1",
        "evaluation.sanity.severity=warn",
    ]
    seen = []

    def arguments(command, name, flags):
        settings = [part for setting in (f"name={name}", *small) for part in ("--set", setting)]
        return [command, small_config, "-w", tmp_path / name, "--json", *settings, *flags]

    def run(command, name, flags):
        done = attention(*arguments(command, name, flags))
        seen.extend([done.out, done.err])
        return done

    with server(kind, tmp_path / "database") as flags:
        started = {name: attention_process(*arguments("run", name, flags)) for name in ("day", "night")}
        for name, process in started.items():
            out, err = process.communicate(timeout=400)
            seen += [out, err]
            assert process.returncode == 0, err
            assert json.loads(out)["verdict"] == "pushed"
            assert versions(tmp_path / name, name) == [1]

    with server(kind, tmp_path / "database") as flags:  # the data outlives the server
        done = run("run", "day", flags)
        assert done.result["verdict"] == "unchanged", done.err
        assert done.result["seconds"]["Trainer"] == 0
        for name, verdicts in (("day", ["unchanged", "pushed"]), ("night", ["pushed"])):
            listed = [json.loads(line) for line in run("runs", name, flags).out.splitlines()]
            assert [each["verdict"] for each in listed] == verdicts

        done = run("run", "day", [*flags, "--workspace", tmp_path / "elsewhere"])
        assert done.code == 2
        assert f"belongs to another workspace ({tmp_path / 'day'})" in done.result["why"]

        monkeypatch.setenv("METADATA_PASSWORD", "another-9z")
        done = run("run", "day", flags)
        assert done.code == 1
        assert "does not let the user 'attention' into the database" in done.result["why"]

    done = run("runs", "day", flags)
    assert done.code == 1
    assert "cannot be reached: Connection refused." in done.err.splitlines()[-1]
    monkeypatch.delenv("METADATA_PASSWORD")
    done = run("run", "day", flags)
    assert done.code == 2
    assert "environment variable METADATA_PASSWORD, which is not set" in done.result["why"]

    files = [path for name in ("day", "night") for path in (tmp_path / name).rglob("*") if path.is_file()]
    seen += [path.read_bytes().decode("utf-8", "replace") for path in files]
    for secret in (PASSWORD, "secret-9z", "another-9z"):
        assert not [text for text in seen if secret in text]
