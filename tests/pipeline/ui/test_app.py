"""The pages, asked as a browser asks."""

import asyncio
import json
import re
import time
from datetime import UTC, datetime

import pytest
from aiohttp.test_utils import TestClient, TestServer

from deploy.serving.client import PredictionClient
from deploy.serving.rollout import RolloutError
from pipeline.history import History, Run, Step
from pipeline.ui.app import make_app
from pipeline.workspace import Workspace
from tests.deploy.serving.running_server import RunningServer
from tests.deploy.serving.saved_models import export_reviews
from tests.pipeline.report.browser import drawn_in_browser, needs_browser
from tests.pipeline.report.page_parts import Page


class Runs(History):
    """Two runs, one of them with a metric, without a database."""

    def __init__(self):
        pass

    def runs(self, limit=None):
        day = datetime(2026, 1, 2, tzinfo=UTC)
        failed = Step("ExampleGen", "failed", 1.5, error="<b>no</b> file")
        measured = Measured("run-1", day, {})
        return [Run("run-2", day, {"ExampleGen": failed}), measured]


class Measured(Run):
    metrics = {"accuracy": 0.9, "auc": 0.8, "recall/no": 0.5}


def ask(workspace, path, form=None, server="127.0.0.1:9", labels=dict, **headers):
    async def fetch():
        async with TestClient(TestServer(make_app(Runs(), "reviews", workspace, server, labels))) as client:
            method = "GET" if form is None else "POST"
            answer = await client.request(method, path, data=form, headers=headers)
            return answer.status, await answer.text()

    return asyncio.run(fetch())


def test_runs_are_listed_with_links_to_the_reports_that_are_there(tmp_path):
    workspace = Workspace(tmp_path)
    (workspace.reports / "run-2").mkdir(parents=True)
    (workspace.reports / "run-2" / "report.html").write_text("the report", encoding="utf-8")
    status, text = ask(workspace, "/")
    page = Page(text)
    assert status == 200
    assert "/reports/run-2" in page.references
    assert "/reports/run-1" not in page.references
    assert "ExampleGen: <b>no</b> file" in "".join(page.text)
    assert page.tags["svg"] == 1
    assert "0.9" in page.text
    assert "0.8" in Page(ask(workspace, "/?metric=auc")[1]).text
    assert Page(ask(workspace, "/?metric=<script>")[1]).tags["script"] == 0
    assert ask(workspace, "/reports/run-2") == (200, "the report")
    assert ask(workspace, "/reports/run-1")[0] == 404
    (tmp_path / "report.html").write_text("a secret", encoding="utf-8")
    assert ask(workspace, "/reports/..%2f")[0] == 404


def pushed(workspace, version):
    """A version as the Pusher leaves it, but empty."""
    folder = workspace.serving("reviews") / str(version)
    (folder / "assets.extra" / "release").mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    release = {
        "version": version,
        "run_id": f"run-{version}",
        "created": f"2026-01-0{version}",
        "content_hash": "sha256:ab",
    }
    (folder / "assets.extra" / "release" / "release.json").write_text(json.dumps(release), encoding="utf-8")


def listed(text):
    """The cells of each version's row."""
    table = text.split("<h2>Versions</h2>")[1].split("</table>")[0]
    rows = [row.split("<td")[1:] for row in table.split("<tr>")[2:]]
    return [[re.sub(r"^[^>]*>|<[^>]*>", "", cell).strip() for cell in row] for row in rows]


