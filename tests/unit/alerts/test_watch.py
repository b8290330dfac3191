"""An incident is told once: by the reconciler or by cron, killed or not, with or without a
database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django_celery_results.models import TaskResult
from pytest_django import Settings

from backup_tasks import ledger, moments, tasks
from backup_tasks.alerts import outbox, state
from backup_tasks.alerts.watch import tell, watch
from backup_tasks.errors import StorageRefused
from backup_tasks.package.signature import generate_key
from backup_tasks.status.conditions import judge
from tests.habits.pages import ROOT
from tests.integration.standing.conftest import fails, run_here
from tests.services import Project
from tests.unit.alerts.conftest import SECRET, long_ago
from tests.unit.alerts.receivers import Postbox, Receiver
from tests.unit.status.situations import SAFE, aged, but


def reconcile() -> list[str]:
    """What beat starts every minute; five minutes have passed since the last time."""
    if state.default_file().exists():
        long_ago()
    TaskResult.objects.update_or_create(
        task_id="1", defaults={"task_name": "backup_tasks.reconcile", "status": "SUCCESS"}
    )
    unsent: list[str] = tasks.reconcile()["unsent"]
    return unsent


def began(receiver: Receiver) -> list[list[str]]:
    """The reasons that began, by message."""
    return [[each["reason"] for each in body["began"]] for body in receiver.bodies()]


def over(receiver: Receiver) -> list[list[str]]:
    return [[each["reason"] for each in body["over"]] for body in receiver.bodies()]


def test_nobody_to_tell_means_no_look_at_the_stores(on_project: Project) -> None:
    assert watch() == []

    assert not state.default_file().exists()


def test_the_reconciler_tells_an_incident_once_and_when_it_is_over(with_hook: Receiver) -> None:
    for _ in range(3):
        assert reconcile() == []
    assert began(with_hook) == [["no_good_backup"]]

    run_here("backup")
    run_here("drill")
    for _ in range(3):
        assert reconcile() == []

    assert began(with_hook)[1:] == [[]]
    assert over(with_hook) == [[], ["no_good_backup"]]
    assert with_hook.bodies()[1]["status"] == "ok"


def test_a_failed_drill_is_told_with_its_cause(with_hook: Receiver) -> None:
    run_here("backup")
    run_here("drill")
    failed = fails("drill", package="nowhere.tar.zst")

    reconcile()

    (incident,) = with_hook.bodies()[0]["began"]
    assert (incident["reason"], incident["about"]) == ("run_failed", "drill")
    assert failed.pk in incident["what"]


def test_it_looks_every_five_minutes_not_every_minute(with_hook: Receiver) -> None:
    assert watch() == []
    run_here("backup")

    assert watch() == []
    assert len(with_hook.requests) == 1

    long_ago()
    watch()
    assert over(with_hook)[1:] == [["no_good_backup"]]


def test_it_tells_also_where_reconciling_itself_fails(
    with_hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(ledger, "abandoned", broken)

    with pytest.raises(DatabaseError):
        tasks.reconcile()

    assert began(with_hook)[0][-1] in ("no_good_backup", "beat_silent")


def test_what_one_channel_does_not_take_is_sent_to_that_one_again(
    with_hook: Receiver, box: Postbox, settings: Settings
) -> None:
    settings.BACKUP = {**settings.BACKUP, "ALERT_MAIL": ["ada@example.com"]}
    with_hook.answers += [503, 503]

    (problem,) = reconcile()
    assert "503" in problem
    assert watch() == []  # the first pause has not passed
    assert [len(with_hook.requests), len(box.mails)] == [1, 1]
    reconcile()
    assert reconcile() == []
    assert reconcile() == []

    ids = {body["id"] for body in with_hook.bodies()}
    assert [len(with_hook.requests), len(ids), len(box.mails)] == [3, 1, 1]


def test_pauses_grow_to_an_hour_and_a_message_is_given_up_after_days(
    with_hook: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with_hook.answers += [503] * 10
    reconcile()
    with state.held(state.default_file()) as file:
        assert file is not None
        file.state["outbox"][0]["tries"] = 40
        file.save()
    reconcile()
    with state.held(state.default_file()) as file:
        assert file is not None
        (sending,) = file.state["outbox"]
        pause = state.moment(sending["next_at"])
        assert pause is not None
        assert pause - moments.now() <= outbox.LONGEST_PAUSE
        sending["message"]["at"] = (moments.now() - timedelta(days=4)).isoformat()
        file.save()

    reconcile()

    assert "is given up" in caplog.text
    assert reconcile() == []
    assert len(with_hook.requests) == 3


def test_a_channel_that_the_settings_no_longer_have_gets_nothing(
    with_hook: Receiver, settings: Settings, monitor: Receiver
) -> None:
    with_hook.answers.append(503)
    reconcile()
    settings.BACKUP = {**settings.BACKUP, "ALERT_WEBHOOKS": [monitor.url]}

    assert reconcile() == []

    assert (len(with_hook.requests), monitor.requests) == (1, [])


def environment(project: Project, hook: Receiver, box: Postbox) -> dict[str, str]:
    return {
        **project.env,
        "BACKUP_ALERT_WEBHOOKS": hook.url,
        "BACKUP_ALERT_SECRET": SECRET,
        "BACKUP_ALERT_MAIL": "ada@example.com",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(box.port),
    }


def notify(env: dict[str, str]) -> subprocess.Popen[str]:
    """What cron does."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "backup_status", "--notify"],
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, told = process.communicate(timeout=60)
    return process.returncode, told


