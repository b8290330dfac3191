"""A merge that is killed in its transaction leaves live as it was; resumed, it succeeds."""

import signal
from pathlib import Path

import pytest

from tests.acceptance.contents import contents
from tests.services import EVERY_ENGINE, Project

pytestmark = pytest.mark.parametrize("engine", EVERY_ENGINE)

_KILLED = """
import os, signal
from backup_tasks.merge import merge
def die(self): os.kill(os.getpid(), signal.SIGKILL)
merge.Merge.unequal = die
from django.core.management import call_command
call_command("restore_from_package", {package!r}, mode="merge", confirm=True,
             no_safety_backup=True, on_conflict="package")
"""


def test_a_merge_killed_after_it_wrote_leaves_live_as_it_was(
    project: Project, package: Path
) -> None:
    before = contents(project)

    done = project.manage("shell", "--no-imports", "-c", _KILLED.format(package=str(package)))

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert contents(project).tables == before.tables
    (run,) = [r for r in project.json("runs")["runs"] if r["kind"] == "restore"]
    project.succeed("resume_run", run["run"])
    assert contents(project).count("users_user") == 10
    assert contents(project).count("documents_document") == 5
