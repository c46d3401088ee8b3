"""What an option needs and is not here is told before anything begins."""

import json

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from tests.pipeline.test_config import SMALL


@pytest.mark.parametrize("command", ["run", "gate"])
def test_shap_values_want_their_package(tmp_path, monkeypatch, command):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = tmp_path / "mood.yaml"
    config.write_text(json.dumps({**SMALL, "evaluation": {**SMALL["evaluation"], "attention": {"shap_rows": 5}}}))
    table = ["--data", str(tmp_path / "rows.csv")]
    rest = [str(config), "-w", str(tmp_path / "w"), "--json"] if command == "run" else ["model", str(config), *table]
    done = CliRunner().invoke(main, [command, *rest])
    assert done.exit_code == 2
    assert (
        "`evaluation.attention.shap_rows` needs a package that is not here: pip install 'attention-pipeline[shap]'."
    ) in done.output
