"""Times of a cron expression in a time zone, as Debian's cron has them when clocks are put forward or back.

What has a fixed hour comes once a day: in the skipped hour right after it, in the repeated one the first time. What has
`*` for its hour or minute goes on by elapsed time.
"""

import datetime
import random
import zoneinfo
from collections.abc import Iterator

from cronsim import CronSim, CronSimError

LOOKBACKS = (datetime.timedelta(days=2), datetime.timedelta(days=40))


class Cron:
    """A schedule of points in time.

    Args:
        expression: five fields.
        time_zone: IANA name.
        jitter_seconds: each point comes later by up to this.
        key: the jitter depends on it and on the point alone, so that every look and every restart finds the same.

    Raises:
        ValueError: the expression cannot be read, or never comes.
    """

    def __init__(self, expression: str, time_zone: str = "UTC", jitter_seconds: float = 0, key: str = ""):
        self._expression, self._jitter, self._key = expression, jitter_seconds, key
        self.zone = zoneinfo.ZoneInfo(time_zone)
        try:
            if len(expression.split()) != 5:
                raise CronSimError("Wrong number of fields")
            next(CronSim(expression, datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)))
        except (CronSimError, StopIteration) as error:
            raise ValueError(
                f"`schedule.cron` must have five fields as in crontab: minute, hour, day of month, month, day of week. "
                f"Received: {expression!r} ({str(error) or 'it never comes'})."
            ) from error

    def after(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        """The points after a moment, in UTC, without jitter."""
        last = moment
        for point in CronSim(self._expression, moment.astimezone(self.zone)):
            point = point.astimezone(datetime.UTC)
            if point > last:  # the library starts from the clock on the wall, which shows some times twice
                yield point
                last = point

    def comes(self, point: datetime.datetime) -> datetime.datetime:
        """A point with its jitter."""
        share = random.Random(f"{self._key} {point.timestamp()}").random()
        return point + datetime.timedelta(seconds=share * self._jitter)

    def oldest_missed(self, done: datetime.datetime, now: datetime.datetime) -> datetime.datetime | None:
        """The first point after `done` that has come, if any has."""
        point = next(self.after(done), None)
        return point if point is not None and self.comes(point) <= now else None

    def newest_missed(self, done: datetime.datetime, now: datetime.datetime) -> datetime.datetime | None:
        """The last point after `done` that has come, if any has."""
        for start in (*(now - lookback for lookback in LOOKBACKS), done):
            newest = None
            for point in self.after(max(start, done)):
                if point > now:
                    break
                if self.comes(point) <= now:
                    newest = point
            if newest is not None or start <= done:
                return newest
        return None

    def next_after(self, done: datetime.datetime, now: datetime.datetime) -> datetime.datetime | None:
        """When the next point comes that is still to come, with its jitter."""
        for point in self.after(max(done, now - datetime.timedelta(seconds=self._jitter))):
            if self.comes(point) > now:
                return self.comes(point)
        return None
