"""A record of a run with hard names: a script for a class, pipes, line breaks, many classes."""

import pytest

from pipeline.report.facts import RunReport

HARD = "<script>alert('1')</script>|&\n"


def record(classes=("no", HARD), **changes):
    """A whole RunReport; `changes` replace parts of it."""
    number = len(classes)
    confusion = [[10 * (row == column) + (column == row + 1) for column in range(number)] for row in range(number)]
    scores = {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 10.0}
    facts = {
        "pipeline": "reviews",
        "run": "20260101-030000.000",
        "started": "2026-01-01T03:00:00Z",
        "verdict": "blocked",
        "why": f"gate metric/accuracy: {HARD}",
        "version": None,
        "live_version": 3,
        "steps": [{"node": "ExampleGen", "state": "ran", "seconds": 3700.0}],
        "data": {
            "source_files": ["/data/a & b.csv"],
            "source_sha256": {"/data/a & b.csv": "0" * 64},
            "fingerprint": "",
            "rows_read": 1002,
            "rows_used": 1000,
            "rows_quarantined": 2,
            "quarantined_by_reason": {"no label": 2},
            "first_quarantined": [f"a.csv:7: {HARD}"],
            "quarantine_file": "/data/quarantine.jsonl",
            "splits": [
                {"name": name, "rows": 500, "classes": {"label": dict.fromkeys(classes, 10)}, "numbers": {}}
                for name in ("train", "test")
            ],
            "distributions": [
                {
                    "name": name,
                    "kind": kind,
                    "bins": ["≤ 7", HARD, "一二三四五六七八九十" * 3],
                    "shares": {split: [0.5, 0.25, 0.25] for split in ("train", "test", "live version 3")},
                }
                for name, kind in (("店", "category"), ("城", "category"), (HARD, "number"), ("review", "words"))
            ],
        },
        "training": {
            "curve": [{"loss": 1.0, "val_loss": None}, {"loss": 0.5, "val_loss": 0.6}],
            "best_epoch": 2,
            "seconds": 61.0,
            "rows_per_second": 1234.5,
            "temperatures": {"label": 1.25},
            "tuned": {"train.learning_rate": 0.0021},
        },
        "search": {
            "objective": "accuracy",
            "score": 0.8,
            "values": {"train.learning_rate": 0.0021},
            "trials": [
                {
                    "trial": number,
                    "state": state,
                    "score": score,
                    "values": {"train.learning_rate": rate},
                    "epochs": None,
                    "why": why,
                }
                for number, state, score, rate, why in (
                    (1, "failed", None, 0.9, f"no number: {HARD}"),
                    (2, "done", 0.8, 0.0021, ""),
                )
            ],
        },
        "metrics": [{"name": "accuracy", "value": 0.8, "live": 0.9, "limits": {"max_drop": 0.05}, "passed": False}],
        "heads": [
            {
                "name": "label",
                "type": "single_label",
                "classes": list(classes),
                "confusion": confusion,
                "calibration": [{"rows": 10, "probability": 0.7, "accuracy": 0.6}],
                "by_class": dict.fromkeys(classes, scores),
            }
        ],
        "slices": [{"name": f"shop={HARD}", "metrics": {"example_count": 12.0, "accuracy": 0.75}}],
        "gates": [
            {"name": "metric/accuracy", "passed": False, "value": 0.8, "limit": 0.85, "why": HARD, "severity": "block"},
            {"name": "drift", "passed": True, "value": None, "limit": None, "why": "none yet", "severity": "warn"},
        ],
        "examples": [
            {
                "row": 7,
                "right": False,
                "labels": {"label": [HARD]},
                "answers": {"label": {"label": "no", "probabilities": {"no": 0.9, HARD: 0.1}}},
                "words": [
                    {"text": HARD, "weight": 0.75, "feature": "review"},
                    {"text": "fine", "weight": 0.05, "feature": "review"},
                    {"text": "age=7", "weight": 0.2, "feature": "age"},
                ],
            }
        ],
        "deletion": {
            "head": "label",
            "is_number": False,
            "words": [1, 2, 5],
            "curves": [
                {"order": order, "rows": rows, "deleted": [0.1, 0.2, top], "inserted": [0.4, 0.3, 0.5 - top]}
                for order, rows, top in (
                    ("attention", 97, 0.3),
                    ("random", 97, 0.21),
                    ("attention", 20, 0.33),
                    ("occlusion", 20, 0.48),
                )
            ],
        },
        "model": None,
        "lineage": [{"artifact": "Examples", "id": 1, "uri": "/a/1", "made_by": "ExampleGen", "run": "r"}],
        "config": {"model": {"encoder": "self_attention"}, "features": {}, "heads": {}},
        "environment": None,
    }
    return RunReport.model_validate({**facts, **changes})


@pytest.fixture
def make_record():
    return record
