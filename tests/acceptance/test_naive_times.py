"""A project with `USE_TZ = False`, in a zone with summer time: everything works as elsewhere."""

from pathlib import Path

import pytest

from tests.acceptance.contents import contents
from tests.acceptance.every_command import assert_equal
from tests.services import EVERY_ENGINE, MakeProject, Project

NAIVE = {"DJANGO_SETTINGS_MODULE": "tests.naive_settings"}

PAGES = """
from django.contrib.auth import get_user_model
from django.test import Client
client = Client()
client.force_login(get_user_model().objects.filter(is_superuser=True).first())
for page in ("run/", "package/", "undopoint/", "run/?created_at__gte=2020-01-01"):
    answer = client.get(f"/admin/backup_tasks/{page}", headers={"host": "localhost"})
    print(page, answer.status_code)
"""


@pytest.fixture(params=EVERY_ENGINE)
def naive(request: pytest.FixtureRequest, make_project: MakeProject) -> Project:
    project: Project = make_project(request.param, demo=True, variables=NAIVE)
    return project


def test_the_commands_and_pages_of_a_project_without_time_zones_work(
    naive: Project, tmp_path: Path
) -> None:
    before, package = contents(naive), tmp_path / "x.tar.zst"

    naive.succeed("create_backup", "--output", package)
    made = naive.json("create_backup")["package"]
    naive.succeed("restore_from_package", package, "--confirm")

    assert_equal(contents(naive), before)
    naive.succeed("verify_package", made)
    naive.succeed("drill_restore", made)
    naive.succeed("prune_packages")
    assert made in [listed["name"] for listed in naive.json("list_packages")["packages"]]
    assert [run["state"] for run in naive.json("runs")["runs"]] == ["succeeded"] * 6
    naive.succeed("runs")
    naive.succeed("list_packages")
    shown = naive.succeed("shell", "--no-imports", "-c", PAGES).stdout.split()
    assert shown[1::2] == ["200"] * 4
    naive.succeed("undo_restore", "--confirm")
