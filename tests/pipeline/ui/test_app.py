"""The pages, asked as a browser asks."""

import asyncio
import json
from datetime import UTC, datetime

from aiohttp.test_utils import TestClient, TestServer

from pipeline.history import History, Run, Step
from pipeline.ui.app import make_app
from pipeline.workspace import Workspace
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


def ask(workspace, path, **headers):
    async def fetch():
        async with TestClient(TestServer(make_app(Runs(), "reviews", workspace))) as client:
            answer = await client.get(path, headers=headers)
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
