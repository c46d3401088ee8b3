"""Messages and numbers of a run, by a receiver of our own."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller
from prometheus_client import generate_latest

from pipeline.notify import messages
from pipeline.notify.numbers import numbers, publish
from pipeline.notify.options import EmailOptions, MetricsOptions, WebhookOptions

RESULT = {
    "verdict": "blocked",
    "version": None,
    "metrics": {"accuracy": 0.75, "recall/no": 0.5},
    "gates": [
        {"name": "metric/accuracy", "passed": False, "value": 0.75, "limit": 0.8, "why": "", "severity": "block"},
        {"name": "drift", "passed": True, "value": None, "limit": None, "why": "", "severity": "warn"},
    ],
    "rows": {"read": 1002, "used": 1000, "quarantined": 2},
    "seconds": {"Trainer": 12.5},
    "run": "r1",
    "why": "gate metric/accuracy: <@everyone> & more",
    "report": "/w/reports/r1/report.html",
}


@pytest.fixture
def receiver():
    """A server that keeps what is sent; `codes` are its next answers, then 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.got.append((self.command, self.path, body))
            self.send_response(server.codes.pop(0) if server.codes else 200)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PUT = do_POST  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.codes = [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def hook(receiver, monkeypatch):
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{receiver.server_port}/services/SECRET")
    monkeypatch.setattr(messages, "PAUSE_SECONDS", 0.01)
    return WebhookOptions(url_variable="HOOK", timeout_seconds=2, retries=2)


def test_a_webhook_gets_the_result_also_when_it_was_busy(hook, receiver):
    receiver.codes += [503, 429]
    messages.send_to_webhook(hook, "reviews", RESULT)
    assert len(receiver.got) == 3
    assert json.loads(receiver.got[-1][2]) == {"pipeline": "reviews", **RESULT}


def test_slack_gets_lines_in_which_nobody_is_mentioned(hook, receiver):
    messages.send_to_webhook(hook.model_copy(update={"format": "slack"}), "reviews", RESULT)
    ((_, path, body),) = receiver.got
    assert path == "/services/SECRET"
    assert json.loads(body)["text"].splitlines() == [
        "*reviews: blocked*",
        "gate metric/accuracy: &lt;@everyone&gt; &amp; more",
        "rows: 1,002 read, 1,000 used, 2 in quarantine",
        "closed: metric/accuracy",
        "accuracy 0.75",
        "report: /w/reports/r1/report.html",
    ]


@pytest.mark.parametrize(
    ("codes", "asked", "message"),
    [
        ([400], 1, "answered 400"),
        ([302], 1, "answered 302"),
        ([503] * 3, 3, "answered 503"),
    ],
)
def test_what_a_receiver_refuses_is_told_without_the_secret(hook, receiver, codes, asked, message):
    receiver.codes += codes
    with pytest.raises(messages.NotSentError, match=message) as caught:
        messages.send_to_webhook(hook, "reviews", RESULT)
    assert len(receiver.got) == asked
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:9/SECRET", "is away"),
        ("file:///SECRET", "must hold a URL"),
        ("", "HOOK is not set"),
    ],
)
def test_a_receiver_that_is_not_there_is_told_without_the_secret(hook, monkeypatch, caplog, url, message):
    monkeypatch.setenv("HOOK", url)
    with pytest.raises(messages.NotSentError, match=message) as caught:
        messages.send_to_webhook(hook, "reviews", RESULT)
    assert "SECRET" not in str(caught.value) + caplog.text


class Mailbox:
    def __init__(self):
        self.mails, self.busy = [], 1

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  # aiosmtpd's name
        if self.busy:
            self.busy -= 1
            return "451 later"
        self.mails.append(envelope)
        return "250 OK"


def test_a_mail_is_sent_also_when_the_server_was_busy(monkeypatch):
    monkeypatch.setattr(messages, "PAUSE_SECONDS", 0.01)
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        options = EmailOptions(
            host="127.0.0.1", port=port, security="none", sender="a@example.org", to=["b@example.org", "c@example.org"]
        )
        messages.send_email(options, "reviews", RESULT)
        with pytest.raises(messages.NotSentError, match="SMTP_PASSWORD is not set"):
            messages.send_email(options.model_copy(update={"user": "a"}), "reviews", RESULT)
    finally:
        controller.stop()
    (mail,) = box.mails
    assert mail.rcpt_tos == ["b@example.org", "c@example.org"]
    assert b"Subject: reviews: blocked" in mail.content
    assert b"closed: metric/accuracy" in mail.content
    with pytest.raises(messages.NotSentError, match=r"did not take the mail \(ConnectionRefusedError\)"):
        messages.send_email(options, "reviews", RESULT)


def test_numbers_go_into_a_file_and_to_the_gateway(receiver, tmp_path):
    found = numbers("reviews", RESULT, live_version=3, newest_push=1000.0)
    options = MetricsOptions(textfile=str(tmp_path / "text"), pushgateway=f"127.0.0.1:{receiver.server_port}")
    publish(options, found, "reviews")
    (path,) = (tmp_path / "text").iterdir()
    assert path.name == "attention_reviews.prom"
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in (
        'attention_run_verdict{pipeline="reviews",verdict="blocked"} 1.0',
        'attention_run_verdict{pipeline="reviews",verdict="pushed"} 0.0',
        'attention_run_step_seconds{pipeline="reviews",step="Trainer"} 12.5',
        'attention_run_rows{kind="quarantined",pipeline="reviews"} 2.0',
        'attention_run_metric{metric="recall/no",pipeline="reviews"} 0.5',
        'attention_gate_limit{gate="metric/accuracy",pipeline="reviews"} 0.8',
        'attention_gate_passed{gate="drift",pipeline="reviews"} 1.0',
        'attention_live_version{pipeline="reviews"} 3.0',
        'attention_newest_push_timestamp_seconds{pipeline="reviews"} 1000.0',
    ):
        assert line in lines
    assert not any(line.startswith('attention_gate_value{gate="drift"') for line in lines)
    ((method, place, body),) = receiver.got
    assert (method, place) == ("PUT", "/metrics/job/attention/pipeline/reviews")
    assert body == generate_latest(found)


def test_a_password_does_not_stand_in_a_config():
    with pytest.raises(ValueError, match="pushgateway"):
        MetricsOptions(pushgateway="http://user:password@gateway:9091")
    with pytest.raises(ValueError, match="url_variable"):
        WebhookOptions(url_variable="https://hooks.example/SECRET")
