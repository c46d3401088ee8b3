"""Counts of rows, quarantine, and how labels and features are spread over the splits."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.spec import LABEL_TYPES, AnyHead
from pipeline.config import PipelineConfig
from pipeline.history import Run, property_of
from pipeline.report.distributions import distribution_facts, read_statistics
from pipeline.report.facts import DataFact, SplitFact
from pipeline.report.sources import hashes

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList as Statistics

NUMBERS = ("min", "mean", "median", "max", "std_dev")


def data_fact(run: Run, config: PipelineConfig, serving_dir: Path, live_version: int) -> DataFact | None:
    """What ExampleGen counted and StatisticsGen found; None if nothing was read."""
    step = run.steps.get("ExampleGen")
    examples = step.output("examples") if step else None
    if examples is None or property_of(examples, "rows_read") is None:
        return None
    read, used, quarantined = (
        int(property_of(examples, f"rows_{name}") or 0) for name in ("read", "used", "quarantined")
    )
    rows_by_split = _json(examples, "rows_by_split", {})
    statistics = {split: read_statistics(run, split) for split in rows_by_split}
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
        splits=[_split(name, rows, statistics[name], config.heads) for name, rows in rows_by_split.items()],
        distributions=distribution_facts(run, statistics, config, serving_dir, live_version),
    )


def _json(artifact: Any, name: str, default: Any) -> Any:
    text = property_of(artifact, name)
    return json.loads(text) if text else default


def _split(name: str, rows: int, found: "Statistics | None", heads: Mapping[str, AnyHead]) -> SplitFact:
    from components.schema_gen.schema import value_counts

    statistics = {each.path.step[0]: each for each in found.datasets[0].features} if found is not None else {}
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
