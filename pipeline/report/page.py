"""The facts of a run as a page of HTML that needs nothing but itself, and as a few lines of Markdown."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from deploy.serving.rows import Answer, Word
from deploy.serving.shading import by_feature
from pipeline.report.facts import DistributionFact, ExampleFact, HeadFact, RunReport, SplitFact

if TYPE_CHECKING:
    from jinja2 import Environment

STYLE_FILE = "style.css"
MOST_CLASSES, MOST_SLICES, MOST_CONFUSIONS, LARGEST_MATRIX, MOST_CHARTS = 40, 60, 15, 12, 24
SLICE_METRICS = (
    *("example_count", "accuracy", "macro_f1", "subset_accuracy", "micro_f1", "mean_absolute_error"),
    *("root_mean_squared_error", "auc", "expected_calibration_error"),
)
MAIN_PACKAGES = ("attention-pipeline", "tfx", "tensorflow", "keras", "tensorflow-text", "apache-beam", "numpy")


def render_page(report: RunReport) -> str:
    """The page; everything that comes from a table or a model is escaped."""
    from markupsafe import Markup

    from pipeline.report import plots

    environment = template_environment("pipeline.report")
    training = report.training
    curves = plots.training_curves(training.curve, training.best_epoch) if training else []
    heads = [
        {
            "fact": head,
            "matrix": _matrix(head) if len(head.classes) <= LARGEST_MATRIX else [],
            "confusions": _confusions(head) if len(head.classes) > 2 else [],
            "classes": sorted(head.by_class.items(), key=lambda item: item[1].get("f1", 0.0)),
            "calibration": Markup(plots.calibration(head.calibration, head.name)) if head.calibration else "",
        }
        for head in report.heads
    ]
    return environment.get_template("report.html").render(
        report=report,
        passed_gates=sum(gate.passed for gate in report.gates),
        distributions=_distributions(report.data.splits) if report.data else {},
        charts=[(each, Markup(plots.shares(each))) for each in _charted(report)],
        curves=[Markup(each) for each in curves],
        heads=heads,
        slice_metrics=_slice_metrics(report),
        examples=[_example(example) for example in report.examples],
        deletion=[Markup(each) for each in plots.deletion(report.deletion)] if report.deletion else [],
        config_text=yaml.safe_dump(report.config, sort_keys=False, allow_unicode=True),
        main_packages=MAIN_PACKAGES,
        most_classes=MOST_CLASSES,
        most_charts=MOST_CHARTS,
        most_slices=MOST_SLICES,
    )


def render_summary(report: RunReport) -> str:
    """Markdown: verdict, rows, gates that are not kept, metrics."""
    template = template_environment("pipeline.report", autoescape=False).get_template("summary.md")
    return template.render(report=report, passed_gates=sum(gate.passed for gate in report.gates)).strip() + "\n"


def template_environment(package: str, autoescape: bool = True) -> "Environment":
    """Jinja2 over the `templates` of a package and of this one, with the pages' style and filters."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package), jinja2.PackageLoader("pipeline.report")]),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = Markup(Path(__file__).with_name("templates").joinpath(STYLE_FILE).read_text("utf-8"))
    environment.filters |= {"number": number, "percent": _percent, "duration": _duration, "line": _line, "cell": _cell}
    environment.filters["setting"] = _setting
    return environment


def number(value: float | None) -> str:
    """A number as a reader has it; empty for what is none."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 1 else f"{value:.4g}"


def _setting(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _charted(report: RunReport) -> list[DistributionFact]:
    """The distributions that are drawn: those of which a gate speaks ill before all others."""
    failed = {gate.name.split("/")[1] for gate in report.gates if not gate.passed and "/" in gate.name}
    found = report.data.distributions if report.data else []
    return sorted(found, key=lambda each: each.name not in failed)[:MOST_CHARTS]


def _distributions(splits: list[SplitFact]) -> dict[str, list[tuple[str, list[tuple[int, float]]]]]:
    """Label → (class, (rows, share of the split) by split), the most frequent in the first split first."""
    found = {}
    for label in splits[0].classes if splits else ():
        names = list(dict.fromkeys(name for split in splits for name in split.classes.get(label, {})))
        cells = [
            (name, [(rows := split.classes.get(label, {}).get(name, 0), rows / max(split.rows, 1)) for split in splits])
            for name in names
        ]
        found[label] = sorted(cells, key=lambda cell: (-cell[1][0][0], cell[0]))
    return found


def _matrix(head: HeadFact) -> list[tuple[str, list[tuple[int, float]]]]:
    rows = zip(head.classes, head.confusion, strict=True) if head.confusion else ()
    return [(name, [(count, count / max(sum(counts), 1)) for count in counts]) for name, counts in rows]


def _confusions(head: HeadFact) -> list[tuple[str, str, int, float]]:
    """(true class, what was said, rows, share of the class's rows), the most frequent first."""
    cells = [
        (true, said, count, share)
        for true, counts in _matrix(head)
        for said, (count, share) in zip(head.classes, counts, strict=True)
        if count and said != true
    ]
    return sorted(cells, key=lambda cell: -cell[2])[:MOST_CONFUSIONS]


def _slice_metrics(report: RunReport) -> list[str]:
    """The metrics worth a column, those that have a limit among them."""
    names = dict.fromkeys(name for each in report.slices for name in each.metrics)
    limited = {metric.name for metric in report.metrics if metric.limits}
    chosen = [name for name in names if name.rpartition("/")[2] in SLICE_METRICS or name in limited]
    order = {name: place for place, name in enumerate(SLICE_METRICS)}
    return sorted(chosen, key=lambda name: (name.rpartition("/")[0], order.get(name.rpartition("/")[2], len(order))))


def _example(example: ExampleFact) -> dict[str, Any]:
    words = [Word(word.text, word.weight, word.feature) for word in example.words]
    answers = []
    for head, answer in example.answers.items():
        probability = answer.probabilities.get(answer.label or "", math.nan)
        said = str(Answer(answer.label or "", probability, answer.probabilities, answer.value)) or "nothing"
        labels = [label if isinstance(label, str) else f"{label:.6g}" for label in example.labels.get(head, [])]
        answers.append(
            (head, "" if example.right and len(example.answers) == 1 else ", ".join(labels) or "nothing", said)
        )
    return {
        "row": example.row,
        "kind": {True: "right", False: "wrong", None: ""}[example.right],
        "answers": answers,
        "features": by_feature(words),
    }
