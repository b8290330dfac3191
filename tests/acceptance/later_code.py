"""The EDMS as a later version of it would be: a field renamed, a model split off, a data migration.

The code is copied and changed, so that packages of today's code are old ones for it.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edms.local.instance import ROOT
from tests.services import Project

_NAME = "    name = models.CharField(max_length=100)\n"
_TITLE = """    title = models.CharField(max_length=100)

    @property
    def name(self) -> str:
        return self.title
"""
_MOTTO = '''

class Motto(models.Model):
    """Split off: what a department says of itself."""

    department = models.OneToOneField(Department, on_delete=models.CASCADE, primary_key=True)
    text = models.TextField()
'''
_MIGRATION = """
from django.db import migrations, models


def write_mottos(apps, schema_editor):
    Department, Motto = (apps.get_model("users", name) for name in ("Department", "Motto"))
    for department in Department.objects.all():  # no alias: it must reach staging all the same
        Motto.objects.create(department=department, text=f"We are {department.title}.")


class Migration(migrations.Migration):
    dependencies = [("users", "{last}")]
    operations = [
        migrations.RenameField("department", "name", "title"),
        migrations.CreateModel(
            "Motto",
            [
                (
                    "department",
                    models.OneToOneField(
                        "users.Department",
                        on_delete=models.CASCADE,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("text", models.TextField()),
            ],
        ),
        migrations.RunPython(write_mottos),
    ]
"""


@dataclass(frozen=True, kw_only=True)
class LaterCode:
    """Runs a later version of the code on a project's database and files."""

    project: Project
    folder: Path

    @classmethod
    def of(cls, project: Project, folder: Path) -> "LaterCode":
        """Copy the code to `folder` and change it."""
        for name in ("edms", "backup_tasks"):
            shutil.copytree(ROOT / name, folder / name)
        for name in ("manage.py", "celeryconfig.py"):
            shutil.copy(ROOT / name, folder / name)
        users = folder / "edms" / "users"
        source = (users / "models.py").read_text()
        before, after = source.split("class Department(", 1)
        assert _NAME in after
        after = after.replace(_NAME, _TITLE, 1)
        end = after.index("\n\nclass ")
        after = after[:end] + _MOTTO + after[end:]
        (users / "models.py").write_text(f"{before}class Department({after}")
        last = max(path.stem for path in (users / "migrations").glob("0*.py"))
        (users / "migrations" / "0099_later.py").write_text(_MIGRATION.replace("{last}", last))
        return cls(project=project, folder=folder)

    def manage(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run `python manage.py …` of the later code."""
        return subprocess.run(
            [sys.executable, "manage.py", *map(str, arguments)],
            cwd=self.folder,
            env=self.project.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def succeed(self, *arguments: str | Path) -> str:
        """Run a management command that must end with exit code 0; return what it printed."""
        done = self.manage(*arguments)
        assert done.returncode == 0, f"{arguments} → {done.returncode}\n{done.stderr}{done.stdout}"
        return done.stdout

    def evaluate(self, expression: str) -> Any:
        """What a Python expression gives, `Department` and `Motto` being at hand."""
        code = (
            "import json; from edms.users.models import Department, Motto; "
            f"print(json.dumps({expression}))"
        )
        return json.loads(self.succeed("shell", "--no-imports", "-c", code))
