"""Drift of the live version's answers, read from real pages of a real HTTP server."""

import contextlib
import http.server
import threading

import numpy as np
import pytest

from components.answer_record import AnswerRecord, head_answers, number_answers, several_answers
from components.pusher.versions import release_dir
from deploy.serving.metrics import ServingMetrics
from pipeline.config import ConfigError
from pipeline.schedule.loop import Loop, Stop
from pipeline.schedule.options import DriftOptions
from pipeline.schedule.served import counts_of, judge

TEST_ROWS = 400


class Server:
    """A server's metrics behind HTTP.

    Attributes:
        metrics: what it counts; a new one is a server that was started anew.
        page: instead of those.
    """

    def __init__(self):
        self.metrics, self.page, self.status = ServingMetrics(), None, 200

    def answer(self, yes, no, version=1, confidence=0.9, unknown=0.0, prefix=""):
        labels = np.array([b"yes"] * yes + [b"no"] * no, object)
        scores = np.tile(np.array([confidence, 1 - confidence], np.float32), (yes + no, 1))
        tokens = np.full((yes + no, 10), b"word", object)
        tokens[:, : round(10 * unknown)] = b"[UNK]"
        features = np.full_like(tokens, b"review")
        outputs = {f"{prefix}label": labels, f"{prefix}probabilities": scores}
        outputs |= {"tokens": tokens, "token_features": features}
        self.metrics.answers.record("mood", version, list(outputs), list(outputs.values()))

    @contextlib.contextmanager
    def running(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):  # noqa: N805
                page = self.page if self.page is not None else self.metrics.page()
                handler.send_response(self.status)
                handler.end_headers()
                handler.wfile.write(page.encode())

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/monitoring/prometheus/metrics"
            server.shutdown()


def publish(scheduled, version=1, heads=("label",)):
    """A version that answered `yes` to half of its test rows, with confidence."""
    labels, confidences = [b"yes", b"no"] * (TEST_ROWS // 2), np.full(TEST_ROWS, 0.9)
    directory = release_dir(scheduled.workspace.serving("mood"), version)
    directory.mkdir(parents=True)
    (directory.parent.parent / "saved_model.pb").touch()
    answers = dict.fromkeys(heads, head_answers(labels, confidences))
    AnswerRecord(rows=TEST_ROWS, heads=answers, tokens=4000, unknown_tokens=400).write(directory)


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def watched(scheduled, server):
    """The pipeline whose version 1 is live and whose server is looked at."""
    publish(scheduled)
    scheduled.write()
    with server.running() as url:
        scheduled.set(f"schedule.drift={{urls: ['{url}'], min_answers: 200}}")
        yield scheduled


def test_answers_as_on_the_test_rows_make_nothing_due_and_others_do(watched, server):
    server.answer(yes=100, no=99, unknown=0.1)
    assert watched.verdict() == "not_due"
    assert sum(count for key, count in watched.state.served.answers.items() if "label_count" in key) == 199
    server.answer(yes=0, no=1, unknown=0.1)
    assert watched.verdict() == "not_due", "enough, and as before"
    assert watched.state.served.answers == {}
    server.answer(yes=160, no=40, unknown=0.1)
    done = watched.once()
    assert (done["verdict"], done["triggers"]) == ("pushed", ["drift"])
    assert watched.state.served.told == watched.now
    assert watched.state.last.triggers == ("drift",)


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (
            {"yes": 160, "no": 40, "unknown": 0.1},
            "drift: L-infinity distance between the labels of 200 answers of version 1 and of its answers to 400 test "
            "rows is 0.300; allowed is 0.171 ('yes': 80.0%, on test rows 50.0%).",
        ),
        (
            {"yes": 100, "no": 100, "confidence": 0.6, "unknown": 0.1},
            "drift: Jensen-Shannon divergence between the confidences of 200 answers of version 1 and of its answers "
            "to 400 test rows is 1.000; allowed is 0.171.",
        ),
        (
            {"yes": 100, "no": 100, "unknown": 0.2},
            "drift: 20.00% of 2,000 tokens of texts that version 1 explained are unknown to it; allowed is 17.24% (of "
            "its test rows' tokens 10.00% are).",
        ),
    ],
)
def test_the_sentence_has_the_numbers(watched, server, capsys, answers, sentence):
    server.answer(**answers)
    assert watched.once()["triggers"] == ["drift"]
    assert f"schedule: due by {sentence}\n" in capsys.readouterr().err


