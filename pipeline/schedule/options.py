"""The `schedule` group of the config."""

import zoneinfo
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from models.spec import Options

TRIGGERS = ("cron", "new_data", "new_rows", "drift", "fresh_labels")


class RetryOptions(Options):
    """What follows a run that failed. One that a gate blocked is not tried again before the data has changed."""

    attempts: int = Field(3, ge=1, description="In all; 1: no second try.")
    pause_seconds: float = Field(60.0, ge=0, description="Before the second.")
    factor: float = Field(2.0, ge=1, description="By which each pause is longer than the one before.")
    max_pause_seconds: float = Field(3600.0, ge=0, description="Longest pause.")

    def pause(self, failed: int) -> float:
        """Seconds to wait after so many failures, from 1."""
        grown = self.pause_seconds * self.factor ** min(failed - 1, 1000 if self.factor < 2 else 100)
        return min(grown, self.max_pause_seconds)


class DriftOptions(Options):
    """The live version's answers in service against those to its test rows; `validation.noise_allowance` is added."""

    urls: list[Annotated[str, Field(pattern=r"^https?://[^@\s]+$")]] = Field(
        min_length=1, description="Metrics page of every server: http://HOST:8501/monitoring/prometheus/metrics."
    )
    min_answers: int = Field(1000, ge=1, description="Fewer are not judged; then the next so many are waited for.")
    labels: float = Field(0.1, ge=0, le=1, description="Greatest L-infinity distance of the labels' shares.")
    confidence: float = Field(0.1, ge=0, le=1, description="Greatest Jensen-Shannon divergence of the confidences.")
    values: float = Field(0.1, ge=0, le=1, description="The same of the numbers that a regression answers.")
    unknown_tokens: float = Field(0.05, ge=0, le=1, description="Greatest rise of their share in explained texts.")
    pause_hours: float = Field(24.0, ge=0, description="Before drift of the same version makes another run due.")
    timeout_seconds: float = Field(5.0, gt=0, description="For each page.")


class FreshLabelsOptions(Options):
    """Files of labelled rows on each of which the gates of `attention gate` are tried, with the live version."""

    data: str | list[str] = Field(min_length=1, description="Files, globs or folders; there may be none yet.")


class ScheduleOptions(Options):
    """When `attention schedule` runs the pipeline: whenever one of its triggers says so."""

    cron: str | None = Field(None, description="Five fields as in crontab: minute, hour, day, month, day of week.")
    time_zone: str = Field("UTC", description="In which `cron` is read, such as Europe/Berlin.")
    new_data: bool = Field(False, description="A new span, or a new or changed file of the input.")
    new_rows: int | None = Field(None, ge=1, description="So many rows more than in the last run.")
    drift: DriftOptions | None = Field(None, description="What the live version answers is no longer as it was.")
    fresh_labels: FreshLabelsOptions | None = Field(
        None, description="The live version fails a gate on labelled rows that came since."
    )
    settle_seconds: float = Field(60.0, ge=0, description="Files younger than this are still being written.")
    poll_seconds: float = Field(300.0, gt=0, description="How often input and servers are looked at.")
    jitter_seconds: float = Field(
        0.0, ge=0, description="`cron` comes later by up to this, so that not all do at once."
    )
    catch_up: bool = Field(
        False, description="A run for each missed time of `cron`, on the {DATE}s until then; else one run for all."
    )
    retry: RetryOptions = RetryOptions()

    @property
    def triggers(self) -> tuple[str, ...]:
        """Names of the triggers that are set."""
        return tuple(name for name in TRIGGERS if getattr(self, name))

    @field_validator("time_zone")
    @classmethod
    def _zone_is_known(cls, name: str) -> str:
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"must be a time zone such as Europe/Berlin. Received: {name!r}") from error
        return name

    @model_validator(mode="after")
    def _cron_is_readable(self) -> Self:
        if self.cron is not None:
            from pipeline.schedule.cron import Cron  # only who writes an expression needs the library

            Cron(self.cron, self.time_zone)
        return self