def test_a_process_that_is_killed_while_it_sends_loses_no_message(
    on_project: Project, hook: Receiver, box: Postbox
) -> None:
    env = environment(on_project, hook, box)
    hook.hold.clear()
    killed = notify(env)
    assert hook.arrived.wait(60)
    killed.send_signal(signal.SIGKILL)
    assert ended(killed)[0] == -signal.SIGKILL
    hook.hold.set()
    assert len(box.mails) == 1  # it was sent before the webhook

    long_ago()
    assert ended(notify(env)) == (2, "")
    assert ended(notify(env)) == (2, "")

    first, again = hook.bodies()
    assert first == again  # under the same id
    assert len(box.mails) == 1


def test_a_database_that_is_away_for_a_while_is_told_once_and_closes_nothing(
    on_project: Project, hook: Receiver, box: Postbox
) -> None:
    env = environment(on_project, hook, box)
    on_project.succeed("create_backup")
    on_project.succeed("drill_restore")
    TaskResult.objects.create(task_id="1", task_name="backup_tasks.reconcile", status="SUCCESS")
    fails("drill", package="nowhere.tar.zst")
    assert ended(notify(env))[1] == ""
    away = on_project.database.with_suffix(".away")
    on_project.database.rename(away)
    try:
        for _ in range(2):
            code, told = ended(notify(env))
            assert (code, told) == (3, "")
    finally:
        away.rename(on_project.database)

    assert ended(notify(env)) == (1, "")

    assert began(hook) == [["run_failed"], ["not_asked"], []]
    assert over(hook) == [[], [], ["not_asked"]]
    assert len(box.mails) == 3


def test_cron_and_the_reconciler_tell_an_incident_once_together(
    with_hook: Receiver, on_project: Project, box: Postbox
) -> None:
    reconcile()

    ended(notify({**environment(on_project, with_hook, box), "BACKUP_ALERT_MAIL": ""}))

    assert began(with_hook) == [["no_good_backup"]]


def test_what_cron_alone_asks_about_is_not_over_for_the_reconciler(with_hook: Receiver) -> None:
    tell(judge(but(workers={})))
    run_here("backup")
    run_here("drill")

    reconcile()
    reconcile()

    assert began(with_hook) == [["no_worker"]]


def test_a_state_that_cannot_be_written_stops_no_alert(with_hook: Receiver, tmp_path: Path) -> None:
    """A full disk is one of the things to tell."""
    path = tmp_path / "state" / "alerts.json"
    tell(judge(SAFE), path=path)
    path.unlink()
    path.with_suffix(".new").mkdir()
    path.mkdir()
    path.rmdir()
    path.symlink_to(tmp_path / "nowhere" / "alerts.json")

    problems = tell(judge(aged(31)), path=path)

    assert began(with_hook) == [["backup_late"]]
    assert "can't be written down" in problems[0]


def test_a_disk_without_room_for_a_second_file_still_remembers(
    with_hook: Receiver, tmp_path: Path
) -> None:
    path = tmp_path / "alerts.json"
    tell(judge(SAFE), path=path)
    path.with_suffix(".new").mkdir()

    for _ in range(3):
        assert tell(judge(aged(31)), path=path) == []

    assert began(with_hook) == [["backup_late"]]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 2}', b"\xff"])
def test_a_state_that_is_none_is_begun_anew(
    with_hook: Receiver, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "alerts.json"
    path.write_bytes(content)

    assert tell(judge(aged(31)), path=path) == []

    assert began(with_hook) == [["backup_late"]]


def test_somebody_who_cannot_even_look_tells_that_and_closes_nothing(
    with_hook: Receiver, settings: Settings, tmp_path: Path
) -> None:
    """A trusted key that is no key."""
    secret, _ = generate_key()
    key = tmp_path / "signing.key"
    key.write_text(secret)
    key.chmod(0o600)
    settings.BACKUP = {**settings.BACKUP, "SIGNING_KEY": str(key)}
    run_here("backup")
    reconcile()
    sound = settings.BACKUP
    settings.BACKUP = {**sound, "TRUSTED_KEYS": ["no key"]}

    for _ in range(2):
        assert reconcile() == []
    with pytest.raises(CommandError):
        call_command("backup_status", notify=True)

    settings.BACKUP = sound
    assert reconcile() == []
    assert began(with_hook) == [["never_proven"], ["not_asked"], []]
    assert over(with_hook) == [[], [], ["not_asked"]]


def test_one_process_at_a_time_sends(with_hook: Receiver, tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    with state.held(path):
        assert tell(judge(aged(31)), path=path) == [
            "another process is sending alerts at this moment"
        ]
    assert with_hook.requests == []


def test_a_state_in_a_folder_that_is_none_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageRefused, match="--state"):
        tell(judge(SAFE), path=tmp_path / "file" / "alerts.json")
