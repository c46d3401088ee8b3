"""What ingestion to Transform costs as rows grow: seconds, processor seconds and memory of each step, by workers.

    python -m benchmarks.scale                                     # 10⁴, 10⁵, 10⁶ rows, with 1 and 2 workers
    python -m benchmarks.scale --rows 10000 100000 --workers 1     # minutes

The rows are made from the demo's table: each joins the beginning of one review with the end of another, a tenth of its
words are replaced by others of the table, and one in two hundred is a word that stands nowhere else, so that the
vocabulary grows with the rows as that of real texts does. They are Parquet, which several workers can read at once.

Each measurement is `attention run`'s own runner in a fresh process, as far as Transform; imports are not counted. One
worker runs in memory, several are `beam.runner: processes`. Processor seconds are those of the process and of its
workers, and they are what a busy machine leaves comparable. Memory is the resident size of all of them together,
sampled ten times a second; within one process it seldom falls, so a step's peak holds what earlier steps kept.

Measured on 2 idle cores, seconds of the clock and MiB at the peak:

    rows              10⁴, one      10⁵, one    3·10⁵, one    3·10⁵, two      10⁶, one      10⁶, two
    ExampleGen       0.6  1,099    1.8  1,101    4.4  1,104   12.3  3,033   12.6  1,104   16.6  3,035
    StatisticsGen    3.9  1,135    4.9  1,160    8.1  1,168   15.1  3,136   19.6  1,174   22.2  3,177
    DataGate         2.4  1,280    8.6  1,466   18.9  1,502   20.4  1,522   45.0  1,546   45.1  1,579
    Transform       22.5  1,431   51.9  1,507   83.1  1,498   81.9  3,673  159.0  1,570  120.1  3,796
    all             29.5  1,431   67.1  1,507  114.7  1,502  129.8  3,673  236.4  1,570  204.1  3,796

Time grows no faster than the rows: of the last 900,000 each took 12 µs in ExampleGen, 16 in StatisticsGen, 40 in
DataGate, 119 in Transform. Memory is flat: 1,064 MiB are there before the first row, and a hundred times the rows take
139 more at the peak. StatisticsGen keeps a sketch of a text's values, and the DataGate 44 bytes of each of the first
500,000 rows of a split.

Two processes import TensorFlow in each step that Beam shares out, which costs 14 to 23 processor seconds a step, and
hold 2.2 GiB more. They lose 13 % at 57 MiB of Parquet and win 14 % at 191 (17 % without the DataGate, which is one
process): they break even near 100, and `beam.runner: auto` takes them from 150 on.

On paper, 10⁹ rows on 100 workers: 147 µs a row in the steps that Beam shares out are 41 processor hours, 25 minutes if
they are shared out evenly, and TensorFlow's imports some minutes more. First would break: (1) the table as one CSV,
which one worker reads (3 hours at 12 µs a row): many files or Parquet are needed; (2) the vocabulary of Transform,
whose counts of all words come together in one worker's memory: at these rows' 0.3 new words a row 3·10⁸ words, tens of
GB; real texts bring fewer; (3) the Trainer, which holds the token ids of all rows (about 300 bytes each). The DataGate
stays at its 500,000 rows, and says so.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROWS_PER_GROUP = 25_000
LAST_STEP = "Transform"
TEXTS = {"Title", "Review Text"}
REPLACED, NEW = 0.1, 0.005
"""Of a row's words, the shares that are replaced, and that are new to the table."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of ingestion to Transform as rows grow.")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="PATH=VALUE")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        arguments.result.write_text(json.dumps(measure(arguments.measure, arguments.workers[0], arguments.settings)))
        return
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory(prefix="scale-") as folder:
            table = Path(folder) / "table.parquet"
            write_rows(table, rows)
            for workers in arguments.workers:
                result = Path(folder) / "result.json"
                command = [sys.executable, "-m", "benchmarks.scale", "--measure", table, "--result", result]
                command += ["--workers", str(workers), *(f"--set={setting}" for setting in arguments.settings)]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                print_steps(rows, table.stat().st_size, workers, json.loads(result.read_text()))


