"""What a worker does with one unit of a table: read, check, ask the model, write, and count."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf
from pydantic import BaseModel, ConfigDict

from components.example_gen.check import Checked, check
from components.example_gen.errors import InputDataError
from components.example_gen.ingest import Report, add_bad_row
from components.example_gen.options import ExampleGenOptions
from components.example_gen.readers.batch import Batch
from components.example_gen.units import Unit, read_unit
from components.example_gen.write import QuarantineWriter

PREDICTED = "predicted"
_ROWS_AT_ONCE = 64


class Task(BaseModel):
    """What is asked of every unit.

    Attributes:
        model_dir: of a SavedModel with the signatures `serving_default` and `explain`.
        explain: whether the attention is wanted.
        format: of the parts.
        options: how the table is read; without labels.
        output_dir: of the parts.
    """

    model_config = ConfigDict(frozen=True)

    model_dir: str
    explain: bool
    format: str
    options: ExampleGenOptions
    output_dir: str


def part_path(task: Task, index: int) -> str:
    """The predictions of one unit."""
    return os.path.join(task.output_dir, f"part-{index:05d}.{task.format}")


def quarantine_path(task: Task, index: int) -> str:
    """Its rows that cannot be used."""
    return os.path.join(task.output_dir, f"quarantine-{index:05d}.jsonl")


def report_path(task: Task, index: int) -> str:
    """Its counts; they are written last, so that a part with a report is whole."""
    return os.path.join(task.output_dir, "_reports", f"part-{index:05d}.json")


class PredictDoFn(beam.DoFn):
    """Turns a unit into a part, quarantined rows and a report. A unit that has its report already is left alone."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._signature: Any = None

    def setup(self) -> None:
        import tensorflow_text  # noqa: F401  # its ops are in the graph

        self._model = tf.saved_model.load(self._task.model_dir)  # a signature alone does not hold it
        self._signature = self._model.signatures["explain" if self._task.explain else "serving_default"]

    def process(self, element: tuple[int, Unit]) -> None:
        index, unit = element
        if os.path.exists(report_path(self._task, index)):
            return
        report = predict_unit(index, unit, self._task, self._signature)
        partial = report_path(self._task, index) + ".partial"
        with open(partial, "w", encoding="utf-8") as file:
            file.write(report.model_dump_json())
        os.replace(partial, report_path(self._task, index))


def predict_unit(index: int, unit: Unit, task: Task, signature: Any) -> Report:
    """Reads a unit to its end with memory for one batch."""
    report = Report()
    quarantine = QuarantineWriter(quarantine_path(task, index), unit.name)
    partial = f"{part_path(task, index)}.partial"
    try:
        with open(partial, "wb") as stream, _PartWriter(stream, task.format) as writer:
            for batch in read_unit(unit, task.options.used_columns()):
                checked = check(batch, task.options)
                report.rows_read += checked.num_rows + len(checked.bad)
                report.rows_by_split[PREDICTED] += checked.num_rows
                for bad in checked.bad:
                    quarantine.write(bad)
                    add_bad_row(report, unit.name, bad)
                if checked.num_rows:
                    writer.write(_answers(unit, batch, checked, task, signature))
        os.replace(partial, part_path(task, index))
    except InputDataError as error:
        report.error = str(error)
    finally:
        quarantine.close()
    return report


def _answers(unit: Unit, batch: Batch, checked: Checked, task: Task, signature: Any) -> list[dict[str, Any]]:
    """One dict a row, in the order of the file: where it came from, its passthrough features, and the answer."""
    refused = {bad.row for bad in checked.bad}
    numbers = [int(row) for row in batch.rows if int(row) not in refused]
    kept = {column.name: checked.features[column.name].to_pylist() for column in task.options.of_type("passthrough")}
    answers: list[dict[str, Any]] = [{} for _ in numbers]
    for rows, outputs in _ask(checked.features, task.options, signature):
        for place, row in enumerate(rows):
            answers[row] = _answer(outputs, place)
    return [
        {"file": unit.name, "row": number, **{name: values[at] for name, values in kept.items()}, **answers[at]}
        for at, number in enumerate(numbers)
    ]


def _ask(
    features: Mapping[str, pa.Array], options: ExampleGenOptions, signature: Any
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Asks the model about rows of similar length together, for each batch is padded to its longest row.

    Yields:
        places of the rows, int `(rows,)`, and what the signature answers.
    """
    wanted = signature.structured_input_signature[1]
    columns = {name: _column(features[name]) for name in wanted}
    lengths = np.zeros(len(next(iter(features.values()))), np.int64)
    for column in options.of_type("text"):
        lengths += pc.fill_null(pc.utf8_length(features[column.name]), 0).to_numpy(zero_copy_only=False)
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), _ROWS_AT_ONCE):
        rows = order[start : start + _ROWS_AT_ONCE]
        outputs = signature(**{name: tf.constant(values[rows]) for name, values in columns.items()})
        yield rows, {name: tensor.numpy() for name, tensor in outputs.items()}


def _column(values: pa.Array) -> np.ndarray:
    """Dense, as the signatures want it: a missing number is NaN, a missing text empty."""
    if pa.types.is_floating(values.type):
        return values.fill_null(np.nan).to_numpy(zero_copy_only=False).astype(np.float32)
    return np.array([(value or "").encode() for value in values.to_pylist()], object)


def _answer(outputs: Mapping[str, np.ndarray], place: int) -> dict[str, Any]:
    """One row of a signature's outputs: names beside their numbers, nothing of the padding."""
    row = {name: values[place] for name, values in outputs.items()}
    answer: dict[str, Any] = {}
    for name, value in row.items():
        if name.endswith("probabilities"):
            classes = row[name.removesuffix("probabilities") + "classes"]
            answer[name] = {each.decode(): float(number) for each, number in zip(classes, value, strict=True)}
        elif name.endswith("label"):
            answer[name] = value.decode()
        elif name.endswith("value"):
            answer[name] = float(value)
    if "attention" in row:
        real = row["token_features"] != b""
        parts = (row["tokens"][real], row["token_features"][real], row["attention"][real])
        answer["attention"] = [
            {"token": token.decode(), "feature": feature.decode(), "weight": float(weight)}
            for token, feature, weight in zip(*parts, strict=True)
        ]
    return answer


class _PartWriter(contextlib.AbstractContextManager):
    """Writes rows as JSON Lines, or as a Parquet table with the columns of its first rows."""

    def __init__(self, stream: IO[bytes], format: str) -> None:
        self._stream, self._format = stream, format
        self._parquet: pq.ParquetWriter | None = None

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        if self._format == "jsonl":
            self._stream.writelines(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
            return
        table = pa.Table.from_pylist(list(rows), None if self._parquet is None else self._parquet.schema)
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(self._stream, table.schema)
        self._parquet.write_table(table)

    def __exit__(self, *error: object) -> None:
        if self._parquet is not None:
            self._parquet.close()
