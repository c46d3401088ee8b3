"""The `schedule` group of the config."""

import zoneinfo
from typing import Self

from pydantic import Field, field_validator, model_validator

from models.spec import Options


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


class ScheduleOptions(Options):
    """When `attention schedule` runs the pipeline: whenever one of its triggers says so."""

    cron: str | None = Field(None, description="Five fields as in crontab: minute, hour, day, month, day of week.")
    time_zone: str = Field("UTC", description="In which `cron` is read, such as Europe/Berlin.")
    new_data: bool = Field(False, description="A new span, or a new or changed file of the input.")
    new_rows: int | None = Field(None, ge=1, description="So many rows more than in the last run.")
    settle_seconds: float = Field(60.0, ge=0, description="Files younger than this are still being written.")
    poll_seconds: float = Field(300.0, gt=0, description="How often the input is looked at.")
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
        told = {"cron": self.cron, "new_data": self.new_data, "new_rows": self.new_rows}
        return tuple(name for name, value in told.items() if value)

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