def write_rows(path: Path, number: int) -> None:
    """Writes that many rows, always the same ones, with memory for one row group."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipeline import assets

    table = pq.read_table(assets.fetch("reviews"))
    table = table.drop_columns([name for name in table.column_names if name.startswith("__index")])
    table = table.replace_schema_metadata(None)
    words = {name: [(text or "").split() for text in table[name].to_pylist()] for name in TEXTS}
    pools = {name: np.array([word for text in texts for word in text]) for name, texts in words.items()}
    generator = np.random.default_rng(0)
    with pq.ParquetWriter(path, table.schema) as writer:
        for start in range(0, number, ROWS_PER_GROUP):
            count = min(ROWS_PER_GROUP, number - start)
            first, second = generator.integers(table.num_rows, size=(2, count))
            group = table.take(first)
            for name in TEXTS:
                pairs = zip(first.tolist(), second.tolist(), strict=True)
                joined = [_joined(words[name][one], words[name][other]) for one, other in pairs]
                texts = pa.array(_changed(joined, pools[name], start, generator), pa.string())
                group = group.set_column(group.column_names.index(name), name, texts)
            writer.write_table(group)


def _joined(first: list[str], second: list[str]) -> list[str]:
    return first[: (len(first) + 1) // 2] + second[(len(second) + 1) // 2 :]


def _changed(texts: list[list[str]], pool: Any, start: int, generator: Any) -> Iterator[str | None]:
    """Replaces words, a text at a time."""
    total = sum(map(len, texts))
    chance, others = generator.random(total).tolist(), pool[generator.integers(len(pool), size=total)].tolist()
    at = 0
    for text in texts:
        for place in range(len(text)):
            if chance[at] < NEW:
                text[place] = f"w{start + at:x}q"
            elif chance[at] < REPLACED:
                text[place] = others[at]
            at += 1
        yield " ".join(text) or None


def measure(table: Path, workers: int, settings: list[str]) -> list[dict[str, Any]]:
    """Runs the steps in this process; a list of what each cost."""
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    from pipeline import local_runner, presets
    from pipeline.config import load
    from pipeline.console import RunConsole, noise_to
    from pipeline.workspace import Workspace

    class Meter(RunConsole):
        """Notes what each step costs instead of showing it."""

        def __init__(self) -> None:
            super().__init__(io.StringIO())
            self.steps: list[dict[str, Any]] = []

        @contextmanager
        def step(self, name: str) -> Iterator[None]:
            clock, busy = time.perf_counter(), processor_seconds()
            with Sampler() as sampler:
                yield
            seconds = time.perf_counter() - clock
            cost = {"seconds": seconds, "cpu_seconds": processor_seconds() - busy}
            self.steps.append({"step": name, **cost, "before": sampler.before, "peak": sampler.peak})

    runner = ["beam.runner=direct"] if workers == 1 else ["beam.runner=processes", f"beam.workers={workers}"]
    told = ["schema", "rows", "skew", "duplicates", "label_conflicts", "leaks"]
    warn = [f"validation.severity.{gate}=warn" for gate in told]  # the rows are no real ones
    config = load(Path(presets.__path__[0]) / "reviews.yaml", [f"data.input={table}", *runner, *warn, *settings])
    meter = Meter()
    with tempfile.TemporaryDirectory(prefix="scale-", dir=table.parent) as folder:
        workspace = Workspace(Path(folder))

        def stopped() -> bool:
            return bool(meter.steps) and meter.steps[-1]["step"] == LAST_STEP

        with noise_to(table.parent / "log"):
            try:
                local_runner.run(config, workspace, meter, "scale", stopped=stopped)
            except KeyboardInterrupt:  # how a run ends that was told to stop
                return meter.steps
    raise RuntimeError(f"The run ended before {LAST_STEP}: {meter.console.file.getvalue()}")


def processor_seconds() -> float:
    """Of this process and of its workers that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Sampler:
    """Watches the resident memory of this process and its workers, in MiB."""

    def __enter__(self) -> "Sampler":
        self.before = self.peak = resident_mebibytes()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self.peak = max(self.peak, resident_mebibytes())

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()


def resident_mebibytes() -> float:
    own = psutil.Process()
    total = own.memory_info().rss
    for child in own.children(recursive=True):
        try:
            total += child.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def print_steps(rows: int, table_bytes: int, workers: int, steps: list[dict[str, Any]]) -> None:
    print(f"\n{rows:,} rows ({table_bytes / 2**20:,.0f} MiB of Parquet), {workers} worker{'s' * (workers > 1)}")
    print(f"{'':18}{'seconds':>9}{'CPU s':>9}{'µs/row':>9}{'MiB before':>12}{'peak':>8}")
    total = {key: sum(step[key] for step in steps) for key in ("seconds", "cpu_seconds")}
    everything = {"step": "all", **total, "before": steps[0]["before"], "peak": max(step["peak"] for step in steps)}
    for step in [*steps, everything]:
        each = step["cpu_seconds"] / rows * 1e6
        costs = f"{step['seconds']:>9.1f}{step['cpu_seconds']:>9.1f}{each:>9.0f}"
        print(f"{step['step']:18}{costs}{step['before']:>12,.0f}{step['peak']:>8,.0f}", flush=True)


if __name__ == "__main__":
    main()
