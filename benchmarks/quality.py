"""Self-attention beside TF-IDF with a linear SVM, on the same rows of the same split.

    python benchmarks/quality.py                                        # the demo table
    python benchmarks/quality.py --table reviews.csv --label sentiment --set train.epochs=5
    python benchmarks/quality.py --table train=a.csv --table test=b.csv --label intent

The whole pipeline runs; its own test split judges both. The SVM reads all texts of a row as one, and takes whichever
word n-grams and whichever C do best on the eval split. Neither is trained on the eval split.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ["TF_USE_LEGACY_KERAS"] = "0"

import tfx.v1  # noqa: F401  (before TensorFlow: its parts need the C++ runtime that is loaded first)

# isort: split
import tensorflow as tf
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, f1_score
from sklearn.svm import LinearSVC

from models.spec import LABEL_KEY
from pipeline.cli import resolve_config
from pipeline.runs import run_and_tell
from pipeline.workspace import Workspace

DEMO = "demo"
SPLITS = ("train", "eval", "test")
C_TRIED = (0.1, 0.3, 1.0)
NGRAMS_TRIED = ((1, 1), (1, 2))


class Rows(NamedTuple):
    texts: list[str]
    labels: list[str]


class Score(NamedTuple):
    model: str
    accuracy: float
    macro_f1: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Self-attention beside TF-IDF with a linear SVM.")
    parser.add_argument("--table", action="append", help="A table, or SPLIT=TABLE; default: the demo table.")
    parser.add_argument("--label", help="Column that holds the class.")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="PATH=VALUE")
    parser.add_argument("--workspace", type=Path, help="Default: one that is removed at the end.")
    arguments = parser.parse_args()
    tables = tuple(table for table in arguments.table or () if table != DEMO)
    config = resolve_config(None if tables else Path("reviews"), tables, arguments.label, tuple(arguments.settings))
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Workspace((arguments.workspace or Path(temporary)).absolute())
        result = run_and_tell(config, workspace)
        if "accuracy" not in result["metrics"]:
            raise SystemExit(f"The pipeline gave no metrics: {result['verdict']}.")
        names = [name for name, feature in config.features.items() if feature.type == "text"]
        rows = {split: read_rows(workspace.artifacts, split, names) for split in SPLITS}
    show([score_pipeline(result), score_svm(rows)], {split: len(rows[split].labels) for split in SPLITS})


def score_pipeline(result: dict[str, Any]) -> Score:
    """What TFMA measured on the test split."""
    metrics = result["metrics"]
    return Score("self-attention", metrics["accuracy"], metrics["macro_f1"], result["seconds"]["Trainer"])


def score_svm(rows: dict[str, Rows]) -> Score:
    """Chooses an SVM by the eval split and judges it by the test split; seconds are those of the chosen one."""
    best = (-1.0, Score("", 0.0, 0.0, 0.0))
    for ngrams in NGRAMS_TRIED:
        for c in C_TRIED:
            began = time.monotonic()
            vectorizer = TfidfVectorizer(ngram_range=ngrams, sublinear_tf=True)
            svm = LinearSVC(C=c).fit(vectorizer.fit_transform(rows["train"].texts), rows["train"].labels)
            seconds = time.monotonic() - began
            predicted = {split: svm.predict(vectorizer.transform(rows[split].texts)) for split in ("eval", "test")}
            on_eval = accuracy_score(rows["eval"].labels, predicted["eval"])
            if on_eval > best[0]:
                truth = rows["test"].labels
                accuracy = accuracy_score(truth, predicted["test"])
                macro_f1 = f1_score(truth, predicted["test"], average="macro")
                best = on_eval, Score(f"TF-IDF {ngrams} + linear SVM, C={c}", accuracy, macro_f1, seconds)
    return best[1]


def read_rows(artifacts: Path, split: str, names: list[str]) -> Rows:
    """The rows of a split as the latest ExampleGen wrote them."""
    texts, labels = [], []
    for features in read_examples(artifacts, split):
        values = [features[name].bytes_list.value[0].decode() for name in names if name in features]
        texts.append(" ".join(values))
        labels.append(features[LABEL_KEY].bytes_list.value[0].decode())
    return Rows(texts, labels)


def read_examples(artifacts: Path, split: str) -> Iterator[Any]:
    runs = sorted((artifacts / "ExampleGen" / "examples").iterdir(), key=lambda path: int(path.name))
    files = sorted(str(path) for path in (runs[-1] / f"Split-{split}").iterdir())
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        yield tf.train.Example.FromString(record).features.feature


def show(scores: list[Score], counts: dict[str, int]) -> None:
    title = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    table = Table("model", "accuracy", "macro F1", "training s", title=f"rows: {title}")
    for score in scores:
        table.add_row(score.model, f"{score.accuracy:.4f}", f"{score.macro_f1:.4f}", f"{score.seconds:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
