"""Packages of older migrations are restored by later code; newer ones are refused (P11)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.contents import contents
from tests.acceptance.later_code import LaterCode
from tests.services import ENGINES, Project, Templates

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


def test_an_old_package_is_proven_at_its_own_migrations_and_then_brought_forward(
    upgraded: Upgraded,
) -> None:
    # Given live data that has moved on since
    later = upgraded.later
    later.succeed(
        "shell",
        "--no-imports",
        "-c",
        "from edms.users.models import *; "
        "Motto.objects.all().delete(); Department.objects.update(title='spoiled')",
    )
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
