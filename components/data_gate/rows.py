"""Whether there are rows enough: in every split, and of every class."""

from collections.abc import Mapping
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_gate.findings import domain
from components.data_gate.report import shorten
from components.gates import Gate, Severity
from components.schema_gen.options import ValidationOptions
from components.schema_gen.schema import value_counts

MIN_CLASSES = 2


def gates(
    statistics: Mapping[str, statistics_pb2.DatasetFeatureStatisticsList],
    schema: schema_pb2.Schema,
    labels: Mapping[str, str],
    options: ValidationOptions,
) -> list[Gate]:
    """Makes the gates `rows/<split>` and, of each label of classes, `rows/classes` and `rows/smallest_class`.

    Where there are several labels, `/<label>` comes behind.

    Args:
        statistics: split → its statistics; `train` is among them.
        schema: the labels' domains name the classes.
        labels: label name → `category`, `categories` or `number`.
        options: least numbers.
    """
    severity = options.severity.rows
    result = []
    for split, of_split in statistics.items():
        number = int(of_split.datasets[0].num_examples)
        why = f"The {split} split has {number:,} rows; it needs at least {options.min_rows:,}."
        result.append(Gate(f"rows/{split}", number >= options.min_rows, number, options.min_rows, why, severity))
    for label in (name for name, kind in labels.items() if kind != "number"):
        least = MIN_CLASSES if labels[label] == "category" else 1
        result += _class_gates(statistics["train"], schema, label, least, options, f"/{label}" * (len(labels) > 1))
    return result


def _class_gates(
    train: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    label: str,
    least: int,
    options: ValidationOptions,
    suffix: str,
) -> list[Gate]:
    severity = options.severity.rows
    counts = _class_counts(train, label)
    classes = sorted({*counts, *domain(tfdv.get_feature(schema, label), schema)})
    present = [name for name in classes if counts.get(name)]
    listed = ", ".join(f"{shorten(name, 30)} {counts.get(name, 0):,}" for name in classes[:20]) or "none"
    why = f"The train split has rows of {len(present)} of its classes ({listed}); telling apart needs {least}."
    enough = Gate(f"rows/classes{suffix}", len(present) >= least, len(present), least, why, severity)
    smallest = min(classes, key=lambda name: counts.get(name, 0), default="")
    number = counts.get(smallest, 0)
    limit = options.min_rows_per_class
    why = f"The rarest class in train is {shorten(smallest, 30)!r} with {number:,} rows; each needs at least {limit:,}."
    return [enough, Gate(f"rows/smallest_class{suffix}", number >= limit, number, limit, why, severity)]


def bad_ratio_gates(counted: Mapping[str, Any], limit: float, severity: Severity) -> list[Gate]:
    """Makes the gate `rows/bad_ratio`; none where another ExampleGen counted nothing.

    Args:
        counted: ExampleGen's counters.
        limit: greatest share of the rows read that may be in quarantine.
        severity: of the gate.
    """
    if "rows_read" not in counted or not counted["rows_read"]:
        return []
    bad, read = counted["rows_quarantined"], counted["rows_read"]
    why = f"{bad:,} of {read:,} rows ({bad / read:.2%}) cannot be used; `data.max_bad_ratio` allows {limit:.2%}."
    if bad:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in counted["quarantined_by_reason"].items())
        first = "; ".join(counted.get("first_quarantined", []))
        why += f" Reasons: {reasons}. First: {first}. All of them: {counted.get('quarantine_file', '')}"
    return [Gate("rows/bad_ratio", bad / read <= limit, bad / read, limit, why, severity)]


def _class_counts(train: statistics_pb2.DatasetFeatureStatisticsList, label: str) -> dict[str, int]:
    for each in train.datasets[0].features:
        if each.path.step[0] == label:
            return value_counts(each) or {}
    return {}
