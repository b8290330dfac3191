"""A project with `USE_TZ = False`, in a zone with summer time: everything works as elsewhere."""

import json
from dataclasses import replace
from pathlib import Path

import psycopg
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


ZONES = {
    "sqlite": "Australia/Lord_Howe",  # half an hour of summer time
    "postgres": "Europe/Berlin",
    "mariadb": "America/St_Johns",
}


@pytest.fixture(params=EVERY_ENGINE)
def naive(request: pytest.FixtureRequest, make_project: MakeProject) -> Project:
    variables = {**NAIVE, "TEST_TIME_ZONE": ZONES[request.param]}
    project: Project = make_project(request.param, demo=True, variables=variables)
    return project


def ages(project: Project) -> list[float]:
    """In seconds: of the last good and the last proven package, as monitors are told."""
    printed = project.manage("backup_status", "--json").stdout
    (point,) = [each for each in json.loads(printed)["recovery_points"] if each["last_proven"]]
    return [point["last_good"]["age"], point["last_proven"]["age"]]


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
    assert max(ages(naive)) < 600  # no hours of a zone in them
    merge = ("--mode", "merge", "--on-conflict", "package")
    naive.succeed("restore_from_package", package, "--confirm", *merge)
    assert contents(naive).count("documents_document") == before.count("documents_document")


TWICE = (
    "UPDATE documents_document SET created_at = '2026-10-25 00:30:00+00'",
    "UPDATE documents_document SET created_at = '2026-10-25 01:30:00+00' WHERE id % 2 = 0",
)


def test_a_moment_of_the_hour_that_happens_twice_stays_the_same_on_postgresql(
    make_project: MakeProject, tmp_path: Path
) -> None:
    """Also where the project that restores it has another TIME_ZONE, or time zones at all."""
    project = make_project("postgres", demo=True, variables=NAIVE)
    with psycopg.connect(project.database_url, autocommit=True) as server:
        for statement in TWICE:
            server.execute(statement)
    before, package = contents(project), tmp_path / "x.tar.zst"
    moments = [str(row) for row in before.tables["documents_document"]]
    assert len(moments) > 1

    project.succeed("create_backup", "--output", package)

    for settings in ("tests.naive_settings", "edms.settings"):
        other = replace(project, variables={"DJANGO_SETTINGS_MODULE": settings})
        other.succeed("restore_from_package", package, "--confirm", "--no-safety-backup")
        assert_equal(contents(project), before)


def test_columns_without_a_zone_are_not_restored_into_a_project_of_another_zone(
    make_project: MakeProject, tmp_path: Path
) -> None:
    project = make_project("sqlite", demo=True, variables=NAIVE)
    package = tmp_path / "x.tar.zst"
    project.succeed("create_backup", "--output", package)
    other = replace(project, variables={})

    answer = other.json("restore_from_package", package, "--confirm")

    (error,) = answer["errors"]
    assert "of Europe/Berlin (USE_TZ = False)" in error["what"]
    assert error["exit_code"] == 8
