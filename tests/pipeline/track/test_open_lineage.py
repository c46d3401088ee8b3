"""What a server of OpenLineage gets of a run, read back into the client's own model."""

import json

import pytest
import requests
from openlineage.client import event_v2
from openlineage.client.facet_v2 import (
    dataset_version_dataset,
    error_message_run,
    job_type_job,
    parent_run,
)

from pipeline.track import open_lineage
from pipeline.track.options import OpenLineageOptions
from tests.pipeline.report.conftest import record
from tests.pipeline.track.conftest import steps

FACETS = {
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
    "errorMessage": error_message_run.ErrorMessageRunFacet,
    "jobType": job_type_job.JobTypeJobFacet,
    "parent": parent_run.ParentRunFacet,
}


def checked(body):
    """An event as the client's classes have it: each refuses keys it does not know and checks times and numbers."""
    raw = json.loads(body)
    for part in (raw["run"], raw["job"], *raw["inputs"], *raw["outputs"]):
        for name, facet in part.get("facets", {}).items():
            own = {key: value for key, value in facet.items() if not key.startswith("_")}
            made = FACETS[name](**own, producer=facet["_producer"])
            assert facet["_schemaURL"] == made._get_schema()
    run, job = event_v2.Run(**raw["run"]), event_v2.Job(**raw["job"])
    sets = {
        "inputs": [event_v2.InputDataset(**each) for each in raw["inputs"]],
        "outputs": [event_v2.OutputDataset(**each) for each in raw["outputs"]],
    }
    kind = event_v2.RunState[raw["eventType"]]
    event = event_v2.RunEvent(
        eventTime=raw["eventTime"], run=run, job=job, eventType=kind, producer=raw["producer"], **sets
    )
    assert raw["schemaURL"] == event._get_schema()
    return event


def sent(receiver, report, path, **options):
    place = open_lineage.track(OpenLineageOptions(url=receiver.url, **options), report, path / "report.html", path)
    assert place.startswith(f"{receiver.url}, job ")
    assert {where for where, *_ in receiver.got} == {"/api/v1/lineage"}
    return [checked(body) for *_, body in receiver.got]


def pushed():
    ran = steps(ExampleGen="cached", Trainer="ran", Pusher="ran")
    model = {"uri": "/w/model", "bytes": 1, "pushed_to": "/w/serving/reviews/4", "content_hash": "f" * 64}
    return record(steps=ran, gates=[], verdict="pushed", why="Pushed.", version=4, model=model)


def test_a_run_leads_from_source_files_to_a_version(receiver, tmp_path):
    events = sent(receiver, pushed(), tmp_path, namespace="shop")
    assert [(each.eventType.name, each.job.name) for each in events] == [
        ("START", "reviews"),
        ("START", "reviews.ExampleGen"), ("COMPLETE", "reviews.ExampleGen"),
        ("START", "reviews.Trainer"), ("COMPLETE", "reviews.Trainer"),
        ("START", "reviews.Pusher"), ("COMPLETE", "reviews.Pusher"),
        ("COMPLETE", "reviews"),
    ]  # fmt: skip
    assert {each.job.namespace for each in events} == {"shop"}
    assert (events[0].eventTime, events[-1].eventTime) == (
        "2026-01-01T03:00:00.000+00:00", "2026-01-01T03:00:30.000+00:00"
    )  # fmt: skip
    by_job = {each.job.name: each for each in events}
    for event in (events[0], events[-1], by_job["reviews.ExampleGen"]):
        (source,) = event.inputs
        assert (source.namespace, source.name) == ("file", "/data/a & b.csv")
        assert source.facets["version"]["datasetVersion"] == "0" * 64
    for event in (events[-1], by_job["reviews.Pusher"]):
        (version,) = event.outputs
        assert (version.namespace, version.name) == ("file", "/w/serving/reviews")
        assert version.facets["version"]["datasetVersion"] == "4"
    assert not by_job["reviews.Trainer"].inputs
    assert not by_job["reviews.Trainer"].outputs
    number = events[0].run.runId
    assert events[-1].run.runId == number
    for event in events[1:-1]:
        assert event.run.facets["parent"]["run"]["runId"] == number
        assert event.run.facets["parent"]["job"] == {"namespace": "shop", "name": "reviews", "facets": {}}
    assert len({each.run.runId for each in events}) == 4
    again = [each.run.runId for each in open_lineage.events(pushed(), "shop")]
    assert again == [each.run.runId for each in events]


def test_what_a_gate_blocked_made_no_version_and_says_why(receiver, blocked, tmp_path):
    events = sent(receiver, blocked, tmp_path)
    ends = {each.job.name: each for each in events}
    assert ends["reviews.DataGate"].eventType.name == "COMPLETE"
    for name in ("reviews.ReleaseGate", "reviews"):
        assert ends[name].eventType.name == "FAIL"
        assert ends[name].run.facets["errorMessage"]["message"] == "gate metric/accuracy: accuracy is 0.8"
        assert not ends[name].outputs


@pytest.mark.parametrize(("verdict", "kind"), [("failed", "FAIL"), ("interrupted", "ABORT")])
def test_what_failed_or_was_interrupted_ends_so(receiver, tmp_path, verdict, kind):
    report = record(verdict=verdict, why="why", steps=steps(Trainer=verdict), gates=[], data=None)
    events = sent(receiver, report, tmp_path)
    assert [each.eventType.name for each in events] == ["START", "START", kind, kind]
    assert not events[0].inputs


def test_a_file_gets_a_line_an_event_and_keeps_those_before(tmp_path):
    options = OpenLineageOptions(file="lineage/events.jsonl")
    for _ in range(2):
        place = open_lineage.track(options, pushed(), tmp_path / "report.html", tmp_path)
    assert place == f"{tmp_path}/lineage/events.jsonl, job attention/reviews"
    lines = (tmp_path / "lineage" / "events.jsonl").read_text().splitlines()
    assert [checked(line).eventType.name for line in lines[:2]] == ["START", "START"]
    assert len(lines) == 16


def test_a_server_that_is_away_or_refuses_is_told(receiver, blocked, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "SECRET")
    away = OpenLineageOptions(url="http://127.0.0.1:9", timeout_seconds=1)
    with pytest.raises(requests.RequestException, match="127.0.0.1") as caught:
        open_lineage.track(away, blocked, tmp_path / "report.html", tmp_path)
    assert "SECRET" not in str(caught.value)
    receiver.status = 403
    with pytest.raises(requests.RequestException, match="403"):
        sent(receiver, blocked, tmp_path)
    assert receiver.got[0][1]["Authorization"] == "Bearer SECRET"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/data/a.csv", ("file", "/data/a.csv")),
        ("gs://bucket/a/b.csv", ("gs://bucket", "a/b.csv")),
    ],
)
def test_places_are_named_as_openlineage_has_them(path, found):
    assert open_lineage.place(path) == found


@pytest.mark.parametrize("options", [{}, {"url": "http://a", "file": "b"}, {"url": "http://user:password@a"}])
def test_one_place_and_no_secret_stands_in_a_config(options):
    with pytest.raises(ValueError, match="takes `url` or `file`|url"):
        OpenLineageOptions(**options)
