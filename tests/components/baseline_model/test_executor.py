"""The live version or, where nothing is live, the candidate."""

import shutil
from pathlib import Path

import pytest
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.baseline_model import executor
from components.pusher.versions import AT_RUN_TIME


def run(model, serving_dir, live_version, uri):
    baseline = standard_artifacts.Model()
    baseline.uri = str(uri)
    properties = {"serving_dir": str(serving_dir), "live_version": live_version}
    executor.Executor().Do({"model": [model]}, {"baseline_model": [baseline]}, properties)
    return baseline


def test_nothing_live_means_the_candidate_itself(model_artifact, tmp_path):
    baseline = run(model_artifact, tmp_path / "serving", 0, tmp_path / "baseline")
    assert baseline.get_int_custom_property("version") == 0
    linked = Path(path_utils.serving_model_path(baseline.uri), "saved_model.pb")
    assert linked.samefile(Path(path_utils.serving_model_path(model_artifact.uri), "saved_model.pb"))


def test_the_live_version_stays_whole_when_it_is_deleted(model_artifact, tmp_path):
    live = tmp_path / "serving" / "3"
    shutil.copytree(path_utils.serving_model_dir(model_artifact.uri), live)
    content = (live / "saved_model.pb").read_bytes()
    baseline = run(model_artifact, tmp_path / "serving", 3, tmp_path / "baseline")
    shutil.rmtree(live)
    assert baseline.get_int_custom_property("version") == 3
    assert Path(path_utils.serving_model_path(baseline.uri), "saved_model.pb").read_bytes() == content


def test_without_a_candidate_nothing_live_is_an_empty_artifact(tmp_path):
    start = standard_artifacts.Model()
    start.uri = str(tmp_path / "start")
    properties = {"serving_dir": str(tmp_path / "serving"), "live_version": 0}
    executor.Executor().Do({}, {"baseline_model": [start]}, properties)
    assert start.get_int_custom_property("version") == 0
    assert list((tmp_path / "start").iterdir()) == []


def test_content_is_copied_where_links_cannot_be_made(model_artifact, tmp_path, monkeypatch):
    def no_links(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(executor.os, "link", no_links)
    baseline = run(model_artifact, tmp_path / "serving", 0, tmp_path / "baseline")
    assert Path(path_utils.serving_model_path(baseline.uri), "variables").is_dir()


def test_a_live_version_that_is_not_there_is_an_error(model_artifact, tmp_path):
    (tmp_path / "serving" / "1").mkdir(parents=True)
    with pytest.raises(
        FileNotFoundError, match=r"`live_version` must be a complete version.*Received: 1; there are: none"
    ):
        run(model_artifact, tmp_path / "serving", 1, tmp_path / "baseline")


@pytest.mark.parametrize("live", [[], [1, 2]])
def test_the_newest_version_is_looked_up_at_run_time(model_artifact, tmp_path, live):
    for version in live:
        shutil.copytree(path_utils.serving_model_dir(model_artifact.uri), tmp_path / "serving" / str(version))
    baseline = run(model_artifact, tmp_path / "serving", AT_RUN_TIME, tmp_path / "baseline")
    assert baseline.get_int_custom_property("version") == max(live, default=0)
