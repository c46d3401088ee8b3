"""A model whose labels are moved on a running server."""

import shutil
import subprocess
import sys

from deploy.serving.client import PredictionClient, PredictionError
from pipeline import config as configs
from pipeline import presets, release_commands
from pipeline.history import connection_config
from pipeline.release_history import ReleaseHistory
from pipeline.workspace import Workspace


class Model:
    """One model in its own workspace; the server serves whichever was released last."""

    def __init__(self, server, exported, root, name, *settings):
        self.server, self._exported = server, exported
        self.settings = (
            f"name={name}", "push.label=canary", f"release.servers=[{server.target!r}]",
            "release.min_requests=10", "release.max_requests=20", "release.load_timeout_seconds=20",
            "release.limits.latency_slack_ms=200", *settings,
        )  # fmt: skip
        self.config = configs.load(presets.path("reviews"), self.settings)
        self.workspace = Workspace(root)
        self.root = root

    def push(self, *names):
        base_path = self.workspace.serving(self.config.name)
        for name in names:
            base_path.mkdir(parents=True, exist_ok=True)
            version = len(list(base_path.iterdir())) + 1
            shutil.copytree(self._exported / name, base_path / str(version))
        return self

    def release(self, version=None, requests=None, why="", who=""):
        return release_commands.release(self.config, self.workspace, version, requests, why, who)

    def rollback(self, to=None, why="By hand.", who=""):
        return release_commands.rollback(self.config, self.workspace, to, why, who)

    def changes(self):
        history = ReleaseHistory(connection_config(self.config.metadata, self.workspace.metadata), self.config.name)
        return history.changes()

    def label(self, text="bad", label="stable"):
        with PredictionClient(self.server.target, self.config.name, label=label) as client:
            (answer,) = client.predict([text])
        return answer.version

    def answers_by(self, label):
        try:
            return bool(self.label(label=label))
        except PredictionError:
            return False

    def states(self):
        with PredictionClient(self.server.target, self.config.name) as client:
            return client.versions()

    def command(self, name, *arguments):
        """The command as a process of its own."""
        settings = [word for setting in self.settings for word in ("--set", setting)]
        line = (sys.executable, "-m", "pipeline.cli", name, str(presets.path("reviews")), "-w", str(self.root))
        return subprocess.Popen(
            [*line, *settings, "--json", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
