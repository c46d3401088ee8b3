"""Adds up what the workers report, joins the quarantined rows, and judges the whole."""

import os
import shutil
from collections.abc import Sequence

from tfx.dsl.io import fileio

from components.example_gen.errors import InputDataError
from components.example_gen.ingest import PARTS, Report, quarantine_part, report_path
from components.example_gen.options import ExampleGenOptions
from components.example_gen.units import Unit


def gather_reports(units: Sequence[Unit], examples_uri: str) -> Report:
    """The sum of all units' reports, in their order."""
    total = Report()
    for index in range(len(units)):
        with fileio.open(report_path(examples_uri, index), "r") as file:
            total.add(Report.model_validate_json(file.read()))
    return total


def gather_quarantine(units: Sequence[Unit], examples_uri: str, quarantine_dir: str) -> list[str]:
    """Joins the units' parts to one JSON Lines file per input file, and removes those of an earlier run.

    Returns:
        The files that hold rows.
    """
    fileio.makedirs(quarantine_dir)
    parts: dict[str, list[str]] = {}
    for index, unit in enumerate(units):
        part = quarantine_part(examples_uri, index)
        parts.setdefault(unit.name, []).extend([part] if fileio.exists(part) else [])
    written = []
    for name, sources in parts.items():
        target = os.path.join(quarantine_dir, name.replace("/", "__") + ".jsonl")
        if not sources:
            if fileio.exists(target):
                fileio.remove(target)
            continue
        with fileio.open(target, "wb") as joined:
            for source in sources:
                with fileio.open(source, "rb") as part_file:
                    shutil.copyfileobj(part_file, joined, 1 << 20)
        written.append(target)
    fileio.rmtree(os.path.join(examples_uri, PARTS))
    return written


def judge(report: Report, splits: Sequence[str], options: ExampleGenOptions, files: str, quarantine: str) -> None:
    """Refuses an input from which no model can be trained.

    Args:
        report: the sum of all units.
        splits: names of the splits that must have rows.
        options: the user's limits.
        files: the input in words.
        quarantine: where the bad rows lie, in words.

    Raises:
        InputDataError: a file is damaged, there are no rows that can be used, one class only, or a split without rows.
    """
    if report.error is not None:
        raise InputDataError(report.error)
    if not report.rows_read:
        raise InputDataError(f"{files} has columns but no rows. At least a few rows per class are needed.")
    if report.bad_by_reason.total() == report.rows_read:
        reasons = ", ".join(f"{reason} {count}" for reason, count in report.bad_by_reason.most_common())
        raise InputDataError(
            f"None of the {report.rows_read} rows of {files} can be used. Reasons: {reasons}. "
            f"First: {'; '.join(report.first_bad)}. All of them, with their text: {quarantine}"
        )
    for label in options.labels:
        values = report.labels.get(label.name, [])
        rows = report.rows_by_split.total()
        if label.type == "categories" and not values:
            raise InputDataError(f"The label column `{label.column}` holds no class in any of the {rows} rows.")
        if label.type != "categories" and len(values) == 1:
            what, which = ("number", "two numbers") if label.type == "number" else ("class", "two classes")
            raise InputDataError(
                f"The label column `{label.column}` holds one {what} only, `{values[0]}`, in all {rows} rows. "
                f"At least {which} are needed."
            )
    empty = [name for name in splits if not report.rows_by_split[name]]
    if empty:
        raise InputDataError(
            f"No row fell to the split {' and '.join(f'`{name}`' for name in empty)}: {report.rows_by_split.total()} "
            f"rows are too few for `data.split` {dict(options.split)}"
            + (f" by `{options.split_by}`." if options.split_by else ".")
        )
