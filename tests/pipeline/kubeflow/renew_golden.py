"""Writes the golden file anew: `python -m tests.pipeline.kubeflow.renew_golden`, then read the difference."""

from pathlib import Path

from pipeline.config import parse
from pipeline.kubeflow.compiler import compile_pipeline
from pipeline.workspace import Workspace
from tests.pipeline.kubeflow.conftest import CONFIG
from tests.pipeline.kubeflow.test_compiler import GOLDEN

if __name__ == "__main__":
    GOLDEN.write_text(compile_pipeline(parse(CONFIG), Workspace(Path("/workspace"))).yaml, encoding="utf-8")
