"""A pipeline comes to Kubeflow once a content, runs or is scheduled there, and what goes wrong is one sentence."""

import json

import pytest
import yaml
from click.testing import CliRunner

from pipeline.cli import main
from tests.pipeline.kubeflow.conftest import CONFIG
from tests.pipeline.kubeflow.kubeflow_api import kubeflow_api

TOKEN = "a-secret-token"


@pytest.fixture
def api():
    with kubeflow_api() as server:
        yield server
    assert server.faults == []


@pytest.fixture
def attention(tmp_path, monkeypatch):
    """Function of a command and its arguments, on the config for a cluster."""
    monkeypatch.setenv("KFP_TOKEN", TOKEN)
    config = tmp_path / "mood.yaml"
    config.write_text(yaml.safe_dump(CONFIG, sort_keys=False), encoding="utf-8")

    def run(command, *arguments):
        return CliRunner().invoke(main, [command, str(config), *map(str, arguments)])

    return run


def test_compile_writes_both_documents(attention, compiled, tmp_path):
    done = attention("compile", "-o", tmp_path / "out.yaml")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out.yaml").read_text(encoding="utf-8") == compiled.yaml
    assert f"pipeline mood-of-day, version {compiled.digest}" in done.output


def test_compile_takes_image_root_and_workspace_from_the_command_line(attention, tmp_path):
    done = attention(
        "compile", "-o", tmp_path / "out.yaml", "--image", "other:2", "--pipeline-root", "gs://bucket", "-w", "/data/w"
    )
    assert done.exit_code == 0, done.output
    spec, _ = yaml.safe_load_all((tmp_path / "out.yaml").read_text(encoding="utf-8"))
    executors = spec["deploymentSpec"]["executors"].values()
    images = {each["container"]["image"] for each in executors}
    assert images == {"other:2", CONFIG["kubeflow"]["steps"]["Trainer"]["image"]}
    assert spec["defaultPipelineRoot"] == "gs://bucket"
    parameters = spec["root"]["dag"]["tasks"]["Pusher"]["inputs"]["parameters"]
    assert parameters["serving_dir"]["runtimeValue"]["constant"] == "/data/w/serving/mood_of_day"


def test_what_cannot_run_there_ends_with_2(attention, tmp_path):
    done = attention("compile", "-o", tmp_path / "out.yaml", "--set", "push.label=canary")
    assert done.exit_code == 2
    assert "`push.label: canary` asks the servers" in done.output
    assert not (tmp_path / "out.yaml").exists()


def test_a_pipeline_is_uploaded_once_and_run(attention, api, compiled):
    for _ in range(2):
        done = attention("submit", "--host", f"{api.address}/", "--json")
        assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    (version,) = api.versions.values()
    assert version["display_name"] == result["version"] == compiled.digest
    assert version["documents"] == list(compiled.documents)
    (pipeline,) = api.kept["pipelines"].values()
    (experiment,) = api.kept["experiments"].values()
    assert (pipeline["display_name"], experiment["display_name"]) == ("mood-of-day", "Default")
    runs = list(api.kept["runs"].values())
    assert len(runs) == 2
    assert runs[1]["run_id"] == result["run_id"]
    assert runs[1]["experiment_id"] == experiment["experiment_id"]
    assert runs[1]["pipeline_version_reference"] == {
        "pipeline_id": pipeline["pipeline_id"], "pipeline_version_id": version["pipeline_version_id"],
    }  # fmt: skip
    assert runs[1]["runtime_config"]["parameters"] == {}
    assert api.tokens == {f"Bearer {TOKEN}"}
    assert TOKEN not in done.output


def test_another_content_is_another_version(attention, api):
    for image in ("a:1", "a:2"):
        assert attention("submit", "--host", api.address, "--image", image).exit_code == 0
    assert len(api.kept["pipelines"]) == 1
    assert len({version["display_name"] for version in api.versions.values()}) == 2


def test_a_schedule_takes_the_place_of_the_earlier_one(attention, api):
    arguments = ["--host", api.address, "--experiment", "nightly", "--service-account", "trainer", "--json"]
    attention("submit", *arguments, "--cron", "0 1 * * *")
    done = attention("submit", *arguments, "--cron", "30 2 * * 1-5", "--max-concurrency", "2")
    assert done.exit_code == 0, done.output
    (recurring,) = api.kept["recurringruns"].values()
    assert recurring["recurring_run_id"] == json.loads(done.stdout)["recurring_run_id"]
    assert recurring["trigger"] == {"cron_schedule": {"cron": "0 30 2 * * 1-5"}}
    assert recurring["max_concurrency"] == "2"
    assert recurring["no_catchup"] is True
    assert recurring["mode"] == "ENABLE"
    assert recurring["service_account"] == "trainer"
    (experiment,) = api.kept["experiments"].values()
    assert experiment["display_name"] == "nightly"
    assert not api.kept["runs"]


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ((401, {"message": "no"}), "refuses (401 Unauthorized): put a valid token into KFP_TOKEN."),
        ((403, {"message": "no"}), "refuses (403 Forbidden): ask for the rights."),
        ((404, "<html>"), "has nothing at this address (404): --host is what stands before /apis/v2beta1/."),
        ((500, {"message": f"broken\nby {TOKEN}"}), "answers 500 Internal Server Error: broken by ***"),
        ((200, "<html>log in</html>"), "seems to lead to another service, or to a log-in page."),
    ],
)
def test_a_refusal_is_one_sentence_without_the_token(attention, api, refusal, message):
    api.refusal = refusal
    done = attention("submit", "--host", api.address)
    assert done.exit_code == 1
    assert message in done.output
    assert len(done.output.splitlines()) == 1
    assert TOKEN not in done.output


def test_a_server_that_is_not_there_is_one_sentence(attention):
    with kubeflow_api() as server:
        address = server.address
    done = attention("submit", "--host", address)
    assert done.exit_code == 1
    assert f"Kubeflow Pipelines at {address} cannot be reached" in done.output
    assert len(done.output.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "kubeflow.example"], "--host takes an address with http:// or https://."),
        (["--host", "http://localhost:1", "--cron", "nightly"], "--cron must have five fields as in crontab"),
        ([], "Missing option '--host'"),
        (
            ["--host", "http://localhost:1", "--cron", "0 1 * * *", "--set", "data.input=/data/{DATE}.csv"],
            "--cron runs again what is compiled now",
        ),
    ],
)
def test_a_wrong_use_ends_with_2(attention, arguments, message):
    done = attention("submit", *arguments)
    assert done.exit_code == 2
    assert message in done.output
