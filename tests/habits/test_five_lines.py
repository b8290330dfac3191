"""The five lines of the README do what it says, in a project that has nothing else of this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.habits.pages import ROOT, page

SNIPPET = page("README.md").fenced("sh")[0].splitlines()

MAKE_ROWS = """
from django.contrib.auth.models import Group, User
ada = User.objects.create_user("ada", password="a long password")
ada.groups.add(Group.objects.create(name="Editors"))
"""
READ_ROWS = """
import json
from django.contrib.auth.models import User
print(json.dumps(list(User.objects.values_list("pk", "username", "password", "groups__name"))))
"""


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A project as `django-admin startproject` makes it, outside of the repository."""

    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the project's folder."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in {"HOME", "PATH", "LANG", "SYSTEMROOT", "TMPDIR"}
        }
        env = {**inherited, "PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT)])}
        return subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )

    def manage(self, *arguments: str) -> str:
        """Run `manage.py …`; return what it says. It must succeed."""
        done = self.run(sys.executable, "manage.py", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self) -> Any:
        """What the project holds."""
        return json.loads(self.manage("shell", "-v", "0", "-c", READ_ROWS))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A new project with the settings line of the README, and nothing else."""
    shop = Shop(folder=tmp_path)
    started = shop.run(sys.executable, "-m", "django", "startproject", "shop", ".")
    assert started.returncode == 0, started.stderr
    settings = tmp_path / "shop" / "settings.py"
    added = [line for line in SNIPPET if line.startswith("INSTALLED_APPS")]
    settings.write_text("\n".join([settings.read_text(), *added, ""]))
    return shop


def test_the_snippet_is_five_lines() -> None:
    assert len(SNIPPET) == 5


def test_the_five_lines_back_up_a_project_prove_it_and_can_restore_it(shop: Shop) -> None:
    # Given: a project that has rows when the lines are added to it
    before_the_backup = [line.split() for line in SNIPPET if line.startswith("python manage.py")]
    migrate, *others = (words[2:] for words in before_the_backup)
    shop.manage(*migrate)
    shop.manage("shell", "-v", "0", "-c", MAKE_ROWS)
    rows = shop.rows()
    assert rows[0][1:] == ["ada", rows[0][2], "Editors"]

    # When: the other lines are run, and then everything is lost
    for line in others:
        shop.manage(*line)
    (package,) = json.loads(shop.manage("list_packages", "--json"))["packages"]
    shop.manage("flush", "--no-input")
    assert shop.rows() == []
    shop.manage("restore_from_package", package["name"], "--confirm")

    # Then: all is as it was
    assert shop.rows() == rows


def test_the_five_lines_leave_the_files_of_the_project_alone(shop: Shop) -> None:
    """A project that does not set MEDIA_ROOT has no files: Django would take the current folder."""
    shop.manage("migrate")
    code = {path: path.read_bytes() for path in shop.folder.rglob("*.py")}

    shop.manage("create_backup")
    shop.manage("system_reinit", "--confirm")

    assert {path: path.read_bytes() for path in shop.folder.rglob("*.py")} == code
    assert (shop.folder / "db.sqlite3").is_file()
