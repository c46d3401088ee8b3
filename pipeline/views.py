"""Tables over ML Metadata for a person, JSON for a script."""

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from pipeline.config import ConfigError, PipelineConfig
from pipeline.history import History, HistoryError, Run, connection_config, property_of
from pipeline.workspace import Workspace

COLOURS = {"pushed": "green", "unchanged": "cyan", "blocked": "red", "failed": "red"}


def open_history(config: PipelineConfig, workspace: Workspace) -> History:
    """Opens the pipeline's history, without making one.

    Raises:
        ConfigError: nothing ran in this workspace yet.
    """
    if config.metadata.type == "sqlite" and not workspace.metadata.exists():
        raise ConfigError(f"Nothing ran yet in {workspace.root}.")
    return History(connection_config(config.metadata, workspace.metadata), config.name)


def runs(config: PipelineConfig, workspace: Workspace, limit: int, as_json: bool) -> None:
    """Prints the newest runs."""
    listed = open_history(config, workspace).runs(limit)
    if as_json:
        for run in listed:
            print(json.dumps(run.as_json(), ensure_ascii=False))
        return
    table = Table(
        Column("run", no_wrap=True), "verdict", "version", "rows used", "accuracy", "seconds", "why", box=None
    )
    for run in listed:
        table.add_row(*_cells(run))
    Console().print(table)


def _cells(run: Run) -> list[str]:
    metrics = run.metrics
    colour = COLOURS.get(run.verdict, "yellow")
    return [
        run.run_id,
        f"[{colour}]{run.verdict}[/]",
        str(run.version or ""),
        f"{run.rows['used']:,}",
        f"{metrics['accuracy']:.4f}" if "accuracy" in metrics else "",
        f"{sum(step.seconds for step in run.steps.values()):.0f}",
        escape(run.why),
    ]


def show(config: PipelineConfig, workspace: Workspace, run_id: str, as_json: bool) -> None:
    """Prints one run whole."""
    run = found(open_history(config, workspace).run, run_id)
    if as_json:
        print(json.dumps(run.as_json(), ensure_ascii=False))
        return
    console = Console(highlight=False)
    colour = COLOURS.get(run.verdict, "yellow")
    console.print(f"[bold]{run.run_id}[/]: [{colour}]{run.verdict}[/] {escape(run.why)}")
    console.print(f"config: {escape(run.config_uri)}", soft_wrap=True)
    rows = run.rows
    console.print(f"rows: read {rows['read']:,}, used {rows['used']:,}, quarantined {rows['quarantined']:,}")
    steps = Table("step", "state", "seconds", "error", box=None)
    for step in run.steps.values():
        steps.add_row(step.node, step.state, f"{step.seconds:.1f}", escape(step.error))
    console.print(steps)
    if run.metrics:
        metrics = Table("metric (test split)", "value", box=None)
        for name, value in run.metrics.items():
            metrics.add_row(escape(name), f"{value:.4f}")
        console.print(metrics)
    for gate in run.gates:
        mark = "[green]✓[/]" if gate.passed else "[red]✗[/]" if gate.blocks else "[yellow]![/]"
        console.print(f"{mark} {escape(gate.name)}: {escape(gate.why)}", soft_wrap=True)
        if gate.overruled:
            console.print(f"  [yellow]overruled[/]: {escape(gate.overruled)}", soft_wrap=True)
        for row in gate.rows if not gate.passed else []:
            console.print(f"  [dim]e.g. {escape(row)}[/]", soft_wrap=True)


def lineage(config: PipelineConfig, workspace: Workspace, version: int, as_json: bool) -> None:
    """Prints what a version was made of."""
    parts = found(open_history(config, workspace).lineage, version)
    records = [
        {"artifact": artifact.type, "id": artifact.id, "uri": artifact.uri, "made_by": node, "run": run_id}
        | ({"source_files": _sources(artifact)} if artifact.type == "Examples" else {})
        for artifact, node, run_id in parts
    ]
    if as_json:
        print(json.dumps(records, ensure_ascii=False))
        return
    console = Console(highlight=False)
    for record in records:
        made = f"{record['artifact']:<18} {record['made_by']:<14} {record['run']}"
        console.print(f"{made}  {escape(record['uri'])}", soft_wrap=True)
    for artifact, _, _ in parts:
        if artifact.type == "Examples":
            for path in _sources(artifact):
                console.print(f"source: {escape(path)}", soft_wrap=True)
            console.print(f"fingerprint: {escape(property_of(artifact, 'input_fingerprint') or '')}", soft_wrap=True)


def _sources(examples: Any) -> list[str]:
    return json.loads(property_of(examples, "source_files") or "[]")


def found(ask: Any, key: Any) -> Any:
    try:
        return ask(key)
    except HistoryError as error:
        raise ConfigError(str(error)) from None
