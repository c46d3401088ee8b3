"""What was pushed is served: the command's own server, the client's commands, and a new version while it runs."""

import json
import time
import urllib.request

import numpy as np
import pytest

from deploy.serving.client import PredictionClient
from deploy.serving.launch import ServerProcess
from tests.e2e.conftest import versions

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

ROWS = [
    {"review_text": "I love this dress, it fits and I wear it all the time", "title": "Perfect", "age": 40.0},
    {"review_text": "Terrible quality, it fell apart and I returned it", "title": "Awful", "age": 30.0},
    {"review_text": ""},
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture
def pushed(attention, small_config, workspace):
    if not versions(workspace):
        assert attention("run", small_config, "-w", workspace).code == 0
    return workspace


def test_the_answers_of_grpc_rest_and_the_command_are_one(attention, pushed, tmp_path):
    base_path = pushed / "serving" / "reviews"
    with ServerProcess("reviews", base_path) as server, PredictionClient(server.target, "reviews") as client:
        answers = client.predict(ROWS)
        assert {answer.label for answer in answers} <= {"0", "1"}
        assert answers[0].probabilities["1"] > answers[1].probabilities["1"]

        explained = client.explain(ROWS)
        for answer, plain in zip(explained, answers, strict=True):
            assert answer.label == plain.label
            assert answer.probability == pytest.approx(plain.probability, abs=1e-5)
            weights = [word.weight for word in answer.words]
            assert min(weights) >= 0
            assert sum(weights) == pytest.approx(1, abs=1e-4)
        assert "dress" in [word.text for word in explained[0].words]

        whole = {"title": "", "age": 40.0, "positive_feedback_count": 0.0} | dict.fromkeys(
            ("division_name", "department_name", "class_name"), ""
        )
        body = json.dumps({"instances": [whole | ROWS[0]]}).encode()
        with urllib.request.urlopen(f"{server.rest_url}/v1/models/reviews:predict", body, timeout=30) as response:
            (prediction,) = json.load(response)["predictions"]
        (same,) = client.predict([whole | ROWS[0]])
        assert prediction["label"] == same.label
        np.testing.assert_allclose(sorted(prediction["probabilities"]), sorted(same.probabilities.values()), atol=1e-6)

        rows = tmp_path / "rows.jsonl"
        rows.write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
        asked = ("predict", "--server", server.target, "--model_name", "reviews", "--file", rows)
        lines = attention(*asked, "--json").out.splitlines()
        assert [json.loads(line)["label"] for line in lines] == [answer.label for answer in answers]
        assert "dress" in attention(*asked, "--explain").out
        _same_as_a_whole_table(attention, pushed, tmp_path, explained)
        page = tmp_path / "page.html"
        attention(*asked, "--out", page)
        assert "dress" in page.read_text(encoding="utf-8")


def _same_as_a_whole_table(attention, pushed, folder, answers):
    table = folder / "new.csv"
    lines = [f'"{row["review_text"]}",{row.get("title", "")},{row.get("age", "")},,,,' for row in ROWS]
    lines.insert(1, "no age,,old,,,,")
    table.write_text(
        "Review Text,Title,Age,Positive Feedback Count,Division Name,Department Name,Class Name\n" + "\n".join(lines),
        encoding="utf-8",
    )
    done = attention("batch-predict", "reviews", "-w", pushed, "-i", table, "-o", folder / "out", "--explain", "--json")
    assert done.code == 0, done.err
    assert (done.result["rows_read"], done.result["quarantined_by_reason"]) == (4, {"not_a_number": 1})
    (part,) = (folder / "out").glob("part-*.jsonl")
    rows = [json.loads(line) for line in part.read_text(encoding="utf-8").splitlines()]
    assert [row["row"] for row in rows] == [1, 3, 4]
    for row, answer in zip(rows, answers, strict=True):
        assert row["label"] == answer.label
        assert row["probabilities"] == pytest.approx(answer.probabilities, abs=1e-6)
        assert sum(token["weight"] for token in row["attention"]) == pytest.approx(1, abs=1e-4)
        assert all(token["feature"] for token in row["attention"])


def test_a_version_that_is_pushed_while_the_server_runs_is_served(attention, small_config, pushed):
    base_path = pushed / "serving" / "reviews"
    with ServerProcess("reviews", base_path) as server, PredictionClient(server.target, "reviews") as client:
        before = client.predict(ROWS)[0].version
        done = attention(
            "run", small_config, "-w", pushed, "--json", "--set", "train.seed=7",
            "--set", "evaluation.gates.accuracy.max_drop=0.5",
        )  # fmt: skip
        assert done.result["verdict"] == "pushed", done.err
        version, deadline = before, time.monotonic() + 120
        while version == before and time.monotonic() < deadline:
            version = client.predict(ROWS)[0].version  # every call is answered, whichever version it meets
        assert version == done.result["version"] == before + 1