def test_drift_that_stays_makes_a_run_due_once_in_a_while_and_again_for_another_version(watched, server):
    server.answer(yes=200, no=0)
    watched.verdicts = ["blocked"]
    assert watched.verdict() == "blocked"
    for _ in range(3):
        watched.forward(hours=7)
        server.answer(yes=300, no=0)
        assert watched.verdict() == "not_due"
    watched.forward(hours=3)
    server.answer(yes=199, no=0)
    assert watched.verdict() == "not_due", "the window begins after the pause"
    server.answer(yes=1, no=0)
    assert watched.verdict() == "pushed"
    publish(watched, 2)
    assert watched.verdict() == "not_due"
    server.answer(yes=200, no=0, version=2)
    assert watched.once()["triggers"] == ["drift"]


def test_a_server_that_begins_again_loses_nothing(watched, server):
    server.answer(yes=150, no=0)
    assert watched.verdict() == "not_due"
    server.metrics = ServingMetrics()
    assert watched.verdict() == "not_due"
    server.answer(yes=49, no=0)
    assert watched.verdict() == "not_due"
    server.answer(yes=1, no=0)
    assert watched.once()["triggers"] == ["drift"]


def test_several_servers_are_counted_together_and_one_may_be_away(watched, server, capsys):
    other = Server()
    with other.running() as url:
        first = watched.raw["schedule"]["drift"]["urls"][0]
        watched.set(f"schedule.drift.urls=['{first}', '{url}', 'http://127.0.0.1:9/metrics']")
        server.answer(yes=120, no=0)
        assert watched.verdict() == "not_due"
        other.answer(yes=80, no=0)
        assert watched.once()["triggers"] == ["drift"]
    told = capsys.readouterr().err.splitlines()
    away = "schedule: drift: http://127.0.0.1:9/metrics cannot be read: the server is away (NewConnectionError)."
    assert told.count(away) == 2


