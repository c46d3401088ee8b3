"""Runs the ingestion as one Beam pipeline and describes the outcome in the Examples artifact."""

import dataclasses
import json
import logging
import os
from typing import Any

import apache_beam as beam
from google.protobuf import json_format, wrappers_pb2
from tfx import types
from tfx.components.example_gen import write_split
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs

from components.example_gen.errors import InputDataError
from components.example_gen.files import matching_files
from components.example_gen.gather import gather_quarantine, gather_reports, judge
from components.example_gen.ingest import PARTS, IngestDoFn, Report, split_uri
from components.example_gen.inputs import REPLAY, WHOLE, shared_folder
from components.example_gen.options import SPLITS, ExampleGenOptions, SplitRatio
from components.example_gen.plan import data_files, plan_files
from components.example_gen.units import Unit

TEST = "test"
TEST_FILE_PROPERTY = "test_file"
"""The last file that rows of the test split come from."""

_MAX_FILES_NAMED = 100

_logger = logging.getLogger("attention")


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads the files that the driver's resolved patterns match; spans and fingerprints are the driver's, as in TFX."""

    def Do(  # noqa: N802  # TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the splits of the `examples` artifact.

        Raises:
            InputDataError: the input as a whole cannot be used.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        options = read_options(exec_properties)
        units = _plan(exec_properties, options)
        splits = [name for name in SPLITS if any(name == split for unit in units for split, _ in unit.splits)]
        for split in splits:
            fileio.makedirs(split_uri(examples.uri, split))
        fileio.makedirs(os.path.join(examples.uri, PARTS))
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "CreateUnits" >> beam.Create(list(enumerate(units)))
                | "SpreadUnits" >> beam.Reshuffle()
                | "Ingest" >> beam.ParDo(IngestDoFn(options, examples.uri))
            )
        report = gather_reports(units, examples.uri)
        quarantined = gather_quarantine(units, examples.uri, options.quarantine_dir)
        quarantine_file = quarantined[0] if len(quarantined) == 1 else options.quarantine_dir if quarantined else ""
        names = list(dict.fromkeys(unit.name for unit in units))
        files = f"`{names[0]}`" if len(names) == 1 else f"The input ({len(names)} files from `{names[0]}` on)"
        judge(report, splits, options, files, quarantine_file)
        examples.split_names = artifact_utils.encode_split_names(splits)
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        file_format = write_split.to_file_format_str(example_gen_pb2.FORMAT_TFRECORDS_GZIP)
        examples_utils.set_file_format(examples, file_format)
        examples.set_int_custom_property("rows_read", report.rows_read)
        examples.set_int_custom_property("rows_used", report.rows_by_split.total())
        examples.set_int_custom_property("rows_quarantined", report.bad_by_reason.total())
        examples.set_string_custom_property(
            "quarantined_by_reason", json.dumps(dict(report.bad_by_reason.most_common()))
        )
        examples.set_string_custom_property(
            "rows_by_split", json.dumps({name: report.rows_by_split[name] for name in splits})
        )
        replay = _replay(report, exec_properties)
        for name, count in replay.items():
            examples.set_int_custom_property(name, count)
        paths = list(dict.fromkeys(unit.path for unit in units))
        examples.set_string_custom_property("source_files", json.dumps(paths[:_MAX_FILES_NAMED], ensure_ascii=False))
        newest = [unit.path for unit in units if any(split == TEST for split, _ in unit.splits)][-1:]
        examples.set_string_custom_property(TEST_FILE_PROPERTY, "".join(newest))
        examples.set_string_custom_property("quarantine_file", quarantine_file)
        examples.set_string_custom_property("first_quarantined", json.dumps(report.first_bad, ensure_ascii=False))
        _logger.info(
            "ExampleGen read %s rows: %s%s%s",
            f"{report.rows_read:,}",
            ", ".join(f"{name} {report.rows_by_split[name]:,}" for name in splits),
            f"; replay: {replay['rows_replayed']:,} rows of {replay['spans_replayed']} older spans" if replay else "",
            f"; {report.bad_by_reason.total():,} quarantined in {quarantine_file}" if quarantined else "",
        )


def pack_options(options: ExampleGenOptions) -> example_gen_pb2.CustomConfig:
    """Packs the options as TFX wants an ExampleGen's own config."""
    config = example_gen_pb2.CustomConfig()
    config.custom_config.Pack(wrappers_pb2.StringValue(value=options.model_dump_json()))
    return config


def read_options(exec_properties: dict[str, Any]) -> ExampleGenOptions:
    """Reads what `pack_options` wrote."""
    config = example_gen_pb2.CustomConfig()
    json_format.Parse(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY], config)
    text = wrappers_pb2.StringValue()
    config.custom_config.Unpack(text)
    return ExampleGenOptions.model_validate_json(text.value)


def _replay(report: Report, exec_properties: dict[str, Any]) -> dict[str, int]:
    """Custom properties that tell of rows of older spans; none where there are no such spans."""
    config = example_gen_pb2.Input()
    json_format.Parse(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], config)
    spans = sum(split.name == REPLAY for split in config.splits)
    if not spans:
        return {}
    return {
        "spans_replayed": spans,
        "rows_replayed": report.rows_replayed,
        "rows_passed_over": report.rows_passed_over,
    }


def _plan(exec_properties: dict[str, Any], options: ExampleGenOptions) -> list[Unit]:
    """Finds the files of every input split and cuts them into units."""
    base = exec_properties[standard_component_specs.INPUT_BASE_KEY]
    config = example_gen_pb2.Input()
    json_format.Parse(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], config)
    found: dict[str, list[str]] = {}
    for split in config.splits:
        pattern = os.path.join(base, split.pattern)
        # A folder that was not there when the pipeline was compiled stands for its files, too.
        paths = data_files(matching_files(pattern)) or data_files(matching_files(os.path.join(pattern, "*")))
        if not paths:
            raise InputDataError(f"No data file matches `{pattern}`.")
        of_split = found.setdefault(split.name, [])
        of_split += [path for path in paths if path not in of_split]
    everything = [path for paths in found.values() for path in paths]
    shared = shared_folder([os.path.dirname(path) for path in everything])
    units: list[Unit] = []
    for name, paths in found.items():
        weights = split_weights("train" if name == REPLAY else name, list(found), options.split)
        planned = plan_files(paths, shared, options, weights)
        units += [dataclasses.replace(unit, is_replay=name == REPLAY) for unit in planned]
    if not units:
        raise InputDataError(f"{' and '.join(f'`{path}`' for path in everything[:3])} is empty.")
    return units


def split_weights(split: str, given: list[str], ratio: SplitRatio) -> tuple[tuple[str, int], ...]:
    """The splits that an input split's rows are dealt out to: train also gives what the user has not given."""
    weights = ratio.model_dump()
    if split == WHOLE:
        return tuple(weights.items())
    if split == "train":
        return tuple((name, weight) for name, weight in weights.items() if name == "train" or name not in given)
    return ((split, 1),)
