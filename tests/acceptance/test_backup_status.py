"""`backup_status` as monitors run it: the lines of its how-to page, word for word."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edms.local.processes import wait_until
from tests.habits.pages import ROOT, page
from tests.services import MakeProject, Project

PAGE = page("docs/how-to/know-whether-my-data-is-safe.md")


@pytest.fixture
def safe(make_project: MakeProject) -> Project:
    """An EDMS with a proven backup, and beat and a worker that have just done something."""
    project = make_project("sqlite", demo=True)
    project.succeed("create_backup")
    project.succeed("drill_restore")
    project.evaluate(
        "__import__('django_celery_results.models').models.TaskResult.objects.create("
        "task_id='1', task_name='backup_tasks.reconcile', status='SUCCESS').pk"
    )
    return project


def line(beginning: str) -> str:
    """The one line of the page's code that begins like that."""
    (found,) = {each for each in PAGE.code_lines if each.startswith(beginning)}
    return found


def shell(command: str, project: Project) -> subprocess.CompletedProcess[str]:
    """Run it as /bin/sh does, where the project is."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["/bin/sh", "-c", command.replace("/srv/shop", str(ROOT))],
        cwd=ROOT,
        env={**os.environ, **project.env, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_lines_of_the_page_tell_monitors_what_is_so(safe: Project) -> None:
    plain = "python manage.py backup_status"
    cron = line("*/30 ").split(maxsplit=5)[5]
    nagios = line("command[check_backup]=").partition("=")[2]
    docker = line("HEALTHCHECK ").partition(" CMD ")[2]
    script = line("python manage.py backup_status --json")

    assert plain in PAGE.code_lines
    told = shell(plain, safe)
    assert (told.returncode, told.stderr) == (0, "")
    assert re.fullmatch(
        r"BACKUP OK: Last good backup of the rows and files: \d minutes? old \(edms-\S+\); proven "
        r"\d minutes? ago \| rows_and_files_age=\d+s;108000;172800",
        told.stdout.splitlines()[0],
    )
    assert shell(cron, safe).stdout == ""
    assert shell(nagios, safe).stdout.startswith("BACKUP OK: ")
    assert shell(docker, safe).returncode == 0
    assert shell(script, safe).stdout.split() == ["ok"]

    next(safe.store.glob("*.tar.zst")).unlink()

    assert shell(plain, safe).returncode == 2
    assert shell(cron, safe).stdout.startswith("BACKUP CRITICAL: no good backup")
    bad = shell(nagios, safe)
    assert (bad.returncode, bad.stdout.split(":")[0]) == (2, "BACKUP CRITICAL")
    assert shell(docker, safe).returncode == 1, "Docker reserves 2"
    assert "package_gone" in shell(script, safe).stdout.split()


def test_what_keeps_it_from_an_answer_is_unknown(safe: Project) -> None:
    """A wrong option, and a setting that a system check refuses."""
    wrong = shell("python manage.py backup_status --nope", safe)
    refused = shell(f"MEDIA_ROOT={ROOT} python manage.py backup_status", safe)

    assert (wrong.returncode, refused.returncode) == (3, 3)
    assert refused.stdout.startswith("BACKUP UNKNOWN: ")


def test_workers_are_asked_where_somebody_wants_it(
    make_project: MakeProject, redis_url: str
) -> None:
    project = make_project("sqlite", redis_url=redis_url)

    def reasons(*options: str) -> set[str]:
        told = json.loads(project.manage("backup_status", "--json", *options).stdout)
        return {reason["reason"] for reason in told["reasons"]}

    with project.worker(queues="backups,celery") as worker:
        wait_until(
            lambda: "no_worker" not in reasons("--workers"),
            child=worker,
            what="the worker answers",
        )
    assert "no_worker" in reasons("--workers")
    assert "no_worker" not in reasons()
