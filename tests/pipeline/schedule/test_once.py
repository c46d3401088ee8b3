"""When a run is due, what follows a failure, and a month of days."""

import datetime
from pathlib import Path

import pytest

from pipeline.config import ConfigError

DAILY = "schedule.cron=30 2 * * *"


def test_a_time_of_day_runs_once_a_day(scheduled):
    scheduled.set(DAILY)
    scheduled.write()
    first = scheduled.once()
    assert first["verdict"] == "not_due"
    assert first["next"] == "2026-01-01T02:30:00+00:00"
    found = []
    for _ in range(72):
        scheduled.forward(hours=1)
        found.append(scheduled.verdict())
    assert [hour for hour, verdict in enumerate(found, 1) if verdict == "pushed"] == [3, 27, 51]
    assert set(found) == {"pushed", "not_due"}


def test_missed_times_are_one_run_unless_each_is_to_be_caught_up(scheduled):
    for day in (1, 2, 3, 4, 5):
        scheduled.write(f"mood-2026010{day}.csv")
    scheduled.set(DAILY, f"data.input={scheduled.folder}/mood-{{DATE}}.csv")
    scheduled.once()
    scheduled.forward(days=4)
    assert [scheduled.verdict(), scheduled.verdict()] == ["pushed", "not_due"]
    assert scheduled.seen == [f"{scheduled.folder}/mood-20260105.csv"]
    scheduled.set("schedule.catch_up=true")
    for day in (6, 7, 8):
        scheduled.write(f"mood-2026010{day}.csv")
    scheduled.forward(days=3)
    scheduled.verdicts = ["pushed", "failed"]
    assert [scheduled.verdict(), scheduled.verdict()] == ["pushed", "failed"]
    scheduled.forward(seconds=60)
    # The next missed time comes before the next try of the one that failed: its spans are a part of those.
    assert [scheduled.verdict(), scheduled.verdict()] == ["pushed", "not_due"]
    assert [each[-8:-4] for each in scheduled.seen[1:]] == ["0105", "0106", "0107"]


def test_a_clock_that_is_put_back_does_not_silence_the_schedule(scheduled):
    scheduled.set(DAILY)
    scheduled.write()
    scheduled.forward(days=300)
    scheduled.once()
    scheduled.forward(days=-290)
    assert scheduled.verdict() == "not_due"
    scheduled.forward(days=1)
    assert scheduled.verdict() == "pushed"


def test_new_data_runs_when_it_has_settled_and_only_then(scheduled):
    scheduled.set("schedule.new_data=true", "schedule.settle_seconds=60")
    assert scheduled.once() | {"why": ""} == {
        "verdict": "failed", "why": "", "triggers": [], "next": None, "exit_code": 2
    }  # fmt: skip
    scheduled.write()
    scheduled.forward(seconds=59)
    waiting = scheduled.once()
    assert (waiting["verdict"], waiting["next"]) == ("not_due", "2026-01-01T00:01:00+00:00")
    scheduled.forward(seconds=1)
    done = scheduled.once()
    assert (done["verdict"], done["triggers"], done["attempt"]) == ("pushed", ["new_data"], 1)
    assert scheduled.verdict() == "not_due"
    scheduled.write(rows=11)
    scheduled.forward(seconds=60)
    assert scheduled.verdict() == "pushed"
    assert scheduled.verdict() == "not_due"


def test_a_file_that_is_gone_is_nothing_new_and_a_new_one_beside_it_is(scheduled):
    scheduled.set("schedule.new_data=true", f"data.input={scheduled.folder}/days", "schedule.settle_seconds=0")
    for name in ("days/a.csv", "days/b.csv"):
        scheduled.write(name)
    assert scheduled.verdict() == "pushed"
    (scheduled.folder / "days" / "a.csv").unlink()
    assert scheduled.verdict() == "not_due"
    scheduled.write("days/c.csv")
    assert scheduled.verdict() == "pushed"


def test_so_many_new_rows_make_a_run_due(scheduled):
    scheduled.set("schedule.new_rows=25", "schedule.settle_seconds=0", f"data.input={scheduled.folder}/days")
    scheduled.write("days/a.csv", 30)
    assert scheduled.once()["triggers"] == ["new_rows"]
    for rows, verdict in ((40, "not_due"), (54, "not_due"), (55, "pushed"), (60, "not_due")):
        scheduled.forward(hours=1)
        scheduled.write("days/a.csv", rows)
        assert scheduled.verdict() == verdict, rows
    scheduled.write("days/b.csv", 19)
    assert scheduled.verdict() == "not_due"
    scheduled.write("days/c.csv", 1)
    assert scheduled.verdict() == "pushed"
    (scheduled.folder / "days" / "d.csv").write_bytes(b"\x1f\x8b broken")
    assert scheduled.verdict() == "pushed"  # what cannot be counted is for the run to tell
    assert scheduled.verdict() == "not_due"


def test_rows_are_counted_once(scheduled, monkeypatch):
    from pipeline.schedule import data

    counted = []
    monkeypatch.setattr(data, "_rows", lambda path, config: counted.append(Path(path).name) or 10)
    scheduled.set("schedule.new_rows=1000", "schedule.settle_seconds=0", f"data.input={scheduled.folder}/days")
    scheduled.write("days/a.csv")
    for _ in range(3):
        scheduled.once()
    scheduled.write("days/b.csv")
    scheduled.once()
    assert counted == ["a.csv", "b.csv"]


