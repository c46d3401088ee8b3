import importlib.util
import json

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from tests.pipeline.test_config import SMALL


@pytest.mark.parametrize(
    ("tracker", "options", "extra"),
    [
        ("wandb", {"project": "mood"}, "wandb"),
        ("mlflow", {}, "mlflow"),
        ("opentelemetry", {"endpoint": "http://a"}, "otel"),
        ("openlineage", {"file": "a"}, "openlineage"),
    ],
)
def test_without_the_package_no_run_begins(tmp_path, monkeypatch, tracker, options, extra):
    find = importlib.util.find_spec

    def gone(name):
        if name.startswith(f"{tracker}."):
            raise ModuleNotFoundError(name)
        return None if name == tracker else find(name)

    monkeypatch.setattr("importlib.util.find_spec", gone)
    (tmp_path / "mood.yaml").write_text(json.dumps({**SMALL, "track": {tracker: options}}))
    done = CliRunner().invoke(main, ["run", str(tmp_path / "mood.yaml"), "-w", str(tmp_path / "w"), "--json"])
    assert done.exit_code == 2
    assert f"pip install 'attention-pipeline[{extra}]'" in json.loads(done.stdout.splitlines()[-1])["why"]
