"""The report of a month says what the ledger has, and whether targets were met."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from backup_tasks.errors import Misconfigured
from backup_tasks.evidence import audit
from backup_tasks.evidence.report import Month, Report, report_of
from backup_tasks.models import AuditEntry, Run
from tests.integration.standing.conftest import Change

pytestmark = pytest.mark.usefixtures("on_project")

MONTH = "2026-02"
"""It has 28 days, and has ended."""
FULL = {"type": "full", "label": "", "output": ""}


def at(day: int, hour: float = 2.5, *, month: int = 2) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC) + timedelta(hours=hour)


def ran(kind: str, when: datetime, *, state: str = "succeeded", minutes: float = 10) -> Run:
    """A run of then. The ledger's clock is that of the database, so it is set afterwards."""
    run = Run.objects.create(
        id=f"{kind}-{when:%Y%m%dT%H%M%S}",
        kind=kind,
        state=state,
        params=FULL if kind == "backup" else {},
        trigger="schedule",
        package=f"{kind}.tar.zst",
        error=None if state == "succeeded" else {"what": "no space left", "hint": ""},
    )
    Run.objects.filter(pk=run.pk).update(
        created_at=when, started_at=when, finished_at=when + timedelta(minutes=minutes)
    )
    return Run.objects.get(pk=run.pk)


@pytest.fixture
def nights() -> None:
    """A backup and a drill every night of February and the one before, but for the 10th."""
    ran("backup", at(31, month=1))
    for day in range(1, 29):
        ran("backup", at(day), state="failed" if day == 10 else "succeeded")
        if day != 10:
            ran("drill", at(day, 3), minutes=day)


@pytest.fixture
def report(nights: None) -> Report:
    return report_of(MONTH)


def test_a_night_that_failed_is_a_day_without_a_backup(report: Report) -> None:
    assert len(report.days) == 28
    assert [day.day for day in report.missed] == [10]
    assert len(report.proofs) == 27
    assert [(each.run, each.why) for each in report.failures] == [
        (f"backup-{at(10):%Y%m%dT%H%M%S}", "no space left")
    ]


def test_the_recovery_point_is_measured_between_good_backups(report: Report) -> None:
    assert report.longest_gap == timedelta(hours=48)
    assert report.gap_from == at(9)
    assert not report.recovery_point_met


def test_the_targets_are_those_of_the_settings(nights: None, change: Change) -> None:
    change(WARN_AFTER=timedelta(hours=48), RECOVERY_TIME=timedelta(minutes=28))
    met = report_of(MONTH)
    change(RECOVERY_TIME=timedelta(minutes=27))
    missed = report_of(MONTH)

    assert (met.recovery_point_met, met.recovery_time_met) == (True, True)
    assert (missed.longest_drill, missed.recovery_time_met) == (timedelta(minutes=28), False)


def test_a_backup_that_cannot_be_the_last_good_one_does_not_count(nights: None) -> None:
    for changed in ({"label": "safety"}, {"type": "files"}, {"output": "/x"}, {"include": ["a"]}):
        extra = ran("backup", at(10, 4 + len(str(changed)) / 100))
        Run.objects.filter(pk=extra.pk).update(params={**FULL, **changed})

    assert [day.day for day in report_of(MONTH).missed] == [10]
    assert report_of(MONTH).longest_gap == timedelta(hours=48)


def test_the_time_after_the_last_backup_counts() -> None:
    ran("backup", at(1))

    report = report_of(MONTH)

    assert report.longest_gap == at(28, 24) - at(1)
    assert [day.day for day in report.missed] == list(range(2, 29))


def test_the_time_before_the_first_backup_counts_from_the_first_run_on() -> None:
    """A system that runs for weeks before it makes a backup has not met its target."""
    ran("prune", at(4, 0))
    ran("backup", at(20, 0))
    ran("backup", at(21, 0))

    report = report_of(MONTH)

    assert (report.longest_gap, report.gap_from) == (timedelta(days=16), at(4, 0))
    assert report.days[0].day == at(4).date()


def test_a_month_without_a_backup_has_met_nothing() -> None:
    report = report_of(MONTH)

    assert (report.longest_gap, report.recovery_point_met) == (None, False)
    assert "no backup of all succeeded" in report.html()


def test_restores_name_who_started_and_who_confirmed_them() -> None:
    run = ran("restore", at(5, 12))
    for what, details in (("started", {}), ("confirmed", {"confirmed": "typed shop-1.tar.zst"})):
        entry = audit.record(what, run.pk, through="admin", by="ada", details=details)
        AuditEntry.objects.filter(pk=entry.pk).update(at=at(5, 12))

    (restore,) = report_of(MONTH).restores

    assert restore.started_by == "ada (schedule)"
    assert restore.confirmed == "ada: typed shop-1.tar.zst"


def test_a_broken_chain_is_told() -> None:
    audit.record("pinned", "p", through="admin", by="ada")
    AuditEntry.objects.update(by="bob")

    report = report_of(MONTH)

    assert report.breaks == ["entry 1 was altered"]
    assert "✗ The chain is broken" in report.html()


def test_the_present_month_ends_now() -> None:
    now = datetime.now(UTC)

    report = report_of(f"{now:%Y-%m}")

    assert report.days[-1].day == now.date()
    assert "the month has not ended" in report.html()


def test_the_page_is_complete_and_escaped(nights: None) -> None:
    Run.objects.filter(state="failed").update(error={"what": "<script>alert(1)</script>"})

    text = report_of(MONTH).html()

    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "http" not in text
    assert "February 2026" in text


def test_the_command_writes_the_page_and_says_what_matters(
    nights: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.html"

    call_command("backup_report", month=MONTH, output=str(path))

    assert "<h1>Backups of" in path.read_text()
    told = capsys.readouterr().out
    assert "2 days, 0:00:00 at its worst" in told
    assert "not met" in told
    assert "days without a backup of all: 1; proofs: 27" in told
    call_command("backup_report", month=MONTH)
    assert capsys.readouterr().out.startswith("<!DOCTYPE html>")
    call_command("backup_report", month=MONTH, json=True)
    assert json.loads(capsys.readouterr().out)["recovery_point"] == {
        "worst": 172800,
        "target": 108000,
        "met": False,
    }


@pytest.mark.parametrize("month", ["2026-13", "2026-00", "2026", "november", "0001-01", "2026-1"])
def test_what_is_no_month_is_refused(month: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("backup_report", month=month)

    assert refused.value.returncode == 2


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="can't be written"):
        call_command("backup_report", month=MONTH, output=str(tmp_path / "no" / "x.html"))


def test_a_month_that_has_not_begun_has_no_report() -> None:
    with pytest.raises(Misconfigured, match="2999-01 has not begun"):
        Month.of("2999-01")
