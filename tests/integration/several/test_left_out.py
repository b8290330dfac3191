"""Databases whose rows are in no package: a backup names them, and no other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker, Settings

from backup_tasks import api
from backup_tasks.conf import backup_settings
from backup_tasks.rows.databases import left_out
from backup_tasks.rows.installed import candidates
from backup_tasks.rows.scope import full_scope
from tests.aliases import alias_of, alias_with, entry_of
from tests.services import EVERY_ENGINE, MakeProject, Project, as_default_database


@pytest.fixture(params=EVERY_ENGINE)
def engine(request: pytest.FixtureRequest) -> str:
    """Runs a test once per engine."""
    name: str = request.param
    return name


@pytest.fixture
def live(project: Project, django_db_blocker: DjangoDbBlocker) -> Iterator[Project]:
    """A project that this process works on."""
    with django_db_blocker.unblock(), as_default_database(project):
        yield project


def found() -> list[str]:
    return list(left_out(backup_settings(), [*candidates(backup_settings())]))


@pytest.mark.usefixtures("live")
def test_another_database_is_named_with_the_models_that_have_rows(
    engine: str, make_project: MakeProject
) -> None:
    with alias_of("archive", make_project(engine)):
        (told,) = found()

    assert "database archive is in no package" in told
    assert "documents.documenttype" in told
    assert "documents.document," not in told  # it has none


def test_another_way_to_the_same_database_is_not_named(
    engine: str, live: Project, tmp_path: Path
) -> None:
    entry = entry_of(live)
    if engine == "sqlite":
        (tmp_path / "hard.sqlite3").hardlink_to(live.database)
        ways: list[dict[str, Any]] = [{"NAME": str(tmp_path / "hard.sqlite3")}]
    else:
        ways = [{"HOST": host} for host in ("localhost", "127.0.0.1") if host != entry["HOST"]]
    for way in ways:
        with alias_with("again", {**entry, **way}):
            assert found() == []


def test_a_database_on_another_engine_is_another_database(
    live: Project, make_project: MakeProject
) -> None:
    other = make_project("sqlite" if live.engine != "sqlite" else "postgres")
    with alias_of("other", other):
        assert len(found()) == 1


@pytest.mark.usefixtures("live")
def test_a_database_that_does_not_answer_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone.sqlite3"
    nowhere = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": "9"}
    entries = [
        {"ENGINE": "django.db.backends.sqlite3", "NAME": str(gone)},
        {**nowhere, "NAME": "x"},
        {"ENGINE": "django.db.backends.oracle", "NAME": "x"},  # neither driver nor adapter
    ]
    for entry in entries:
        with alias_with("away", entry):
            (told,) = found()
        assert "database away is in no package" in told
        assert "not known" in told
    assert not gone.exists()


@pytest.mark.usefixtures("live")
def test_a_backup_warns_of_the_other_database(
    engine: str, make_project: MakeProject, settings: Settings, tmp_path: Path
) -> None:
    settings.FILE_STORAGES = []
    with alias_of("archive", make_project(engine)):
        run = api.run_here("backup", {"output": str(tmp_path / "x.tar.zst")})

    assert any("database archive" in line for line in run.report["warnings"])


class ToTheOtherAlias:
    """Lets `mirror` have all documents, and `default` none."""

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool | None:
        return None if app_label != "documents" else db == "mirror"


def test_a_model_routed_to_another_alias_of_the_same_database_is_in_the_package(
    live: Project, settings: Settings
) -> None:
    """It was left out as kept in another database: its rows were in no package."""
    settings.DATABASE_ROUTERS = [f"{__name__}.ToTheOtherAlias"]

    with alias_of("mirror", live):
        labels = {model._meta.label_lower for model in full_scope(backup_settings()).included}

    assert "documents.document" in labels


def test_a_model_routed_to_another_database_is_not_dumped_from_this_one(
    live: Project, make_project: MakeProject, settings: Settings
) -> None:
    """Both databases have the table; the routers say whose rows count."""
    settings.DATABASE_ROUTERS = [f"{__name__}.ToTheOtherAlias"]

    with alias_of("mirror", make_project(live.engine)):
        scope = full_scope(backup_settings())

    assert "documents.document" in {name for name, _ in scope.excluded}
