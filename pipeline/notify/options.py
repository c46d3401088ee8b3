"""The groups `notify` and `metrics` of a config. Secrets stand in the environment, never here."""

from typing import Literal

from pydantic import Field

from models.spec import Options

VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


class WebhookOptions(Options):
    url_variable: str = Field(pattern=VARIABLE, description="Environment variable that holds the URL to POST to.")
    format: Literal["json", "slack"] = Field("json", description="json: the line of `attention run --json`.")
    timeout_seconds: float = Field(10.0, gt=0, description="For one attempt.")
    retries: int = Field(3, ge=0, description="With growing pauses, where the receiver is away or busy.")


class EmailOptions(Options):
    host: str = Field(min_length=1, description="SMTP server.")
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = Field(min_length=1, description="Address that the mail comes from.")
    to: list[str] = Field(min_length=1)
    user: str = Field("", description="Logs in, if given.")
    password_variable: str = Field(
        "SMTP_PASSWORD", pattern=VARIABLE, description="Environment variable that holds the password."
    )
    timeout_seconds: float = Field(10.0, gt=0, description="For one attempt.")
    retries: int = Field(3, ge=0)


class NotifyOptions(Options):
    on: list[Literal["pushed", "unchanged", "blocked", "failed"]] = Field(
        ["blocked", "failed", "pushed"], description="Verdicts that are told."
    )
    webhook: WebhookOptions | None = None
    email: EmailOptions | None = None


class MetricsOptions(Options):
    textfile: str | None = Field(None, description="Folder of node_exporter's textfile collector.")
    pushgateway: str | None = Field(
        None, pattern=r"^[^@\s]+$", description="HOST:PORT or URL of a Prometheus Pushgateway, without a password."
    )
    timeout_seconds: float = Field(10.0, gt=0, description="For the Pushgateway.")
