"""Clients by others, each in an environment of its own: their protobuf versions exclude each other and ours."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "foreign_clients"
UNREACHABLE = ("error sending request", "dns error", "Failed to fetch", "Connection refused", "tcp connect error")


@pytest.fixture(scope="module")
def ask(served, tmp_path_factory):
    """Installs packages into a new environment and runs a script there against the server."""
    uv = Path(sys.executable).with_name("uv")

    def run(script, *packages):
        folder = tmp_path_factory.mktemp("environment") / "venv"
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        for command in (
            [uv, "venv", "-q", "--python", python, folder],
            [uv, "pip", "install", "-q", "--python", folder / "bin" / "python", *packages],
        ):
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            if done.returncode and any(words in done.stderr for words in UNREACHABLE):
                pytest.skip(f"The package index cannot be reached: {done.stderr[-300:]}")
            assert done.returncode == 0, done.stderr
        targets = [served.target, served.rest_url.removeprefix("http://")]
        done = subprocess.run(
            [folder / "bin" / "python", HERE / script, *targets], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.slow
def test_ovmsclient(ask):
    found = ask("ask_ovmsclient.py", "ovmsclient==2023.1")
    for told in (found["grpc"], found["http"]):
        assert told["status"]["1"]["state"] == "AVAILABLE"
        assert told["inputs"] == ["age", "review"]
        assert told["outputs"] == ["classes", "label", "probabilities"]
        assert re.search("Could not find .* of model m", told["unknown"])
    assert found["labels"] == ["yes", "no"]
    assert found["probabilities"] == [[0.216, 0.784], [0.75, 0.25]]
    assert "input size does not match signature: 1!=2" in found["refused"]


@pytest.mark.slow
def test_min_tfs_client(ask):
    found = ask("ask_min_tfs_client.py", "min-tfs-client==1.0.2", "protobuf<3.21")
    assert found == {
        "labels": ["yes", "no"],
        "probabilities": [[0.216, 0.784], [0.75, 0.25]],
        "version": 1,
        "refused": ["NOT_FOUND", "Servable not found for request: Latest(m)"],
        "status": {"1": 30, "2": 30},
        "inputs": ["age", "review"],
    }


@pytest.mark.slow
def test_tensorflow_serving_client_grpc(ask):
    script = "ask_tensorflow_serving_client_grpc.py"
    assert ask(script, "tensorflow-serving-client-grpc==2.3.0", "protobuf<3.21") == {
        "Predict": ["yes", "no"],
        "Classify": [3.5, 3.5],
        "Regress": [3.5],
        "MultiInference": [3.5],
        "GetModelMetadata": ["classify", "examples", "explain", "serving_default"],
        "GetModelStatus": [30],
        "HandleReloadConfigRequest": "INVALID_ARGUMENT",
    }
