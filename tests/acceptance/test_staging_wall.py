"""A migration that names a schema: live is unchanged, and the refusal names table and migration."""

import json
import shutil
from pathlib import Path

import psycopg
import pytest

from edms.local.instance import ROOT
from tests.acceptance.later_code import LaterCode
from tests.services import MakeProject

MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("users", "{last}")]
    operations = [
        migrations.RunSQL("UPDATE public.users_department SET name = left(name || '!', 90)"),
    ]
"""
DIGEST = """
    SELECT table_name, md5(query_to_xml(format('SELECT * FROM public.%I t ORDER BY t::text',
           table_name), true, false, '')::text)
      FROM information_schema.tables
     WHERE table_schema = 'public' AND table_name !~ '^(backup_tasks|django_celery)' ORDER BY 1
"""


@pytest.mark.slow
def test_a_cycle_and_a_reset_do_not_change_live_through_a_migration_that_names_it(
    make_project: MakeProject, tmp_path: Path
) -> None:
    project = make_project("postgres", demo=True)
    for name in ("edms", "backup_tasks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("manage.py", "celeryconfig.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    migrations = tmp_path / "edms" / "users" / "migrations"
    last = max(path.stem for path in migrations.glob("0*.py"))
    (migrations / "0099_louder.py").write_text(MIGRATION.replace("{last}", last))
    code = LaterCode(project=project, folder=tmp_path)
    code.succeed("migrate", "--no-input")

    with psycopg.connect(project.database_url, autocommit=True) as client:
        before = client.execute(DIGEST).fetchall()
        for arguments in (
            ("backup_cycle",),
            ("system_reinit", "--confirm", "--no-safety-backup"),
        ):
            done = code.manage(*arguments, "--json")
            (error,) = json.loads(done.stdout)["errors"]
            assert done.returncode == 8, done.stderr
            assert error["kind"] == "LeftStaging"
            assert error["object"] == "migration users.0099_louder"
            assert "table public.users_department" in error["what"]
            assert client.execute(DIGEST).fetchall() == before
