"""Packages of older migrations are restored by later code; newer ones are refused (P11)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from tests.acceptance.contents import contents
from tests.acceptance.crafting import Craft
from tests.acceptance.later_code import LaterCode
from tests.services import ENGINES, MakeProject, Project, Templates, as_default_database

KEPT = Path(__file__).parent / "data" / "edms-0.1.tar.zst"
TITLES = "list(Department.objects.order_by('code').values_list('code', 'title'))"
MOTTOS = "list(Motto.objects.order_by('department__code').values_list('department__code', 'text'))"


@dataclass(frozen=True, kw_only=True)
class Upgraded:
    """A demonstration EDMS that was backed up, and then upgraded to later code."""

    project: Project
    package: Path
    later: LaterCode
    names: list[list[str]]
    """(code, name) of each department before the upgrade."""


@pytest.fixture(scope="module", params=ENGINES)
def upgraded(
    request: pytest.FixtureRequest, templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgraded]:
    folder = tmp_path_factory.mktemp(f"upgraded-{request.param}")
    project = templates.copy(request.param, folder, demo=True)
    package = folder / "old.tar.zst"
    project.succeed("create_backup", "--output", package)
    names = project.evaluate(
        "list(M['users.department'].objects.order_by('code').values_list('code', 'name'))"
    )
    later = LaterCode.of(project, folder / "code")
    later.succeed("migrate", "--no-input", "--verbosity", "0")
    yield Upgraded(project=project, package=package, later=later, names=names)
    templates.discard(project)


def spoil(later: LaterCode) -> None:
    later.succeed(
        "shell",
        "--no-imports",
        "-c",
        "from edms.users.models import *; "
        "Motto.objects.all().delete(); Department.objects.update(title='spoiled')",
    )


def add_index(project: Project) -> None:
    with as_default_database(project), connections["default"].cursor() as cursor:
        cursor.execute("CREATE INDEX IF NOT EXISTS by_hand ON users_department (title)")


def has_index(project: Project) -> bool:
    with as_default_database(project), connections["default"].cursor() as cursor:
        found = connections["default"].introspection.get_constraints(cursor, "users_department")
        return "by_hand" in found


def test_an_old_package_is_merged_in_the_shape_of_today(upgraded: Upgraded) -> None:
    later = upgraded.later
    later.succeed("restore_from_package", upgraded.package, "--no-safety-backup", "--confirm")
    spoil(later)

    done = later.succeed(
        *("restore_from_package", upgraded.package, "--mode", "merge", "--type", "database"),
        *("--no-safety-backup", "--confirm", "--json"),
    )

    assert json.loads(done)["merge"]["models"]["users.motto"]["insert"] == len(upgraded.names)
    assert later.evaluate(TITLES) == upgraded.names
    assert later.evaluate(MOTTOS) == [[code, f"We are {name}."] for code, name in upgraded.names]


def test_an_old_package_is_proven_at_its_own_migrations_and_then_brought_forward(
    upgraded: Upgraded, django_db_blocker: DjangoDbBlocker
) -> None:
    # Given live data that has moved on since, and an index that somebody added
    later = upgraded.later
    spoil(later)
    with django_db_blocker.unblock():
        add_index(upgraded.project)
    # When the package from before the upgrade is restored
    answer = json.loads(
        later.succeed(
            "restore_from_package", upgraded.package, "--type", "full", "--confirm", "--json"
        )
    )
    # Then its rows are there, in the shape that the migrations since give them
    assert answer["ok"], answer["errors"]
    assert later.evaluate(TITLES) == upgraded.names
    assert later.evaluate(MOTTOS) == [[code, f"We are {name}."] for code, name in upgraded.names]
    assert answer["counts"]["users.department"]["after"] == len(upgraded.names)
    # and so is the index: the tables have the structure of live's
    with django_db_blocker.unblock():
        assert has_index(upgraded.project)


def test_a_package_kept_from_the_first_schema_is_restored_by_later_code(
    upgraded: Upgraded, tmp_path: Path
) -> None:
    """A committed file, see data/README.md: through a renamed field, a split model and a data
    migration."""
    names = [
        [row["fields"]["code"], row["fields"]["name"]]
        for row in Craft.of(KEPT, tmp_path / "kept").rows("users.department")
    ]
    later = upgraded.later
    answer = json.loads(
        later.succeed(
            *("restore_from_package", KEPT, "--confirm", "--no-safety-backup", "--json"),
        )
    )

    assert answer["ok"], answer["errors"]
    assert later.evaluate(TITLES) == sorted(names)
    assert later.evaluate(MOTTOS) == [[code, f"We are {name}."] for code, name in sorted(names)]
    expected = {
        label: count["expected"] for label, count in answer["counts"].items() if count["expected"]
    }
    assert (expected["documents.document"], expected["users.user"]) == (5, 10)
    assert {label: answer["counts"][label]["after"] for label in expected} == expected
    assert all(answer["digests_equal"][label] for label in expected)
    assert answer["files"]["after"] == 5


def test_a_dry_run_names_the_migrations_that_would_run_and_changes_nothing(
    upgraded: Upgraded,
) -> None:
    before = contents(upgraded.project)
    done = upgraded.later.manage(
        "restore_from_package", upgraded.package, "--type", "full", "--dry-run", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["plan"]["migrations_to_run"] == ["users.0099_later"]
    assert contents(upgraded.project) == before


def test_a_package_of_newer_migrations_is_refused_by_name_and_live_is_untouched(
    upgraded: Upgraded, tmp_path: Path
) -> None:
    package = tmp_path / "new.tar.zst"
    upgraded.later.succeed("create_backup", "--output", package)
    before = contents(upgraded.project)
    # The code of today, before that migration, on a database that has never seen it
    done = upgraded.project.manage("restore_from_package", package, "--type", "full", "--confirm")
    assert done.returncode == 8
    assert "users.0099_later" in done.stderr or "users.motto" in done.stderr
    assert contents(upgraded.project) == before


_SQUASHED = """
from importlib import import_module
from pathlib import Path

from django.db import migrations

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("0*.py"))
NAMES.remove(Path(__file__).stem)
ALL = [import_module(f"edms.users.migrations.{name}").Migration for name in NAMES]


class Migration(migrations.Migration):
    initial = True
    replaces = [("users", name) for name in NAMES]
    dependencies = ALL[0].dependencies
    operations = [operation for one in ALL for operation in one.operations]
"""


def test_a_package_from_amid_migrations_that_were_squashed_since_is_refused_by_name(
    make_project: MakeProject, tmp_path: Path
) -> None:
    project, package = make_project("sqlite", demo=True), tmp_path / "old.tar.zst"
    project.succeed("create_backup", "--output", package)
    later = LaterCode.of(project, tmp_path / "later")
    migrations = later.folder / "edms" / "users" / "migrations"
    (migrations / "0001_squashed_0099_later.py").write_text(_SQUASHED)
    later.succeed("migrate", "--no-input")
    before = contents(project)

    done = later.manage("restore_from_package", package, "--confirm")

    assert done.returncode == 8
    assert "users.0001_initial was squashed" in done.stderr
    assert contents(project) == before
