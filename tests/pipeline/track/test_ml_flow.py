"""What MLflow gets of a run, read back from a store on disk."""

import pytest

from pipeline.track import ml_flow
from pipeline.track.options import MlflowOptions
from tests.pipeline.report.conftest import record


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """MLflow is set up by variables; none outlives the test."""
    for name in ("HTTP_REQUEST_TIMEOUT", "HTTP_REQUEST_MAX_RETRIES", "ALLOW_FILE_STORE"):
        monkeypatch.setenv(f"MLFLOW_{name}", "1")


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("<p>the page</p>")
    return path


def test_the_record_lies_in_the_store(tmp_path, page):
    from mlflow.tracking import MlflowClient

    config = {"train": {"epochs": 2, "learning_rate": 0.1}, "heads": {"a": "x" * 7000}}
    place = ml_flow.track(MlflowOptions(), record(config=config, verdict="pushed", version=4), page, tmp_path)
    uri, _, number = place.partition(", run ")
    assert uri == (tmp_path / "mlruns").as_uri()
    client = MlflowClient(tracking_uri=uri)
    run = client.get_run(number)
    assert client.get_experiment(run.info.experiment_id).name == "reviews"
    assert (run.info.run_name, run.info.status) == ("20260101-030000.000", "FINISHED")
    assert (run.data.tags["verdict"], run.data.tags["version"]) == ("pushed", "4")
    assert run.data.params["train.learning_rate"] == "0.0021", "as it was tuned"
    assert len(run.data.params["heads.a"]) == 6000
    assert [(each.step, each.value) for each in client.get_metric_history(number, "loss")] == [(1, 1.0), (2, 0.5)]
    assert [each.step for each in client.get_metric_history(number, "val_loss")] == [2]
    assert run.data.metrics["test/accuracy"] == 0.8
    assert (run.data.metrics["gate/metric.accuracy"], run.data.metrics["passed/metric.accuracy"]) == (0.8, 0.0)
    assert "gate/drift" not in run.data.metrics, "was not measured"
    assert [each.path for each in client.list_artifacts(number)] == ["report.html"]
    again = ml_flow.track(MlflowOptions(), record(verdict="failed"), page, tmp_path).partition(", run ")[2]
    assert client.get_run(again).info.experiment_id == run.info.experiment_id
    assert client.get_run(again).info.status == "FAILED"


def test_a_server_that_is_away_is_told(tmp_path, page):
    options = MlflowOptions(tracking_uri="http://127.0.0.1:9", timeout_seconds=1)
    with pytest.raises(Exception, match="127.0.0.1"):
        ml_flow.track(options, record(), page, tmp_path)


def test_secrets_do_not_stand_in_a_config():
    with pytest.raises(ValueError, match="tracking_uri"):
        MlflowOptions(tracking_uri="https://user:password@host")
