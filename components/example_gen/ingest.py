"""What a worker does with one unit: read, check, split, encode, write, and count."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa
from pydantic import BaseModel
from tfx.dsl.io import fileio

from components.example_gen.check import check
from components.example_gen.errors import InputDataError
from components.example_gen.options import ExampleGenOptions, LabelOptions
from components.example_gen.readers.batch import BadRow
from components.example_gen.split import assign, choose_replayed, row_keys
from components.example_gen.units import Unit, read_unit
from components.example_gen.write import QuarantineWriter, ShardWriter, encode_examples

PARTS = "_parts"
"""Folder of an Examples artifact that holds the workers' reports and quarantined rows until they are gathered."""


class Report(BaseModel):
    """What became of a unit's rows; the reports of all units add up."""

    rows_read: int = 0
    rows_by_split: Counter[str] = Counter()
    rows_replayed: int = 0
    """Of those in train, rows of spans before the window."""
    rows_passed_over: int = 0
    """Sound rows of such spans that were not chosen."""
    bad_by_reason: Counter[str] = Counter()
    first_bad: list[str] = []
    """The first three bad rows, in words."""
    labels: dict[str, list[str]] = {}
    """Of each label up to two different values: enough to know that there is more than one."""
    error: str | None = None
    """Why the input as a whole cannot be used. Beam would turn an exception into a trace of its own."""

    def add(self, other: "Report") -> None:
        self.rows_read += other.rows_read
        self.rows_by_split.update(other.rows_by_split)
        self.rows_replayed += other.rows_replayed
        self.rows_passed_over += other.rows_passed_over
        self.bad_by_reason.update(other.bad_by_reason)
        self.first_bad = (self.first_bad + other.first_bad)[:3]
        self.add_labels(other.labels)
        self.error = self.error or other.error

    def add_labels(self, labels: Mapping[str, Iterable[str]]) -> None:
        for name, values in labels.items():
            self.labels[name] = sorted({*self.labels.get(name, []), *values})[:2]


def report_path(examples_uri: str, index: int) -> str:
    return os.path.join(examples_uri, PARTS, f"report-{index:05d}.json")


def quarantine_part(examples_uri: str, index: int) -> str:
    return os.path.join(examples_uri, PARTS, f"quarantine-{index:05d}.jsonl")


def split_uri(examples_uri: str, split: str) -> str:
    return os.path.join(examples_uri, f"Split-{split}")


class IngestDoFn(beam.DoFn):
    """Turns a unit into shards, quarantined rows and a report.

    The element is a whole unit, since passing rows or batches between Beam's steps costs more than reading them, and
    the in-memory runner would keep them all. File names depend on the unit alone: a retried bundle writes the same
    files again.
    """

    def __init__(self, options: ExampleGenOptions, examples_uri: str) -> None:
        self._options = options
        self._examples_uri = examples_uri

    def process(self, element: tuple[int, Unit]) -> None:
        index, unit = element
        report = ingest(index, unit, self._options, self._examples_uri)
        with fileio.open(report_path(self._examples_uri, index), "w") as file:
            file.write(report.model_dump_json())


def ingest(index: int, unit: Unit, options: ExampleGenOptions, examples_uri: str) -> Report:
    """Reads a unit to its end with memory for one batch."""
    report = Report()
    names = [name for name, _ in unit.splits]
    weights = [weight for _, weight in unit.splits]
    shards = [ShardWriter(split_uri(examples_uri, name), index) for name in names]
    quarantine = QuarantineWriter(quarantine_part(examples_uri, index), unit.name)
    try:
        for batch in read_unit(unit, options.used_columns()):
            checked = check(batch, options)
            report.rows_read += checked.num_rows + len(checked.bad)
            for bad in checked.bad:
                quarantine.write(bad)
                add_bad_row(report, unit.name, bad)
            if checked.num_rows:
                features = checked.features
                places = assign(row_keys(features, checked.group, options), weights, options.split_seed)
                if unit.is_replay:
                    chosen = (places == names.index("train")) & choose_replayed(features, options)
                    features = {name: values.filter(pa.array(chosen)) for name, values in features.items()}
                    places = places[chosen]
                    report.rows_replayed += len(places)
                    report.rows_passed_over += checked.num_rows - len(places)
                for place, example in zip(places.tolist(), encode_examples(features), strict=True):
                    shards[place].write(example)
                    report.rows_by_split[names[place]] += 1
                report.add_labels(
                    {
                        label.name: _some_values(features[label.name], label)
                        for label in options.labels
                        if len(report.labels.get(label.name, [])) < 2
                    }
                )
    except InputDataError as error:
        report.error = str(error)
    finally:
        quarantine.close()
        for shard in shards:
            shard.close()
    return report


def add_bad_row(report: Report, file: str, bad: BadRow) -> None:
    """Counts a row that cannot be used, and keeps the first ones in words."""
    report.bad_by_reason[bad.reason] += 1
    if len(report.first_bad) < 3:
        report.first_bad.append(_in_words(file, bad))


def _some_values(values: pa.Array, label: LabelOptions) -> list[str]:
    flat = values.flatten() if label.type == "categories" else values
    return [str(value) for value in flat.drop_null().unique()[:2].to_pylist()]


def _in_words(file: str, bad: BadRow) -> str:
    where = f"row {bad.row}" if bad.line is None else f"row {bad.row} (line {bad.line})"
    detail: dict[str, Any] = bad.detail
    return f"{where} of `{file}`: {bad.reason}" + "".join(f", {key} {value!r}" for key, value in detail.items())
