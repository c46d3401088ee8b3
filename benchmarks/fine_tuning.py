"""A BERT fine-tuned by the pipeline beside PyTorch with transformers' Trainer: same weights, rows, batches and epochs.

    python -m benchmarks.fine_tuning train.csv test.csv --label label --peer PEER/bin/python
    python -m benchmarks.fine_tuning train.csv test.csv --label label --peer PEER/bin/python --epochs 5 --runs 3
    python -m benchmarks.fine_tuning demo --rows 5000 --epochs 3 --max_len 128 --peer PEER/bin/python

`--peer` is the interpreter of an environment of its own that holds torch, transformers and accelerate. The peer runs
twice: once with every row padded to `--max_len`, once with the rows of a batch padded to the longest of them. It is
given the very rows of the pipeline's splits. Seconds are those of the training with one evaluation after each epoch;
all take turns, and medians and their ratios are shown, beside them the accuracy on the eval split after each epoch.
Memory is the peak of the process: of ours the whole `attention run`. Only an idle machine gives fair ratios: PyTorch's
threads wait for each other and lose more to other work.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "0"

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.quality import DEMO, SPLITS, read_rows
from models.spec import BertOptions
from pipeline import assets, config

OURS = "ours"
PADDINGS = {"max_length": "peer, padded to max_len", "longest": "peer, padded to the batch"}
"""The peer's two runs by what transformers calls their padding."""
PEER = Path(__file__).with_name("fine_tuning_peer.py")
Found = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description="A BERT fine-tuned here and by PyTorch with transformers.")
    parser.add_argument("train", help="A table, or `demo` for the demo's.")
    parser.add_argument("test", nargs="?", help="Another; default: rows of the first are dealt out.")
    parser.add_argument("--label", help="Its column.")
    parser.add_argument("--text", nargs="+", help="Columns of texts; default: the only other one.")
    parser.add_argument("--peer", help="Python of the peer's environment; default: ours alone.")
    parser.add_argument("--padding", nargs="+", choices=PADDINGS, default=list(PADDINGS), help="Of the peer.")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--max_len", type=int, default=64)
    parser.add_argument("--rows", type=int, help="Rows of the train table to use; default: all.")
    parser.add_argument("--runs", type=int, default=1, help="Medians are taken over so many.")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="PATH=VALUE")
    arguments = parser.parse_args()
    if arguments.train != DEMO and not arguments.label:
        parser.error("--label must name the column of the class; only `demo` has one of its own.")
    found: dict[str, list[Found]] = {OURS: []}
    with tempfile.TemporaryDirectory() as folder:
        raw = make_config(arguments, Path(folder))
        for run in range(arguments.runs):
            place = Path(folder) / str(run)
            settings = [*arguments.settings, f"train.seed={run}"]
            found[OURS].append(run_ours(raw, settings, place))
            for padding in arguments.padding if arguments.peer else ():
                found.setdefault(PADDINGS[padding], []).append(run_peer(arguments, raw, settings, padding, place))
            show(found)


def make_config(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The pipeline's config, as YAML would hold it; writes a shorter train table if fewer rows are wanted."""
    source, label, texts = arguments.train, arguments.label, arguments.text
    if source == DEMO:
        source, label, texts = "asset:reviews", "Recommended IND", ["Title", "Review Text"]
    train = Path(assets.resolve(source)).absolute()
    of_lines = pa_csv.ParseOptions(newlines_in_values=True)
    table = pq.read_table(train) if ".parquet" in train.suffixes else pa_csv.read_csv(train, parse_options=of_lines)
    texts = texts or [next(name for name in table.column_names if name != label)]
    if arguments.rows:
        step = max(len(table) // arguments.rows, 1)  # tables are often sorted by class
        train = folder / "train.parquet"
        pq.write_table(table.take(list(range(0, len(table), step))[: arguments.rows]), train)
    tables: Any = str(train)
    if arguments.test:
        tables = {"train": str(train), "test": str(Path(arguments.test).absolute())}
    return {
        "name": "fine_tuning",
        "data": {"input": tables, "label": label, "on_empty_text": "use"},
        "features": {
            f"text_{number}": {"type": "text", "column": text, "max_len": arguments.max_len}
            for number, text in enumerate(texts)
        },
        "model": {"encoder": "bert"},
        "train": {"epochs": arguments.epochs},
        "evaluation": {"gates": {"accuracy": {"min": 0.0}}},
    }


def run_ours(raw: dict[str, Any], settings: list[str], place: Path) -> Found:
    """`attention run` in a process of its own."""
    place.mkdir()
    file = place / "config.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    command = [sys.executable, "-m", "pipeline.cli", "run", str(file), "--workspace", str(place / "work"), "--json"]
    command += [part for setting in settings for part in ("--set", setting)]
    output, peak_mib = run_measured(command)
    result = json.loads(output.splitlines()[-1])
    (training,) = (place / "work" / "artifacts" / "Trainer" / "model_run").glob("*/training.json")
    outcome = json.loads(training.read_text())
    seconds = result["seconds"]
    return {
        "accuracy": result["metrics"]["accuracy"],
        "seconds": outcome["seconds"],
        "rows_per_second": outcome["rows_per_second"],
        "peak_mib": peak_mib,
        "overhead": sum(seconds.values()) - outcome["seconds"],
        "curve": [epoch["val_accuracy"] for epoch in outcome["curve"]],
    }


def run_peer(
    arguments: argparse.Namespace, raw: dict[str, Any], settings: list[str], padding: str, place: Path
) -> Found:
    """The peer on the rows that the pipeline dealt out."""
    resolved = config.parse(raw, settings=settings)
    if not isinstance(resolved.model, BertOptions):
        raise SystemExit("The peer has a BERT alone; leave `model.encoder` as it is.")
    texts = list(raw["features"])
    rows = {split: read_rows(place / "work" / "artifacts", split, texts)._asdict() for split in SPLITS}
    job = {
        "rows": rows,
        "preset": assets.resolve(resolved.model.preset),
        "train": resolved.train.model_dump(),
        "max_len": len(texts) * arguments.max_len,
        "padding": padding,
    }
    file = place / "job.json"
    file.write_text(json.dumps(job), encoding="utf-8")
    output, _ = run_measured([arguments.peer, str(PEER), str(file)])
    found = json.loads(output.splitlines()[-1])
    count = len(rows["train"]["labels"]) * resolved.train.epochs
    return {**found, "rows_per_second": count / found["seconds"]}


def run_measured(command: list[str]) -> tuple[str, float]:
    """Standard output and peak memory in MiB of a process."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}.")
        output.seek(0)
        return output.read(), usage.ru_maxrss / 1024


def show(found: dict[str, list[Found]]) -> None:
    table = Table("", "accuracy", "training s", "rows/s", "ours is faster by", "peak MiB", "other steps s", "on eval")
    medians = {
        name: {key: np.median([run[key] for run in runs], axis=0) for key in runs[0]} for name, runs in found.items()
    }
    for name, median in medians.items():
        table.add_row(
            name,
            f"{median['accuracy']:.4f}",
            f"{median['seconds']:.1f}",
            f"{median['rows_per_second']:.1f}",
            f"{median['seconds'] / medians[OURS]['seconds']:.2f}×",
            f"{median['peak_mib']:,.0f}",
            f"{median['overhead']:.1f}" if "overhead" in median else "",
            " ".join(f"{value:.3f}" for value in median["curve"]),
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
