"""How often the gates stop a run that nothing is wrong with: rows of one table drawn anew, again and again.

    python -m benchmarks.false_alarms                       # 20 rounds of 4,000 rows of the demo table, 3 models
    python -m benchmarks.false_alarms --rounds 5 --rows 2000 --set train.epochs=1
    python -m benchmarks.false_alarms --models 0            # the gates on data alone: nothing is trained

The table is cut into parts that share no row. Of each but the last a model is trained by the whole pipeline and pushed.
A round draws rows of the last part, deals them out to splits, and puts them through all data gates against what one
version was trained on, and that version and another, as if it were the candidate, through all model gates on the test
split. Whatever blocks is a false alarm. Without models, drift is from the first rows drawn. A candidate's process is
started and its requests are replayed in its first round; its other rounds go on in that process.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import tensorflow as tf
import tensorflow_data_validation as tfdv
from rich.console import Console
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME as ANOMALIES_FILE
from tfx.types import artifact_utils, standard_artifacts
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from components.artifacts import DataBlessing
from components.data_gate import executor as data_gate
from components.example_gen.ingest import ingest, split_uri
from components.example_gen.plan import plan_file
from components.gates import Gate, read_gates
from components.pusher.versions import RELEASE_DIR, STATISTICS_FILE, TEXT_PROFILE_FILE
from components.release_gate.fresh_process import RESULT_FILE, FreshProcess, fresh_process
from components.release_gate.model_gates import Candidate, judge
from components.release_gate.slice_quality import slice_gates
from components.schema_gen.schema import make_schema
from pipeline import assets, gate_trial, presets
from pipeline.config import PipelineConfig, load
from pipeline.evaluation import release_gate_options
from pipeline.runs import run_and_tell
from pipeline.workspace import Workspace

FEW_ROWS = tuple(
    f"evaluation.gates.{name}.min={least}" for name, least in (("accuracy", 0.75), ("auc", 0.75), ("recall/0", 0.1))
)
"""The preset's least values are those of a model of all 18,000 rows of train."""
SPLITS = (("train", 8), ("eval", 1), ("test", 1))


class Round(NamedTuple):
    gates: list[Gate]
    data_seconds: float
    model_seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Counts the rounds on clean data that a gate stops.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=4000, help="Of each round, and for each model.")
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="PATH=VALUE")
    arguments = parser.parse_args()
    config = load(presets.path("reviews"), [*FEW_ROWS, *arguments.settings])
    table = pa.parquet.read_table(assets.fetch("reviews"))
    order = np.random.default_rng(0).permutation(table.num_rows)
    with tempfile.TemporaryDirectory(prefix="attention-") as temporary:
        folder = Path(temporary)
        versions = []
        for number in range(arguments.models):
            part = table.take(order[number * arguments.rows : (number + 1) * arguments.rows])
            versions.append(trained(config, part, folder / f"model{number}"))
        if not versions:
            versions = [recorded(config, table.take(order[: arguments.rows]), folder / "live")]
        rest = order[max(arguments.models, 1) * arguments.rows :]
        rounds = []
        for place, numbers in enumerate(np.array_split(np.arange(arguments.rounds), len(versions))):
            live, candidate = versions[place], versions[(place + 1) % len(versions)]
            with asked_first(config, candidate, folder) if arguments.models else nullcontext() as asked:
                for number in numbers:
                    drawn = np.random.default_rng(number).choice(rest, arguments.rows, replace=False)
                    rounds.append(one_round(config, table.take(drawn), live, asked, folder / f"round{number}"))
                    show(rounds)


class Asked(NamedTuple):
    """A candidate and the process that holds it."""

    candidate: Path
    process: FreshProcess
    replayed: Path


@contextmanager
def asked_first(config: PipelineConfig, candidate: Path, folder: Path) -> Iterator[Asked]:
    """Starts the process of a candidate."""
    seconds = release_gate_options(config.evaluation, config.model_spec("")).timeout_seconds
    replayed = folder / RESULT_FILE
    with fresh_process(candidate, replayed, seconds) as process:
        process.wait_for(replayed)
        yield Asked(candidate, process, replayed)


def trained(config: PipelineConfig, table: pa.Table, folder: Path) -> Path:
    """A version that the whole pipeline makes of a table; what its own gates say does not count."""
    config = with_table(config, table, folder)
    gates = {name: each.model_copy(update={"severity": "warn"}) for name, each in config.evaluation.gates.items()}
    limits = config.evaluation.model_copy(update={"gates": gates})
    workspace = Workspace(folder / "workspace")
    result = run_and_tell(config.model_copy(update={"evaluation": limits}), workspace)
    if result["verdict"] != "pushed":
        raise SystemExit(f"No model was pushed: {result['verdict']}: {result['why']}.")
    return workspace.serving(config.name) / "1"


def recorded(config: PipelineConfig, table: pa.Table, folder: Path) -> Path:
    """What a version remembers of its data, without a model."""
    config = with_table(config, table, folder)
    statistics = {split: statistics_of(paths) for split, paths in write_splits(config, folder / "examples").items()}
    version = folder / "serving" / "1"
    data_gates(config, folder, statistics, version, live_version=0)
    release = version / RELEASE_DIR
    shutil.copytree(folder / "statistics", release / "statistics")
    shutil.copy(folder / "blessing" / TEXT_PROFILE_FILE, release)
    return version