def test_a_failure_is_tried_again_ever_later_and_given_up(scheduled):
    scheduled.set(DAILY, "schedule.retry={attempts: 4, pause_seconds: 100, factor: 3, max_pause_seconds: 500}")
    scheduled.write()
    scheduled.once()
    scheduled.forward(hours=3)
    scheduled.verdicts = ["failed"] * 4
    assert scheduled.verdict() == "failed"
    for pause in (100, 300, 500):
        scheduled.forward(seconds=pause - 1)
        assert scheduled.verdict() == "not_due"
        scheduled.forward(seconds=1)
        assert scheduled.verdict() == "failed"
    scheduled.forward(hours=20)
    assert scheduled.verdict() == "not_due"
    scheduled.forward(hours=4)
    done = scheduled.once()
    assert (done["verdict"], done["attempt"]) == ("pushed", 1)


@pytest.mark.parametrize("verdict", ["blocked", "unchanged", "pushed"])
def test_a_verdict_is_not_tried_again(scheduled, verdict):
    scheduled.set("schedule.new_data=true", "schedule.settle_seconds=0")
    scheduled.write()
    scheduled.verdicts = [verdict]
    assert scheduled.verdict() == verdict
    scheduled.forward(days=2)
    assert scheduled.verdict() == "not_due"
    assert scheduled.state.last.verdict == verdict


def test_new_data_does_not_wait_for_the_next_try(scheduled):
    scheduled.set("schedule.new_data=true", "schedule.settle_seconds=0", "schedule.retry.pause_seconds=3600")
    scheduled.write()
    scheduled.verdicts = ["failed"]
    assert scheduled.verdict() == "failed"
    scheduled.forward(seconds=60)
    scheduled.write(rows=20)
    done = scheduled.once()
    assert (done["verdict"], done["attempt"]) == ("pushed", 1)
    scheduled.forward(hours=2)
    assert scheduled.verdict() == "not_due"


def test_input_that_is_away_at_the_time_fails_and_is_tried_again(scheduled):
    scheduled.set(DAILY)
    scheduled.once()
    scheduled.forward(hours=3)
    scheduled.verdicts = ["failed", "pushed"]
    assert scheduled.verdict() == "failed"
    scheduled.write()
    scheduled.forward(seconds=60)
    assert scheduled.verdict() == "pushed"


def test_a_schedule_without_trigger_is_refused(scheduled):
    with pytest.raises(ConfigError, match="names no trigger: set `schedule.cron`"):
        scheduled.once()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("schedule.cron=now", "`schedule`: .*five fields as in crontab.*Received: 'now'"),
        ("schedule.time_zone=Mars/Base", "`schedule.time_zone`: must be a time zone.*Received: 'Mars/Base'"),
        ("schedule.time_zone=../../etc/passwd", "must be a time zone"),
        ("schedule.new_rows=0", "`schedule.new_rows`"),
        ("schedule.retry.factor=0.5", "`schedule.retry.factor`"),
        ("schedule.every=day", "`schedule.every`: is not a setting that is known here"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_path(scheduled, setting, message):
    scheduled.set(setting)
    with pytest.raises(ConfigError, match=message):
        _ = scheduled.config


def test_a_month_with_a_span_a_day(scheduled):
    """Label shift on day 12, broken file on day 20. The runs' verdicts are given, all else is the scheduler's."""
    scheduled.set(
        "schedule={cron: '0 6 * * *', time_zone: Europe/Berlin, new_data: true, settle_seconds: 0}",
        f"data.input={scheduled.folder}/mood-{{DATE}}.csv",
        "data.window.train=7",
    )
    scheduled.set("schedule.retry={attempts: 3, pause_seconds: 600, factor: 2}")
    start = datetime.datetime(2026, 3, 10, tzinfo=datetime.UTC)  # the clocks go forward on day 20
    by_day = {day: [] for day in range(1, 31)}
    for hour in range(30 * 24):
        scheduled.now = start + datetime.timedelta(hours=hour)
        day = hour // 24 + 1
        if hour % 24 == 3:
            scheduled.write(f"mood-{scheduled.now:%Y%m%d}.csv", 10 + day)
        newest = sorted(scheduled.folder.glob("mood-*.csv"))[-1].name[5:13] if hour > 2 else ""
        scheduled.verdicts = {"20260321": ["blocked"], "20260329": ["failed"]}.get(newest, ["pushed"])
        done = scheduled.once()
        if done["verdict"] != "not_due":
            by_day[day].append((done["verdict"], tuple(done["triggers"])))
    good = [("pushed", ("new_data",)), ("pushed", ("cron",))]
    for day, found in by_day.items():
        if day == 12:
            assert found == [("blocked", ("new_data",)), ("blocked", ("cron",))]
        elif day == 20:
            assert [verdict for verdict, _ in found[:3]] == ["failed"] * 3
            assert {verdict for verdict, _ in found} == {"failed"}
            assert len(found) == 4  # 03:00 new data, 04:00 due by the clock and afresh, 05:00 and 06:00 again
        elif day == 1:
            assert found == [("failed", ())] * 3 + good  # no file before three
        else:
            assert found == good, day
    final = scheduled.seen[-1]
    assert final["test"].endswith("20260408.csv")
    assert [path[-8:-4] for path in final["train"]] == [f"04{day:02}" for day in range(1, 8)]
    assert len(list(scheduled.folder.glob("mood-*.csv"))) == 30
