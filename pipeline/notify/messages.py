"""Sends what came of a run to a webhook or by e-mail."""

import contextlib
import logging
import os
import smtplib
import ssl
import time
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from pipeline.notify.options import EmailOptions, WebhookOptions

BUSY = (429, 500, 502, 503, 504)
PAUSE_SECONDS = 0.5
"""Before the first retry; twice as long before each that follows."""


class NotSentError(RuntimeError):
    """A message was not sent; the text says why and holds no secret."""


def send_to_webhook(options: WebhookOptions, pipeline: str, result: Mapping[str, Any]) -> None:
    """Posts the result of a run.

    Args:
        options: where, and in which form.
        pipeline: its name.
        result: as `attention run --json` prints it.

    Raises:
        NotSentError: the variable is not set, or the receiver does not take it.
    """
    import urllib3

    url = _secret(options.url_variable)
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise NotSentError(f"{options.url_variable} must hold a URL of http or https")
    retry = urllib3.Retry(
        options.retries,
        backoff_factor=PAUSE_SECONDS,
        status_forcelist=BUSY,
        allowed_methods=None,
        raise_on_status=False,
        redirect=False,
        backoff_max=options.timeout_seconds,
    )
    body = {"pipeline": pipeline, **result} if options.format == "json" else {"text": slack_text(pipeline, result)}
    try:
        with _unlogged("urllib3"), urllib3.PoolManager() as pool:
            answer = pool.request(
                "POST", url, json=body, timeout=options.timeout_seconds, retries=retry, redirect=False
            )
    except urllib3.exceptions.HTTPError as error:  # its text holds the URL, which is a secret with many receivers
        reason = getattr(error, "reason", None) or error
        raise NotSentError(f"the receiver of {options.url_variable} is away ({type(reason).__name__})") from None
    if not 200 <= answer.status < 300:
        raise NotSentError(f"the receiver of {options.url_variable} answered {answer.status}")


@contextlib.contextmanager
def _unlogged(name: str) -> Iterator[None]:
    """Keeps a library's warnings out of the log: they name the URL."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def send_email(options: EmailOptions, pipeline: str, result: Mapping[str, Any]) -> None:
    """Mails the result of a run.

    Raises:
        NotSentError: the password is not set, or the server does not take the mail.
    """
    password = _secret(options.password_variable) if options.user else ""
    message = EmailMessage()
    message["Subject"] = _subject(pipeline, result)
    message["From"], message["To"] = options.sender, ", ".join(options.to)
    message.set_content(text(pipeline, result))
    for attempt in range(options.retries + 1):
        try:
            return _mail(options, password, message)
        except (OSError, smtplib.SMTPException) as error:
            code = getattr(error, "smtp_code", 0)
            if attempt == options.retries or code >= 500:
                said = f"{type(error).__name__}{f' {code}' if code else ''}"
                raise NotSentError(f"{options.host}:{options.port} did not take the mail ({said})") from None
            time.sleep(PAUSE_SECONDS * 2**attempt)


def _mail(options: EmailOptions, password: str, message: EmailMessage) -> None:
    context = ssl.create_default_context()
    place = (options.host, options.port)
    with (
        smtplib.SMTP_SSL(*place, timeout=options.timeout_seconds, context=context)
        if options.security == "tls"
        else smtplib.SMTP(*place, timeout=options.timeout_seconds)
    ) as server:
        if options.security == "starttls":
            server.starttls(context=context)
        if options.user:
            server.login(options.user, password)
        server.send_message(message)


def _secret(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise NotSentError(f"the environment variable {variable} is not set")
    return value


def _subject(pipeline: str, result: Mapping[str, Any]) -> str:
    version = f" version {result['version']}" if result["verdict"] == "pushed" else ""
    return f"{pipeline}: {result['verdict']}{version}"


def text(pipeline: str, result: Mapping[str, Any]) -> str:
    """The result of a run in a few lines."""
    rows = result["rows"]
    lines = [_subject(pipeline, result), result["why"]]
    lines.append(f"rows: {rows['read']:,} read, {rows['used']:,} used, {rows['quarantined']:,} in quarantine")
    closed = [gate for gate in result["gates"] if not gate["passed"]]
    lines += [f"{'closed' if gate['severity'] == 'block' else 'warned'}: {gate['name']}" for gate in closed[:20]]
    whole = [f"{name} {value:.4g}" for name, value in result["metrics"].items() if "/" not in name]
    lines += [", ".join(whole)] if whole else []
    lines += [f"report: {result['report']}"] if result.get("report") else []
    return "\n".join(lines) + "\n"


def slack_text(pipeline: str, result: Mapping[str, Any]) -> str:
    """The same as Slack takes it, in which `<`, `>` and `&` would be links and mentions."""
    first, *rest = text(pipeline, result).rstrip().splitlines()
    lines = "\n".join([f"*{first}*", *rest])
    return lines.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
