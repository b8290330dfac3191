"""A project that does what docs/how-to/schedule-nights.md says, word for word, has its nights; also
when Redis is restarted while a step runs (C20)."""

import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from celery import Celery

from backup_tasks import celery_defaults
from edms.local.instance import ROOT
from edms.local.ports import LOOPBACK, free_port
from edms.local.processes import Child, start
from edms.local.redis import start_redis
from tests.habits.pages import page
from tests.integration.celery.stage import until

PAGE = page("docs/how-to/schedule-nights.md")
HOLD = """
    from pathlib import Path

    import time

    def until_released(alias):
        Path("begun").touch()
        while not Path("released").exists():
            time.sleep(0.05)
        return []
"""


class Shop:
    """A project that was made by `startproject` and what the page says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis_folder = folder / "redis"
        self.redis_folder.mkdir()
        self.port = free_port()
        self.env = {
            **{name: value for name, value in os.environ.items() if "DJANGO" not in name},
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": f"redis://{LOOPBACK}:{self.port}/0",
        }
        self.do("django-admin startproject shop .")
        written: set[str] = set()
        for block in PAGE.fenced("python"):
            name, _, text = block.partition("\n")
            if name.startswith("# shop/") and name not in written:
                written.add(name)
                with (folder / name.removeprefix("# ")).open("a") as module:
                    module.write(text)
        assert len(written) == 3
        # What the test adds: a step that waits for it.
        (folder / "hold.py").write_text(dedent(HOLD))
        with (folder / "shop/settings.py").open("a") as settings:
            settings.write('\nBACKUP = {"CHECKS": ["hold.until_released"]}\n')

    def do(self, line: str) -> None:
        subprocess.run(self.command(line), cwd=self.folder, env=self.env, check=True, timeout=120)

    def run(self, line: str, name: str) -> Child:
        log = self.folder / f"{name}.log"
        return start(name, self.command(line), cwd=self.folder, env=self.env, log=log)

    @staticmethod
    def command(line: str) -> list[str]:
        program, *arguments = shlex.split(line)
        modules = {"celery": ["-m", "celery"], "django-admin": ["-m", "django"], "python": []}
        return [sys.executable, *modules[program], *arguments]

    def states(self) -> list[tuple[str, str]]:
        """Kind and state of each run, in order."""
        with sqlite3.connect(self.folder / "db.sqlite3", timeout=30) as database:
            rows = database.execute("SELECT kind, state FROM backup_tasks_run ORDER BY created_at")
            return rows.fetchall()

    def step(self, name: str) -> str:
        """The state of the newest step of that name."""
        with sqlite3.connect(self.folder / "db.sqlite3", timeout=30) as database:
            rows = database.execute(
                "SELECT state FROM backup_tasks_step WHERE name = ? ORDER BY id DESC", [name]
            )
            return str(rows.fetchone()[0])


def lines(start: str) -> list[str]:
    """The page's shell lines that begin so."""
    found = [line for line in PAGE.code_lines if line.startswith(start)]
    assert found
    return found


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def redis(shop: Shop) -> Iterator[list[Child]]:
    """The Redis that runs is the last."""
    servers = [start_redis(shop.redis_folder, shop.port)]
    yield servers
    servers[-1].stop()


@pytest.fixture
def workers(shop: Shop, redis: list[Child], options: str) -> Iterator[list[Child]]:
    shop.do(lines("python manage.py migrate")[0])
    started = [
        shop.run(f"{line} {options}" if " worker " in line else line, f"worker-{number}")
        for number, line in enumerate(lines("celery -A shop"))
    ]
    yield started
    for child in started:
        child.stop()


@pytest.mark.parametrize("options", ["", "-c 2 --without-gossip --without-mingle"])
def test_another_project_s_night_survives_a_restart_of_redis_in_a_step(
    shop: Shop, redis: list[Child], workers: list[Child]
) -> None:
    """With these options, kombu's own transport ends the worker."""
    *backup, drill = lines("python manage.py")[1:4]
    for line in (*backup, drill):
        shop.do(line)
    until((shop.folder / "begun").exists, "the drill is being validated")
    assert shop.states() == [("backup", "succeeded"), ("drill", "running")]

    redis[-1].stop(signal.SIGKILL)
    (shop.folder / "released").touch()
    until(lambda: shop.step("validate") == "succeeded", "the step has ended while Redis is away")
    redis.append(start_redis(shop.redis_folder, shop.port))

    def ended() -> bool:
        for worker in workers:
            worker.check()
        return ("drill", "succeeded") in shop.states()

    until(ended, "the drill has succeeded")
    for line in backup:
        shop.do(line)
    assert shop.states()[-1] == ("backup", "succeeded"), "the worker still works"
    for worker in workers:
        worker.check()


STARTS_BEAT = """
    from celery import current_app

    from backup_tasks.beat_scheduler import DatabaseScheduler
    from backup_tasks.status import schedules

    entries = DatabaseScheduler(app=current_app).schedule
    print(sorted(name for name in entries if not name.startswith("celery.")))
    print(schedules.without_entry())
"""
EDITS = """
    from django_celery_beat.models import CrontabSchedule, PeriodicTask

    at_four = CrontabSchedule.objects.create(minute="0", hour="4", timezone="Europe/Berlin")
    PeriodicTask.objects.filter(name="nightly").update(crontab=at_four)
    PeriodicTask.objects.filter(name="hourly").update(enabled=False)
"""
READS = """
    from django_celery_beat.models import PeriodicTask

    for row in PeriodicTask.objects.filter(task="backup_tasks.scheduled").order_by("name"):
        print(row.name, row.crontab.hour, row.crontab.timezone, row.enabled, row.kwargs)
"""


def test_schedules_that_are_edited_in_the_admin_stay_edited(shop: Shop) -> None:
    """C15: the page's other schedules, with django-celery-beat, whose beat is started twice."""
    (block,) = (text for text in PAGE.fenced("python") if "SCHEDULES" in text)
    with (shop.folder / "shop/settings.py").open("a") as settings:
        settings.write(f"{block}\nINSTALLED_APPS += ['django_celery_beat']\n")
    shop.do("python manage.py migrate -v 0")

    def tell(program: str) -> list[str]:
        command = shop.command("python manage.py shell -v 0 -c")
        done = subprocess.run(
            [*command, dedent(program)],
            cwd=shop.folder,
            env=shop.env,
            check=True,
            timeout=120,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.splitlines()

    assert tell(STARTS_BEAT) == ["['hourly', 'nightly', 'reconcile', 'weekly']", "[]"]
    tell(EDITS)
    entries, without = tell(STARTS_BEAT)
    assert "reconcile" in entries
    assert "hourly" not in entries
    assert without == "['hourly']"

    assert tell(READS) == [
        'hourly * UTC False {"schedule": "hourly"}',
        'nightly 4 Europe/Berlin True {"schedule": "nightly"}',
        'weekly 5 UTC True {"schedule": "weekly"}',
    ]


def test_the_settings_are_the_same_with_and_without_the_namespace() -> None:
    plain, namespaced = (
        Celery("plain", set_as_current=False),
        Celery("namespaced", set_as_current=False),
    )
    plain.config_from_object("backup_tasks.celery_defaults")
    namespaced.config_from_object("backup_tasks.celery_defaults.namespaced", namespace="CELERY")

    for name in celery_defaults.__all__:
        value = getattr(celery_defaults, name)
        assert getattr(plain.conf, name) == getattr(namespaced.conf, name) == value, name
