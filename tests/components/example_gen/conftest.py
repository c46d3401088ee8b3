"""A small table's options, and one way to run ExampleGen on real files."""

import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.example_gen.options import ExampleGenOptions

LABELS = ({"name": "label", "column": "Liked"},)
REVIEW_COLUMNS = (
    {"name": "review_text", "column": "Review Text", "type": "text"},
    {"name": "age", "column": "Age", "type": "number"},
    {"name": "shop", "column": "Shop", "type": "category"},
)

IN_MEMORY = ["--runner=DirectRunner", "--direct_running_mode=in_memory", "--sdk_container_image=unused"]
"""Beam arguments; the image keeps TFX from packing itself for remote workers, a second for each node."""


@dataclass
class Outcome:
    """What an ExampleGen run left behind."""

    artifact: Any
    quarantine_dir: Path

    def rows_by_split(self) -> dict[str, int]:
        return json.loads(self.artifact.get_string_custom_property("rows_by_split"))

    def reasons(self) -> dict[str, int]:
        return json.loads(self.artifact.get_string_custom_property("quarantined_by_reason"))

    def rows(self, split: str) -> list[dict[str, Any]]:
        """The examples of a split as plain values."""
        import tensorflow as tf

        rows = []
        for path in sorted(Path(self.artifact.uri, f"Split-{split}").iterdir()):
            for record in tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator():
                features = tf.train.Example.FromString(record).features.feature
                rows.append({key: _value(feature) for key, feature in features.items()})
        return rows

    def all_rows(self) -> list[dict[str, Any]]:
        return [row for split in self.rows_by_split() for row in self.rows(split)]

    def quarantined(self) -> list[dict[str, Any]]:
        paths = sorted(self.quarantine_dir.glob("*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def _value(feature: Any) -> str | float:
    if feature.HasField("bytes_list"):
        (value,) = feature.bytes_list.value
        return value.decode()
    (number,) = feature.float_list.value
    return number


@pytest.fixture
def make_options(tmp_path: Path) -> Callable[..., ExampleGenOptions]:
    def make(**changes: Any) -> ExampleGenOptions:
        values = {"columns": REVIEW_COLUMNS, "labels": LABELS, "quarantine_dir": str(tmp_path / "quarantine")}
        return ExampleGenOptions.model_validate({**values, **changes})

    return make


@pytest.fixture
def run_example_gen(tmp_path: Path, make_options: Callable[..., ExampleGenOptions]) -> Callable[..., Outcome]:
    """Runs `Executor.Do` on the exec properties of a real component."""
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts

    from components.example_gen.component import ExampleGen
    from components.example_gen.executor import Executor
    from components.example_gen.inputs import resolve_inputs

    runs = 0

    def run(data: Any, beam_arguments: list[str] = IN_MEMORY, inputs: Any = None, **changes: Any) -> Outcome:
        nonlocal runs
        runs += 1
        if isinstance(data, dict):
            data = {
                split: list(map(str, path)) if isinstance(path, list) else str(path) for split, path in data.items()
            }
        else:
            data = str(data)
        options = make_options(**changes)
        node = ExampleGen(*(inputs or resolve_inputs(data)), options)
        examples = standard_artifacts.Examples()
        examples.uri = str(tmp_path / f"examples-{runs}")
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=beam_arguments,
            tmp_dir=str(tmp_path / "beam"),
            unique_id=str(runs),
        )
        Executor(context).Do({}, {"examples": [examples]}, node.exec_properties)
        return Outcome(examples, Path(options.quarantine_dir))

    return run


@pytest.fixture
def write_reviews(tmp_path: Path) -> Callable[..., Path]:
    """Writes a sound CSV of reviews, every text its own; `.gz` in the name compresses."""

    def write(name: str = "reviews.csv", num_rows: int = 200, start: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with (gzip.open if name.endswith(".gz") else open)(path, "wt", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["Id", "Review Text", "Age", "Shop", "Liked"])
            for row in range(start, start + num_rows):
                writer.writerow([row, f"review number {row}", 20 + row % 50, "north" if row % 3 else "", row % 2])
        return path

    return write
