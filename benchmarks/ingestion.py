"""Rows per second and memory of our ExampleGen beside TFX's CsvExampleGen, on one file in one run.

    python benchmarks/ingestion.py            # 1×, 10× and 100× the rows of the demo table; about ten minutes
    python benchmarks/ingestion.py --quick    # 1× once, and 10× for ours; about two minutes

Every measurement is `Executor.Do` in a fresh process, on the same CSV file and with the same Beam arguments; imports
are not counted. Line ends inside the texts are replaced by spaces, since TFX's reader stops at some of them. Both write
every column. Memory is the process's resident size, just before `Do` (imports, nearly all of it) and at its largest
during `Do`, sampled 50 times a second.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

BEAM = ["--runner=DirectRunner", "--direct_running_mode=in_memory", "--sdk_container_image=unused"]
PEERS = ("TFX CsvExampleGen", "ours")


def main() -> None:
    parser = argparse.ArgumentParser(description="Our ExampleGen beside TFX's CsvExampleGen.")
    parser.add_argument("--table", type=Path, help="Parquet file; default: the demo table.")
    parser.add_argument("--label", default="Recommended IND")
    parser.add_argument("--pairs", type=int, default=3, help="Measurements of each at 1×; the median counts.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--measure", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--csv", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.csv, arguments.label)))
        return
    # (times the table's rows, peers, measurements)
    rounds = [(1, PEERS, arguments.pairs), (10, PEERS, 1), (100, PEERS[1:], 1)]
    if arguments.quick:
        rounds = [(1, PEERS, 1), (10, PEERS[1:], 1)]
    with tempfile.TemporaryDirectory() as folder:
        found = list(run_rounds(arguments.table, arguments.label, rounds, Path(folder)))
    print_table(found)


def run_rounds(table: Path | None, label: str, rounds: Iterable[Any], folder: Path) -> Iterable[dict[str, Any]]:
    """Measures peer after peer in fresh processes, by turns, so that a busy machine slows both."""
    for times, peers, repeats in rounds:
        path = folder / f"{times}x" / "table.csv"
        rows = write_clean_csv(table, path, times)
        results: dict[str, list[dict[str, float]]] = {peer: [] for peer in peers}
        for _ in range(repeats):
            for peer in peers:
                command = [sys.executable, __file__, "--measure", peer, "--csv", str(path), "--label", label]
                output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
                results[peer].append(json.loads(output))
        for peer, measured in results.items():
            medians = {key: statistics.median(one[key] for one in measured) for key in measured[0]}
            yield {"times": times, "rows": rows, "peer": peer, "measured": len(measured), **medians}
        shutil.rmtree(path.parent)


def write_clean_csv(table: Path | None, path: Path, times: int) -> int:
    """Writes the table's rows `times` over, without line ends inside fields."""
    import pyarrow.parquet as pq

    if table is None:
        from pipeline import assets

        table = assets.fetch("reviews")
    rows = pq.read_table(table)
    rows = rows.drop_columns([name for name in rows.column_names if name.startswith("__index")])
    path.parent.mkdir()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows.column_names)
        clean = [
            ["" if value is None else " ".join(str(value).split()) for value in column.to_pylist()]
            for column in rows.columns
        ]
        for _ in range(times):
            writer.writerows(zip(*clean, strict=True))
    return rows.num_rows * times


def measure(peer: str, path: Path, label: str) -> dict[str, float]:
    """Runs one executor once in this process."""
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    from tfx.components.example_gen.csv_example_gen.component import CsvExampleGen
    from tfx.components.example_gen.csv_example_gen.executor import Executor as CsvExecutor
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts

    from components.example_gen.component import ExampleGen
    from components.example_gen.executor import Executor
    from components.example_gen.guess import guess_features
    from components.example_gen.inputs import resolve_inputs
    from components.example_gen.options import LABEL_KEY, ExampleGenOptions

    with tempfile.TemporaryDirectory() as folder:
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=BEAM, tmp_dir=f"{folder}/beam", unique_id="1"
        )
        if peer == PEERS[0]:
            node, executor = CsvExampleGen(input_base=str(path.parent)), CsvExecutor(context)
        else:
            columns = [
                {"name": guess.name, "column": guess.column, "type": guess.type.replace("skip", "passthrough")}
                for guess in guess_features(str(path), label)
            ]
            options = ExampleGenOptions.model_validate(
                {
                    "columns": columns,
                    "labels": [{"name": LABEL_KEY, "column": label}],
                    "quarantine_dir": f"{folder}/quarantine",
                }
            )
            node, executor = ExampleGen(*resolve_inputs(str(path)), options), Executor(context)
        examples = standard_artifacts.Examples()
        examples.uri = f"{folder}/examples"
        before = resident_mebibytes()
        samples = [before]
        threading.Thread(target=_sample, args=(samples,), daemon=True).start()
        start, cpu_start = time.perf_counter(), time.process_time()
        executor.Do({}, {"examples": [examples]}, node.exec_properties)
        return {
            "seconds": time.perf_counter() - start,
            "cpu_seconds": time.process_time() - cpu_start,
            "before": before,
            "peak": max(samples),
        }


def resident_mebibytes() -> float:
    """Memory that this process holds now."""
    return psutil.Process().memory_info().rss / 2**20


def _sample(samples: list[float]) -> None:
    while True:
        samples.append(resident_mebibytes())
        time.sleep(0.02)


def print_table(found: list[dict[str, Any]]) -> None:
    base = {one["times"]: one["rows"] / one["seconds"] for one in found if one["peer"] == PEERS[0]}
    heads = f"{'rows':>10}  {'':18}{'seconds':>9}{'CPU s':>8}{'rows/s':>9}{'ratio':>7}"
    print(heads + f"{'MiB before':>12}{'peak':>7}{'runs':>6}")
    for one in found:
        speed = one["rows"] / one["seconds"]
        ratio = f"{speed / base[one['times']]:.1f}" if one["times"] in base else ""
        print(
            f"{one['rows']:>10,}  {one['peer']:18}{one['seconds']:>9.2f}{one['cpu_seconds']:>8.2f}{speed:>9,.0f}"
            f"{ratio:>7}{one['before']:>12,.0f}{one['peak']:>7,.0f}{one['measured']:>6}"
        )


if __name__ == "__main__":
    main()