@pytest.mark.parametrize(
    ("page", "status", "why"),
    [
        (None, 503, "it answered 503"),
        ("<html>login</html>", 200, "it is no page of Prometheus"),
        ('# TYPE :tensorflow:serving:request_count counter\n:tensorflow:serving:request_count{model_name="mood"} 3\n',
         200, "it has no counts of answers; only this project's server exports them"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line_and_other_triggers_still_work(watched, server, capsys, page, status, why):
    server.page, server.status = page, status
    watched.set("schedule.new_data=true", "schedule.settle_seconds=0")
    assert watched.once()["triggers"] == ["new_data"]
    lines = [line for line in capsys.readouterr().err.splitlines() if "cannot be read" in line]
    assert len(lines) == 1
    assert lines[0].endswith(f" cannot be read: {why}.")


def test_heads_are_judged_each_by_its_own_answers(watched, server, capsys):
    publish(watched, 2, ("stars", "topic"))
    server.answer(yes=200, no=0, version=2, prefix="topic_")
    assert watched.once()["triggers"] == ["drift"]
    assert "between the labels of `topic` of 200 answers of version 2" in capsys.readouterr().err


def test_the_numbers_of_a_regression_are_held_against_those_of_the_test_rows(watched, server, capsys):
    directory = release_dir(watched.workspace.serving("mood"), 1)
    numbers = {"price": number_answers(np.linspace(0, 100, TEST_ROWS))}
    AnswerRecord(rows=TEST_ROWS, heads={}, numbers=numbers, tokens=0, unknown_tokens=0).write(directory)
    server.metrics.answers.record("mood", 1, ["price_value"], [np.linspace(0, 100, 200, dtype=np.float32)])
    assert watched.verdict() == "not_due"
    assert watched.state.served.answers == {}
    server.metrics.answers.record("mood", 1, ["price_value"], [np.linspace(100, 300, 200, dtype=np.float32)])
    assert watched.once()["triggers"] == ["drift"]
    assert "drift: Jensen-Shannon divergence between the values of 200 answers of version 1" in capsys.readouterr().err


def test_labels_that_a_server_no_longer_tells_apart_are_no_drift(watched, server):
    page = server.metrics.page().splitlines()[0]
    counts = {"yes": 150, "…": 150}
    lines = [
        f':attention:serving:label_count{{model_name="mood",version="1",label="{k}"}} {n}' for k, n in counts.items()
    ]
    server.page = "\n".join([page, *lines, ""])
    assert watched.verdict() == "not_due"
    assert watched.state.served.answers == {}


def test_a_version_without_record_and_no_version_are_told(watched, scheduled, capsys):
    (release_dir(scheduled.workspace.serving("mood"), 1) / "answers.json").unlink()
    assert scheduled.verdict() == "not_due"
    assert "version 1 has no record of its answers; the next that is pushed will have one" in capsys.readouterr().err
    (scheduled.workspace.serving("mood") / "1" / "saved_model.pb").unlink()
    assert scheduled.verdict() == "not_due"


def test_the_loop_counts_between_its_runs(watched, server):
    watched.once()
    stop, verdicts = Stop(), []

    def sleep(seconds):
        watched.forward(seconds=300)
        server.answer(yes=30, no=0)

    def start(stop):
        verdicts.append(watched.verdict())
        stop.count += 1

    Loop(watched.config, watched.workspace, start, lambda: watched.now, sleep).run(stop)
    assert verdicts == ["pushed"]
    assert watched.now.hour * 60 + watched.now.minute == 35


def test_a_kill_before_the_run_makes_it_due_again(watched, server):
    server.answer(yes=200, no=0)
    watched.verdicts = [SystemExit()]
    with pytest.raises(SystemExit):
        watched.once()
    done = watched.once()
    assert (done["verdict"], done["triggers"]) == ("pushed", ["drift"])


def test_a_password_does_not_stand_in_the_config(scheduled):
    scheduled.set("schedule.drift.urls=['http://user:secret@host/metrics']")
    with pytest.raises(ConfigError, match=r"schedule\.drift\.urls") as caught:
        _ = scheduled.config
    assert "pattern" in str(caught.value)


def test_a_record_counts_several_classes_as_the_server_does():
    classes = (b"price", b"size", b"fit")
    scores = np.array([[0.91, 0.62, 0.12], [0.2, 0.33, 0.1], [0.1, 0.83, 0.4]])
    metrics = ServingMetrics()
    answered = {
        "topics_label": np.array([b"price, size", b"", b"size"], object),
        "topics_probabilities": scores.astype(np.float32),
        "topics_classes": np.array([classes] * 3, object),
    }
    metrics.answers.record("mood", 1, list(answered), list(answered.values()))
    counts = counts_of(metrics.page(), "mood", 1)
    record = several_answers(classes, scores, 0.5)
    assert {label: counts[f"label_count\ttopics\t{label}"] for label in record.labels} == record.labels
    assert record.labels == {"price": 1, "size": 2, "(none)": 1}
    answers = AnswerRecord(rows=3, heads={"topics": record}, tokens=0, unknown_tokens=0)
    limits = DriftOptions(urls=["http://a"], min_answers=1, labels=0, confidence=0)
    assert judge(counts, answers, 1, limits, 0.0) == []
