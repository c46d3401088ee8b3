"""Gathers the facts of a run from ML Metadata and the artifacts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.pusher.versions import read_release
from components.release_gate.options import DELETION_FILE, EXAMPLES_FILE, NOISE_FILE
from deploy.serving.rows import merge_pieces
from pipeline import config as configs
from pipeline.config import ConfigError, PipelineConfig
from pipeline.history import History, Run, property_of
from pipeline.report import environment, evaluation
from pipeline.report.data import data_fact
from pipeline.report.facts import (
    AnswerFact,
    DeletionFact,
    ExampleFact,
    GateFact,
    LineageFact,
    ModelFact,
    RunReport,
    SearchFact,
    StepFact,
    TrainingFact,
    WordFact,
)
from pipeline.tuning import found
from pipeline.workspace import Workspace

SHOWN_PROBABILITIES = 10


def gather(
    config: PipelineConfig, workspace: Workspace, history: History | None, run_id: str, told: Mapping[str, Any]
) -> RunReport:
    """All that is known of a run.

    Args:
        config: what counts where the run left no config of its own.
        workspace: of the run.
        history: None where the run is not in ML Metadata, for it did not come to its first step.
        run_id: of the run.
        told: `verdict`, `why` and `version` as the run told them at its end.
    """
    config = _own_config(config, workspace, run_id)
    run = history.run(run_id) if history else None
    gates = run.gates_by_step if run else {}
    flat = [gate for made in gates.values() for gate in made]
    live = _live_version(run)
    measured = _measured(run)
    overall = next((each for each in measured if not each.name), None)
    return RunReport(
        pipeline=config.name,
        run=run_id,
        started=run.started if run else None,
        verdict=told["verdict"],
        why=told["why"],
        version=told["version"],
        live_version=live or None,
        steps=[_step(step) for step in run.steps.values()] if run else [],
        data=data_fact(run, config, workspace.serving(config.name), live) if run else None,
        training=_training(run),
        search=_search(run),
        metrics=evaluation.metric_facts(
            overall, config.evaluation.gates, flat, bool(live), _judged(run, NOISE_FILE) or {}
        )
        if overall
        else [],
        heads=evaluation.head_facts(overall, config.heads) if overall else [],
        slices=evaluation.slice_facts(measured),
        gates=[
            GateFact.model_validate({**gate.as_json(), "step": step}) for step, made in gates.items() for gate in made
        ],
        examples=_examples(run),
        deletion=_deletion(run),
        model=_model(run, workspace.serving(config.name)),
        lineage=_lineage(history, run),
        config=config.model_dump(mode="json"),
        environment=environment.recorded(workspace.logs / run_id),
    )


def _own_config(config: PipelineConfig, workspace: Workspace, run_id: str) -> PipelineConfig:
    """The config that the run wrote down; the one that is given, if it wrote none or one of other times."""
    path = workspace.logs / run_id / "config.yaml"
    if not path.exists():
        return config
    try:
        return configs.load(path)
    except ConfigError:
        return config


def _artifact(run: Run | None, node: str, name: str) -> Any:
    step = run.steps.get(node) if run else None
    return step.output(name) if step else None


def _step(step: Any) -> StepFact:
    return StepFact(node=step.node, state=step.state, seconds=step.seconds, error=step.error, started=step.started)


def _live_version(run: Run | None) -> int:
    """What the model was compared with; 0 where nothing was live, for then it was the model itself."""
    baseline = _artifact(run, "BaselineModel", "baseline_model")
    return int(property_of(baseline, "version") or 0) if baseline is not None else 0


def _measured(run: Run | None) -> list[evaluation.Measured]:
    artifact = _artifact(run, "Evaluator", "evaluation")
    return evaluation.read_evaluation(artifact.uri) if _has_files(artifact) else []


def _has_files(artifact: Any) -> bool:
    """A step that failed may have left an artifact without its files."""
    path = Path(artifact.uri) if artifact is not None else None
    return path is not None and path.is_dir() and any(path.iterdir())


def _training(run: Run | None) -> TrainingFact | None:
    model_run = _artifact(run, "Trainer", "model_run")
    path = Path(model_run.uri, "training.json") if model_run is not None else None
    if path is None or not path.exists():
        return None
    known = json.loads(path.read_text(encoding="utf-8"))
    return TrainingFact.model_validate({name: known[name] for name in TrainingFact.model_fields if name in known})


def _search(run: Run | None) -> SearchFact | None:
    for node, name in found.OUTPUTS.items():
        artifact = _artifact(run, node, name)
        if _has_files(artifact):
            known = found.read(artifact.uri)
            return SearchFact.model_validate({part: getattr(known, part) for part in SearchFact.model_fields})
    return None


def _judged(run: Run | None, name: str) -> Any:
    """What the ReleaseGate wrote beside its verdict; None if it did not come so far."""
    blessing = _artifact(run, "ReleaseGate", "blessing")
    path = Path(blessing.uri, name) if blessing is not None else None
    return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.exists() else None


def _examples(run: Run | None) -> list[ExampleFact]:
    return [_example(row) for row in _judged(run, EXAMPLES_FILE) or []]


def _deletion(run: Run | None) -> DeletionFact | None:
    known = _judged(run, DELETION_FILE)
    return DeletionFact.model_validate(known) if known and "curves" in known else None  # older runs left other numbers


def _example(row: dict[str, Any]) -> ExampleFact:
    words = merge_pieces(row["tokens"], row["features"], row["attention"])
    return ExampleFact(
        row=row["row"],
        right=row["right"],
        labels=row["labels"],
        answers={head: _answer(answer) for head, answer in row["answers"].items()},
        words=[WordFact(text=word.text, weight=round(word.weight, 6), feature=word.feature) for word in words],
    )


def _answer(answer: dict[str, Any]) -> AnswerFact:
    probabilities = sorted(answer.get("probabilities", {}).items(), key=lambda item: -item[1])
    return AnswerFact.model_validate({**answer, "probabilities": dict(probabilities[:SHOWN_PROBABILITIES])})


def _model(run: Run | None, serving_dir: Path) -> ModelFact | None:
    model = _artifact(run, "Trainer", "model")
    folder = Path(model.uri, "Format-Serving") if model is not None else None
    if folder is None or not folder.is_dir():
        return None
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    version = run.version if run else None
    release = read_release(serving_dir, version) if version else {}
    return ModelFact(
        uri=model.uri,
        bytes=size,
        pushed_to=str(serving_dir / str(version)) if release else "",
        content_hash=release.get("content_hash", ""),
    )


def _lineage(history: History | None, run: Run | None) -> list[LineageFact]:
    """From what the last step made, the pushed model if the run came so far."""
    made = [artifacts[0] for step in run.steps.values() for artifacts in step.outputs.values()] if run else []
    if history is None or not made:
        return []
    return [
        LineageFact(artifact=artifact.type, id=artifact.id, uri=artifact.uri, made_by=node, run=run_id)
        for artifact, node, run_id in history.origin(made[-1])
    ]
