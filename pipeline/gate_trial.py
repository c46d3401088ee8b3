"""The model gates on an exported version and a table, without a run."""

import tempfile
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from components.example_gen.ingest import ingest, split_uri
from components.example_gen.plan import plan_file
from components.gates import Gate, write_gates
from components.release_gate.model_gates import Candidate, Verdict, judge
from components.release_gate.slice_quality import slice_gates
from pipeline import extras
from pipeline.config import ConfigError, PipelineConfig
from pipeline.config_groups import MetricGate
from pipeline.evaluation import release_gate_options

TEST = "test"


def try_gates(
    config: PipelineConfig, model_dir: Path, data: Path, live: Path | None = None, out: Path | None = None
) -> list[Gate]:
    """Asks a version about the rows of a table and judges it by the config's `evaluation`.

    Args:
        config: whose features and heads the version has.
        model_dir: of its SavedModel.
        data: the table.
        live: a version to compare with.
        out: gets `gates.json`, `replay.json`, `ops.json` and `deletion.json`; default: they are not kept.

    Raises:
        ConfigError: there is no such version, no row of the table can be used, or a package is missing.
        InputDataError: the table cannot be read, or lacks a column.
    """
    extras.check(config.evaluation)
    for directory in (model_dir, live):
        if directory is not None and not (directory / "saved_model.pb").is_file():
            raise ConfigError(f"There is no exported model in {directory}: a version is a folder with saved_model.pb.")
    if not data.is_file():
        raise ConfigError(f"--data: there is no file {data}.")
    with tempfile.TemporaryDirectory(prefix="attention-") as folder:
        files = _rows(config, data, folder)
        directory = out or Path(folder)
        directory.mkdir(parents=True, exist_ok=True)
        options = release_gate_options(config.evaluation, config.model_spec(""))
        version = int(live.name) if live is not None and live.name.isdecimal() else 0
        baseline = None if live is None else f"version {live.name}"
        verdict = judge(Candidate(model_dir, live, version, files), None, directory, options)
        gates = [
            *metric_gates(config.evaluation.gates, verdict, live is not None),
            *slice_gates(verdict.by_slice, verdict.live, verdict.spread, verdict.noise, options.slice_limits, baseline),
            *verdict.gates,
        ]
        if out is not None:
            write_gates(str(out), gates)
    return gates


def show(gates: list[Gate]) -> None:
    """Prints the table of gates, and example rows under the failed ones."""
    console = Console(highlight=False, soft_wrap=True)
    width = max(len(gate.name) for gate in gates)
    console.print(f"  {'gate':<{width}} {'value':>10} {'limit':>10}  why")
    for gate in gates:
        mark = "[green]✓[/]" if gate.passed else "[red]✗[/]" if gate.blocks else "[yellow]![/]"
        value, limit = ("" if number is None else f"{number:.4g}" for number in (gate.value, gate.limit))
        console.print(f"{mark} {escape(gate.name):<{width}} {value:>10} {limit:>10}  {escape(gate.why)}")
        for row in gate.rows if not gate.passed else []:
            console.print(f"    [dim]e.g. {escape(row)}[/]")


def _rows(config: PipelineConfig, data: Path, folder: str) -> list[str]:
    """The table as gzipped TFRecords of tf.Example."""
    options = config.example_gen_options(folder)
    units = plan_file(
        str(data.absolute()),
        data.name,
        options.used_columns(),
        format=options.format,
        encoding=options.encoding,
        delimiter=options.delimiter,
        splits=((TEST, 1),),
    )
    Path(split_uri(folder, TEST)).mkdir()
    used, reasons = 0, ""
    for index, unit in enumerate(units):
        report = ingest(index, unit, options, folder)
        if report.error:
            raise ConfigError(report.error)
        used += report.rows_by_split[TEST]
        reasons = reasons or "; ".join(report.first_bad)
    if not used:
        raise ConfigError(f"No row of {data} can be used ({reasons or 'it has none'}).")
    return sorted(str(path) for path in Path(split_uri(folder, TEST)).iterdir())


def metric_gates(limits: dict[str, MetricGate], verdict: Verdict, compared: bool) -> list[Gate]:
    """The config's limits of metrics, on the rows that were asked."""
    gates = []
    for name, limit in limits.items():
        value = verdict.by_slice.get("", {}).get(name)
        for bound, at_least in ((limit.min, True), (limit.max, False)):
            if bound is None:
                continue
            asked = f"{'at least' if at_least else 'at most'} {bound:.4f} is asked for"
            if value is None:
                gates.append(
                    Gate(f"metric/{name}", False, None, bound, f"{name} was not measured; {asked}.", limit.severity)
                )
                continue
            passed = value >= bound if at_least else value <= bound
            gates.append(
                Gate(f"metric/{name}", passed, value, bound, f"{name} is {value:.4f}; {asked}.", limit.severity)
            )
        if compared and (limit.max_drop is not None or limit.max_rise is not None):
            gates.append(_change_gate(name, limit, value, verdict))
    return gates


def _change_gate(name: str, limit: MetricGate, value: float | None, verdict: Verdict) -> Gate:
    bound = -limit.max_drop if limit.max_drop is not None else limit.max_rise or 0.0
    before, noise = verdict.live.get("", {}).get(name), verdict.noise.get("", {}).get(name)
    if value is None or before is None or noise is None:
        why = f"The change of {name} was not measured."
        return Gate(f"metric/{name}/vs_live", False, None, bound, why, limit.severity)
    change = value - before
    low, high = noise.around(change)
    falls = limit.max_drop is not None
    passed = change >= bound if falls else change <= bound
    beyond_doubt = high < bound if falls else low > bound
    why = (
        f"{name} changed by {change:+.4f} against {before:.4f}; allowed is {bound:+.4f}. Of chance, "
        f"{noise.confidence:.0%} lies between {low:+.4f} and {high:+.4f} ({noise.rows:,} paired rows)."
    )
    return Gate(f"metric/{name}/vs_live", passed, change, bound, why, limit.severity if beyond_doubt else "warn")
