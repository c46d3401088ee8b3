"""A pipeline whose clock and run are in the test's hands; files, locks and state are real."""

import datetime
import os

import pytest

from pipeline.config import override, parse
from pipeline.schedule.once import run_once
from pipeline.schedule.state import load
from pipeline.workspace import Workspace

RAW = {
    "name": "mood",
    "data": {"input": "mood.csv", "label": "mood"},
    "features": {"review": "text"},
    "evaluation": {"gates": {"accuracy": {"min": 0.6}}},
}


class Scheduled:
    """One scheduled pipeline.

    Attributes:
        now: the clock.
        verdicts: what the next runs come to; an exception is raised. After the last: pushed.
        seen: the inputs of the runs so far.
        judge: of fresh labels.
    """

    def __init__(self, folder):
        self.folder = folder
        self.workspace = Workspace(folder / "workspace")
        self.now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self.verdicts = []
        self.seen = []
        self.judge = None
        self.raw = RAW | {"data": RAW["data"] | {"input": str(folder / "mood.csv")}}

    def set(self, *settings):
        self.raw = override(self.raw, settings)

    @property
    def config(self):
        return parse(self.raw)

    @property
    def state(self):
        return load(self.workspace.root)

    def forward(self, **by):
        self.now += datetime.timedelta(**by)

    def write(self, name="mood.csv", rows=10):
        """A table that was written just now."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("review,mood\n" + "".join(f"review {row},{row % 2}\n" for row in range(rows)))
        os.utime(path, (self.now.timestamp(),) * 2)
        return path

    def run(self, config, workspace, stopped):
        self.seen.append(config.data.input)
        verdict = self.verdicts.pop(0) if self.verdicts else "pushed"
        if isinstance(verdict, BaseException):
            raise verdict
        version = len(self.seen) if verdict == "pushed" else None
        return {"verdict": verdict, "why": f"why {verdict}", "version": version, "run": f"run-{len(self.seen)}"}

    def once(self):
        return run_once(self.config, self.workspace, self.run, clock=lambda: self.now, judge=self.judge)

    def verdict(self):
        return self.once()["verdict"]


@pytest.fixture
def scheduled(tmp_path):
    return Scheduled(tmp_path)
