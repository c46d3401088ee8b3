"""The pages: runs, what lies in quarantine, a server asked; reports as they were written."""

import json
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from aiohttp import web
from markupsafe import Markup

from components.pusher.versions import read_release, version_dirs
from deploy.serving.rollout import RolloutError
from pipeline.history import History, Run
from pipeline.release import live_among
from pipeline.report.page import template_environment
from pipeline.report.plots import over_time
from pipeline.report.write import PAGE
from pipeline.ui.ask import Asking
from pipeline.workspace import Workspace

OWN_NAMES = ("127.0.0.1", "localhost")
MOST_RUNS, MOST_ROWS = 50, 200
USUAL_METRICS = ("accuracy", "subset_accuracy", "macro_f1", "mean_absolute_error")


def make_app(
    history: History,
    pipeline: str,
    workspace: Workspace,
    server: str,
    labels: Callable[[], Mapping[str, int]] = dict,
) -> web.Application:
    """Makes the application.

    Args:
        history: read anew for each page.
        pipeline: its name.
        workspace: holds the reports and the quarantine.
        server: `host:port` of the gRPC server that a typed row is sent to.
        labels: says which version has which label; empty where the newest one is live.
    """
    templates = template_environment("pipeline.ui")

    def page(name: str, **values: Any) -> web.Response:
        text = templates.get_template(name).render(pipeline=pipeline, **values)
        return web.Response(text=text, content_type="text/html")

    async def show_runs(request: web.Request) -> web.Response:
        runs = history.runs(MOST_RUNS)
        names = sorted({name for run in runs for name in run.metrics if "/" not in name and name != "example_count"})
        usual = next((name for name in USUAL_METRICS if name in names), names[0] if names else "")
        metric = request.query.get("metric", usual)
        points = [(run.started, run.metrics[metric], run.verdict) for run in reversed(runs) if metric in run.metrics]
        rows = [_row(run, metric, workspace) for run in runs]
        chart = Markup(over_time(points, metric)) if points else ""
        states, fault = await asking.states()
        try:
            labelled = labels()
        except RolloutError as error:
            labelled, fault = {}, str(error)
        versions = _versions(workspace, pipeline, labelled, states)
        return page("runs.html", runs=rows, names=names, metric=metric, chart=chart, versions=versions, fault=fault)

    async def show_report(request: web.Request) -> web.StreamResponse:
        path = (workspace.reports / request.match_info["run"] / PAGE).resolve()
        if not path.is_relative_to(workspace.reports.resolve()) or not path.is_file():
            raise web.HTTPNotFound(text="This run has no report: `attention report --run RUN` makes one.")
        return web.FileResponse(path)

    async def show_quarantine(request: web.Request) -> web.Response:
        files = sorted(workspace.quarantine.rglob("*.jsonl"), key=lambda path: -path.stat().st_mtime)
        shown = [(str(path.relative_to(workspace.quarantine)), _lines(path)) for path in files[:20]]
        return page("quarantine.html", files=shown, most=MOST_ROWS)

    asking = Asking(server, pipeline, page)
    app = web.Application(middlewares=[_own_names_only])
    app.router.add_get("/", show_runs)
    app.router.add_get("/reports/{run}", show_report)
    app.router.add_get("/quarantine", show_quarantine)
    app.router.add_get("/ask", asking.answer)
    app.router.add_post("/ask", asking.answer)
    return app


@web.middleware
async def _own_names_only(request: web.Request, handler: Any) -> web.StreamResponse:
    """A page elsewhere could have its own name resolve to this machine (DNS rebinding) and read what is shown."""
    if request.url.host not in OWN_NAMES:
        raise web.HTTPForbidden(text="This page is for this machine alone.")
    return await handler(request)


def _row(run: Run, metric: str, workspace: Workspace) -> dict[str, Any]:
    return {
        "id": run.run_id,
        "verdict": run.verdict,
        "version": run.version,
        "why": run.why,
        "rows": run.rows["used"],
        "value": run.metrics.get(metric),
        "seconds": sum(step.seconds for step in run.steps.values()),
        "closed": [gate.name for gate in run.gates if not gate.passed],
        "has_report": _has_report(workspace, run.run_id),
    }


def _has_report(workspace: Workspace, run_id: str) -> bool:
    return (workspace.reports / run_id / PAGE).is_file()


def _versions(
    workspace: Workspace, pipeline: str, labels: Mapping[str, int], states: Mapping[int, str]
) -> list[dict[str, Any]]:
    """What lies on disk or in the server, the newest first."""
    serving_dir = workspace.serving(pipeline)
    pushed, live = version_dirs(serving_dir), live_among(labels, serving_dir)
    found = []
    for version in sorted({*pushed, *states}, reverse=True):
        release = read_release(serving_dir, version)
        run = release.get("run_id", "")
        found.append(
            {
                "version": version,
                "live": version == live,
                "labels": sorted(label for label, own in labels.items() if own == version),
                "state": states.get(version, ""),
                "pushed": release.get("created", ""),
                "run": run,
                "has_report": _has_report(workspace, run),
                "content": release.get("content_hash", "").removeprefix("sha256:")[:12],
            }
        )
    return found


def _lines(path: Path) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in islice(lines, MOST_ROWS)]