def with_table(config: PipelineConfig, table: pa.Table, folder: Path) -> PipelineConfig:
    """The config with a table of its own."""
    folder.mkdir(parents=True)
    pa.parquet.write_table(table, folder / "rows.parquet")
    data = config.data.model_copy(update={"input": str(folder / "rows.parquet")})
    return config.model_copy(update={"data": data})


def one_round(config: PipelineConfig, table: pa.Table, live: Path, asked: Asked | None, folder: Path) -> Round:
    """All gates on rows that nothing is wrong with."""
    config = with_table(config, table, folder)
    files = write_splits(config, folder / "examples")
    statistics = {split: statistics_of(paths) for split, paths in files.items()}
    began = time.monotonic()
    gates = data_gates(config, folder, statistics, live)
    data_seconds = time.monotonic() - began
    if asked is None:
        return Round(gates, data_seconds, 0.0)
    shutil.copy(asked.replayed, folder)
    candidate = Candidate(asked.candidate, live, 1, files["test"], train_files=tuple(files["train"]))
    options = release_gate_options(config.evaluation, config.model_spec(""))
    verdict = judge(candidate, None, folder, options, asked.process)
    gates += [*gate_trial.metric_gates(config.evaluation.gates, verdict, compared=True), *verdict.gates]
    gates += slice_gates(
        verdict.by_slice, verdict.live, verdict.spread, verdict.noise, options.slice_limits, "version 1"
    )
    return Round(gates, data_seconds, time.monotonic() - began - data_seconds)


def write_splits(config: PipelineConfig, folder: Path) -> dict[str, list[str]]:
    """The table as ExampleGen writes it: split → gzipped TFRecords of tf.Example."""
    options = config.example_gen_options(str(folder / "quarantine"))
    table = Path(str(config.data.input))
    for split, _ in SPLITS:
        Path(split_uri(str(folder), split)).mkdir(parents=True)
    units = plan_file(str(table), table.name, options.used_columns(), format=options.format, encoding=options.encoding,
                      delimiter=options.delimiter, splits=SPLITS)  # fmt: skip
    for index, unit in enumerate(units):
        report = ingest(index, unit, options, str(folder))
        if report.error:
            raise SystemExit(report.error)
    return {split: sorted(map(str, Path(split_uri(str(folder), split)).iterdir())) for split, _ in SPLITS}


def statistics_of(files: list[str]) -> statistics_pb2.DatasetFeatureStatisticsList:
    """What StatisticsGen finds, without Beam."""
    records = list(tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator())
    batch = ExamplesToRecordBatchDecoder().DecodeBatch(records)
    return stats_impl.generate_statistics_in_memory(batch, tfdv.StatsOptions())


def data_gates(config: PipelineConfig, folder: Path, statistics, live: Path, live_version: int = 1) -> list[Gate]:
    """DataGate's executor on artifacts of this round."""
    spec = config.model_spec("")
    features = {name: each.model_dump(mode="json") for name, each in config.features.items()}
    schema = make_schema(statistics["train"], features, spec.label_types, config.validation)
    made = {
        "examples": standard_artifacts.Examples(),
        "statistics": standard_artifacts.ExampleStatistics(),
        "schema": standard_artifacts.Schema(),
        "anomalies": standard_artifacts.ExampleAnomalies(),
    }
    for name, artifact in made.items():
        artifact.uri = str(folder / name)
        if name != "schema":
            artifact.split_names = artifact_utils.encode_split_names(list(statistics))
    for split, found in statistics.items():
        anomalies = tfdv.validate_statistics(found, schema)
        for name, file, proto in (("statistics", STATISTICS_FILE, found), ("anomalies", ANOMALIES_FILE, anomalies)):
            path = Path(made[name].uri, f"Split-{split}", file)
            path.parent.mkdir(parents=True)
            path.write_bytes(proto.SerializeToString())
    Path(made["schema"].uri).mkdir()
    tfdv.write_schema_text(schema, str(Path(made["schema"].uri, "schema.pbtxt")))
    blessing = DataBlessing()
    blessing.uri = str(folder / "blessing")
    properties = {
        "labels": json.dumps(spec.label_types),
        "features": json.dumps({name: each.type for name, each in spec.inputs.items()}),
        "serving_dir": str(live.parent),
        "live_version": live_version,
        "max_bad_ratio": config.data.max_bad_ratio,
        "options": config.validation.model_dump_json(),
    }
    data_gate.Executor().Do({name: [each] for name, each in made.items()}, {"blessing": [blessing]}, properties)
    return read_gates(blessing.uri)


def show(rounds: list[Round]) -> None:
    """Tells what was found so far."""
    console = Console(highlight=False, soft_wrap=True)
    stopped = [each for each in rounds if any(gate.blocks for gate in each.gates)]
    data, model = (np.median([getattr(each, name) for each in rounds]) for name in ("data_seconds", "model_seconds"))
    console.print(
        f"{len(stopped)} of {len(rounds)} rounds stopped; {len(rounds[-1].gates)} gates, median {data:.1f} s for those "
        f"on data and {model:.1f} s for those on the model"
    )
    for word, chosen in (("blocked", True), ("warned", False)):
        failed = [gate for each in rounds for gate in each.gates if not gate.passed]
        names = Counter(gate.name for gate in failed if gate.blocks == chosen)
        for name, number in names.most_common():
            console.print(f"  {word} {number}×: {name}")
    for gate in rounds[-1].gates:
        if gate.blocks:
            console.print(f"    {gate.name}: {gate.why}")


if __name__ == "__main__":
    main()
