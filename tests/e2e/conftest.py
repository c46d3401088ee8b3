"""A small table of real reviews, and ways to run the `attention` command on it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import yaml

from pipeline import assets, presets
from pipeline.config import read_yaml

ROWS = 3000
FEW_QUESTIONS = {"rows": 100, "robustness": {"rows": 30}, "attention": {"rows": 20}, "cost": {"requests": 5}}
"""What the ReleaseGate asks, where a test is about something else."""


@dataclass
class Done:
    """An ended command."""

    code: int
    out: str
    err: str

    @property
    def result(self):
        """The one line of JSON that standard output holds."""
        (line,) = self.out.splitlines()
        return json.loads(line)


def command(*arguments):
    return [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]


def attention_process(*arguments, **options):
    """Starts the command in a process of its own."""
    return subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.fixture
def attention(capfd):
    """Runs the command inside this process, which has TensorFlow loaded already."""
    from pipeline.cli import main

    def run(*arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main.main([str(argument) for argument in arguments], prog_name="attention")
        out, err = capfd.readouterr()
        return Done(caught.value.code or 0, out, err)

    return run


@pytest.fixture(scope="session")
def reviews():
    """3,000 rows of the demo table."""
    table = pa.parquet.read_table(assets.fetch("reviews"))
    keep = [name for name in table.column_names if not name.startswith("__") and name != "Rating"]
    return table.select(keep).slice(0, ROWS)


def write_csv(table, path):
    pa.csv.write_csv(table, path)
    return path


@pytest.fixture(scope="session")
def small_config(reviews, tmp_path_factory):
    """The preset, on the small table and with a small model."""
    folder = tmp_path_factory.mktemp("config")
    raw = read_yaml(presets.path("reviews"))
    raw["data"] |= {"input": str(write_csv(reviews, folder / "reviews.csv"))}
    raw["text"] = {"vocabulary_size": 1000}
    raw["train"] = {"epochs": 2}
    raw["evaluation"]["gates"] = {"accuracy": {"min": 0.5, "max_drop": 0.05}, "recall/0": {"min": 0.0}}
    raw["evaluation"] |= FEW_QUESTIONS
    return write_config(raw, folder / "reviews.yaml")


def write_config(raw, path):
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


def versions(workspace, name="reviews"):
    base = Path(workspace, "serving", name)
    return sorted(int(each) for each in os.listdir(base) if each.isdigit()) if base.exists() else []