def test_what_is_live_is_marked(tmp_path):
    workspace = Workspace(tmp_path)
    assert "Versions" not in ask(workspace, "/")[1]
    for version in (1, 2, 3):
        pushed(workspace, version)
    text = ask(workspace, "/")[1]
    assert listed(text) == [
        ["3", "live", "2026-01-03", "run-3", "ab", ""],
        ["2", "", "2026-01-02", "run-2", "ab", ""],
        ["1", "", "2026-01-01", "run-1", "ab", ""],
    ]
    assert "127.0.0.1:9 did not answer for model reviews" in text
    text = ask(workspace, "/", labels=lambda: {"stable": 2, "canary": 3})[1]
    assert [row[1] for row in listed(text)] == ["canary", "live stable", ""]

    def unreadable():
        raise RolloutError("models.config cannot be read.")

    assert "models.config cannot be read." in ask(workspace, "/", labels=unreadable)[1]


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_the_pages_without_scrolling_sideways(tmp_path, width, scheme):
    workspace = Workspace(tmp_path / "workspace")
    pushed(workspace, 1)
    for path, charts in (("/", [True]), ("/quarantine", []), ("/ask", [])):
        found, drawn, ink = drawn_in_browser(ask(workspace, path)[1], tmp_path, width, scheme)
        assert found <= width
        assert drawn == charts
        assert ink == ("dark" if scheme == "light" else "light")


def test_rows_in_quarantine_are_shown_and_never_run(tmp_path):
    workspace = Workspace(tmp_path)
    assert "No row was put aside." in ask(workspace, "/quarantine")[1]
    workspace.quarantine.mkdir()
    row = {"file": "a.csv", "row": 7, "reason": "<script>"}
    (workspace.quarantine / "a.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    page = Page(ask(workspace, "/quarantine")[1])
    assert "<script>" in page.text
    assert page.tags["script"] == 0


def test_another_name_for_this_machine_is_refused(tmp_path):
    assert ask(Workspace(tmp_path), "/", Host="evil.example")[0] == 403


def test_a_server_that_is_away_is_told_on_the_page(tmp_path):
    status, text = ask(Workspace(tmp_path), "/ask")
    assert status == 200
    assert "127.0.0.1:9 did not answer for model reviews" in text
    assert "attention serve" in text


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Two versions of one model, the second of which says yes more often."""
    root = tmp_path_factory.mktemp("served")
    for version, bias in ((1, 0.0), (2, 0.2)):
        export_reviews(root / "reviews" / str(version), bias=bias)
    config = root / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "reviews" base_path: "{root}/reviews" '
        'model_platform: "tensorflow" model_version_policy { all {} } } }'
    )
    with RunningServer(model_config_file=config) as running, PredictionClient(running.target, "reviews") as client:
        until = time.monotonic() + 60
        while set(client.versions().values()) != {"AVAILABLE"} or len(client.versions()) < 2:
            assert time.monotonic() < until, client.versions()
            time.sleep(0.1)
        yield running.target


@pytest.mark.slow
def test_versions_in_the_server_stand_beside_those_on_disk(tmp_path, server):
    workspace = Workspace(tmp_path)
    pushed(workspace, 2)
    pushed(workspace, 3)
    assert [(row[0], row[1], row[-1]) for row in listed(ask(workspace, "/", server=server)[1])] == [
        ("3", "live", ""),
        ("2", "", "AVAILABLE"),
        ("1", "", "AVAILABLE"),
    ]


@pytest.mark.slow
def test_a_typed_row_is_answered_by_two_versions_with_their_attention(tmp_path, server):
    workspace = Workspace(tmp_path)
    form = Page(ask(workspace, "/ask", server=server)[1])
    assert form.tags["form"] == 1
    typed = [("review", "good <script>"), ("age", "30"), ("version", "1"), ("version", "2")]
    status, text = ask(workspace, "/ask", typed, server=server)
    page = Page(text)
    assert status == 200
    assert page.tags["article"] == 2
    assert page.tags["script"] == 0
    answers = [each for each in page.text if each.startswith("Version ")]
    with PredictionClient(server, "reviews", version=1) as client:
        (expected,) = client.predict([{"review": "good <script>", "age": 30.0}])
    assert answers[0].startswith("Version 2: ")
    assert answers[1] == f"Version 1: {expected}"
    wrong = Page(ask(workspace, "/ask", {"age": "old"}, server=server)[1])
    assert "`age` takes a number. Received: 'old'." in wrong.text
