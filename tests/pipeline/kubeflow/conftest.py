"""A config for a cluster, whose table lies on a volume that this machine does not have."""

from pathlib import Path

import pytest

from pipeline.config import override, parse
from pipeline.workspace import Workspace

CONFIG = {
    "name": "mood_of_day",
    "data": {"input": "/data/mood.csv", "label": "mood"},
    "features": {"review": "text", "shop": "category"},
    "evaluation": {"gates": {"accuracy": {"min": 0.6, "max_drop": 0.02}}},
    "kubeflow": {
        "image": "registry.example/attention-pipeline:0.1.0",
        "pipeline_root": "s3://artifacts/mood",
        "volumes": {"attention-workspace": "/workspace", "attention-data": "/data"},
        "defaults": {"cpu": 2, "memory": "4Gi", "retries": 2},
        "steps": {
            "Trainer": {
                "image": "registry.example/attention-pipeline:0.1.0-gpu",
                "gpu": {"count": 1},
                "memory": "16Gi",
                "node_selector": {"pool": "gpu"},
                "timeout_seconds": 7200,
                "secrets": {"HF_TOKEN": "hub/token"},
            },
            "Pusher": {"retries": 0},
        },
    },
}


@pytest.fixture(scope="session")
def compile_with():
    """Function of settings and options that compiles the config."""
    from pipeline.kubeflow.compiler import compile_pipeline

    def compile_settings(*settings, **options):
        return compile_pipeline(parse(override(CONFIG, settings)), Workspace(Path("/workspace")), **options)

    return compile_settings


@pytest.fixture(scope="session")
def compiled(compile_with):
    return compile_with()
