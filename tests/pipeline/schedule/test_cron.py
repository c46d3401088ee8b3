"""Times of day on the days when clocks change, and jitter that keeps its bounds and its value."""

import datetime
import itertools

import pytest

from pipeline.schedule.cron import Cron


def at(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


def points(expression, zone, start, count):
    return [f"{each:%d %H:%M}" for each in itertools.islice(Cron(expression, zone).after(at(start)), count)]


def test_a_time_of_day_follows_the_zone_through_the_year():
    assert points("30 2 * * *", "Europe/Berlin", "2026-01-10", 1) == ["10 01:30"]
    assert points("30 2 * * *", "Europe/Berlin", "2026-07-10", 1) == ["10 00:30"]
    assert points("30 2 * * *", "Asia/Kathmandu", "2026-07-10", 1) == ["10 20:45"]


def test_a_skipped_time_comes_right_after_the_skipped_hour_and_once():
    assert points("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", 2) == ["29 01:00", "30 00:30"]
    assert points("0,30 2 * * *", "America/New_York", "2026-03-08T00:00", 3) == ["08 07:00", "09 06:00", "09 06:30"]


def test_a_repeated_time_comes_the_first_time_only():
    assert points("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", 2) == ["25 00:30", "26 01:30"]
    between = "2026-10-25T01:15"  # 02:15 the second time; 02:30 was there already, an hour before
    assert points("30 2 * * *", "Europe/Berlin", between, 1) == ["26 01:30"]


def test_what_comes_every_hour_goes_by_elapsed_time():
    for day in ("2026-03-29", "2026-10-25"):
        found = list(itertools.islice(Cron("0 * * * *", "Europe/Berlin").after(at(day)), 6))
        assert {later - earlier for earlier, later in itertools.pairwise(found)} == {datetime.timedelta(hours=1)}


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Africa/Casablanca"]
)
@pytest.mark.parametrize("expression", ["30 2 * * *", "0 2 * * 0", "15 1,2,3 * * *"])
def test_points_rise_and_whatever_is_missed_is_found(zone, expression):
    cron, start, end = Cron(expression, zone), at("2026-01-01"), at("2027-01-01")
    year = list(itertools.takewhile(lambda point: point < end, cron.after(start)))
    assert all(earlier < later for earlier, later in itertools.pairwise(year))
    per_year = {"30 2 * * *": 365, "0 2 * * 0": 52, "15 1,2,3 * * *": 3 * 365}[expression]
    assert per_year - 2 <= len(year) <= per_year
    assert cron.newest_missed(start, end) == year[-1]
    assert cron.oldest_missed(start, end) == year[0]
    done, found = start, []
    while (point := cron.oldest_missed(done, end)) is not None:
        found.append(point)
        done = point
    assert found == year
    assert cron.newest_missed(year[-1], end) is None


def test_a_rare_time_is_found_years_later():
    assert Cron("0 0 29 2 *").newest_missed(at("2023-01-01"), at("2027-06-01")) == at("2024-02-29")
    assert Cron("0 0 29 2 *").newest_missed(at("2024-02-29"), at("2027-06-01")) is None


def test_jitter_stays_in_its_bounds_and_is_the_same_at_every_look():
    cron, again, other = (Cron("0 * * * *", "UTC", 600, key) for key in ("a", "a", "b"))
    hours = list(itertools.islice(cron.after(at("2026-01-01")), 500))
    late = [(cron.comes(hour) - hour).total_seconds() for hour in hours]
    assert 0 <= min(late) < 60
    assert 540 < max(late) <= 600
    assert late == [(again.comes(hour) - hour).total_seconds() for hour in hours]
    assert late != [(other.comes(hour) - hour).total_seconds() for hour in hours]


def test_a_point_is_missed_from_its_jittered_time_on():
    cron, point, second = Cron("0 6 * * *", "UTC", 3600, "a"), at("2026-01-01T06:00"), datetime.timedelta(seconds=1)
    comes, done = cron.comes(point), at("2026-01-01")
    assert cron.newest_missed(done, comes - second) is cron.oldest_missed(done, comes - second) is None
    assert cron.next_after(done, comes - second) == comes
    assert cron.newest_missed(done, comes) == cron.oldest_missed(done, comes) == point
    assert cron.next_after(point, comes) == cron.comes(at("2026-01-02T06:00"))


@pytest.mark.parametrize("expression", ["", "* * * *", "* * * * * *", "61 * * * *", "0 0 30 2 *", "0 0 * * FOO"])
def test_what_is_no_expression_is_refused(expression):
    with pytest.raises(ValueError, match=r"five fields as in crontab.*Received: '"):
        Cron(expression)
