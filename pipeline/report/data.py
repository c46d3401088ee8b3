"""Counts of rows, quarantine, and how the labels are spread over the splits."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.pusher.versions import STATISTICS_FILE
from models.spec import LABEL_TYPES, AnyHead
from pipeline.history import Run, property_of
from pipeline.report.facts import DataFact, SplitFact
from pipeline.report.sources import hashes

NUMBERS = ("min", "mean", "median", "max", "std_dev")


def data_fact(run: Run, heads: Mapping[str, AnyHead]) -> DataFact | None:
    """What ExampleGen counted and StatisticsGen found of the labels; None if nothing was read."""
    step = run.steps.get("ExampleGen")
    examples = step.output("examples") if step else None
    if examples is None or property_of(examples, "rows_read") is None:
        return None
    read, used, quarantined = (
        int(property_of(examples, f"rows_{name}") or 0) for name in ("read", "used", "quarantined")
    )
    files, fingerprint = _json(examples, "source_files", []), str(property_of(examples, "input_fingerprint") or "")
    return DataFact(
        source_files=files,
        source_sha256=hashes(files, fingerprint),
        fingerprint=fingerprint,
        rows_read=read,
        rows_used=used,
        rows_quarantined=quarantined,
        rows_replayed=int(property_of(examples, "rows_replayed") or 0),
        rows_passed_over=int(property_of(examples, "rows_passed_over") or 0),
        quarantined_by_reason=_json(examples, "quarantined_by_reason", {}),
        first_quarantined=_json(examples, "first_quarantined", []),
        quarantine_file=str(property_of(examples, "quarantine_file") or ""),
        splits=[
            _split(name, rows, _statistics(run, name), heads)
            for name, rows in _json(examples, "rows_by_split", {}).items()
        ],
    )


def _json(artifact: Any, name: str, default: Any) -> Any:
    text = property_of(artifact, name)
    return json.loads(text) if text else default


def _statistics(run: Run, split: str) -> dict[str, Any]:
    """Feature → its statistics; empty where StatisticsGen did not come to an end."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    step = run.steps.get("StatisticsGen")
    artifact = step.output("statistics") if step else None
    path = Path(artifact.uri, f"Split-{split}", STATISTICS_FILE) if artifact is not None else None
    if path is None or not path.exists():
        return {}
    found = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes())
    return {each.path.step[0]: each for each in found.datasets[0].features}


def _split(name: str, rows: int, statistics: Mapping[str, Any], heads: Mapping[str, AnyHead]) -> SplitFact:
    from components.schema_gen.schema import value_counts

    classes, numbers = {}, {}
    for head, options in heads.items():
        if head not in statistics:
            continue
        if LABEL_TYPES[options.type] == "number":
            of_label = statistics[head].num_stats
            numbers[head] = {part: float(getattr(of_label, part)) for part in NUMBERS}
        else:
            classes[head] = value_counts(statistics[head]) or {}
    return SplitFact(name=name, rows=rows, classes=classes, numbers=numbers)
