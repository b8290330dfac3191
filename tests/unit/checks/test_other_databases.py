"""What the checks say of databases that are in no package."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections
from pytest_django import Settings

from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.engines.aliases import Identity
from backup_tasks.rows.databases import lives_in, other_aliases
from edms.audit.models import AuditEntry
from edms.documents.models import Document
from tests.aliases import alias_with
from tests.unit.checks.fired import Fired, messages

SERVER = {"ENGINE": "django.db.backends.postgresql", "NAME": "edms", "HOST": "db", "PORT": "5432"}


class Archived:
    """Routes the audit trail to another database."""

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool | None:
        return (db == "archive") == (app_label == "audit")


@pytest.fixture
def archived(settings: Settings) -> None:
    """A project whose audit trail is in another database."""
    settings.DATABASE_ROUTERS = [f"{__name__}.Archived"]


@pytest.mark.usefixtures("archived")
def test_another_database_is_named_with_the_models_that_it_may_have(fired: Fired) -> None:
    with alias_with("archive", SERVER):
        message = fired("W004").msg

    assert "database archive" in message
    assert "audit.AuditEntry" in message
    assert "documents" not in message


def test_without_routers_every_other_database_may_have_rows(fired: Fired) -> None:
    with alias_with("second", SERVER), alias_with("third", {**SERVER, "NAME": "other"}):
        found = [message.msg for message in messages() if message.id == "backup_tasks.W004"]

    assert ["second" in found[0], "third" in found[1]] == [True, True]


@pytest.mark.usefixtures("archived")
def test_a_model_that_is_excluded_may_be_anywhere(settings: Settings) -> None:
    excluded = settings.BACKUP["EXCLUDE"]
    settings.BACKUP = {**settings.BACKUP, "EXCLUDE": [*excluded, "audit"]}

    with alias_with("archive", SERVER):
        assert messages() == []


def test_another_alias_of_the_same_server_and_name_is_no_other_database() -> None:
    with alias_with("default_too", dict(django_settings.DATABASES["default"])):
        assert messages() == []
    with alias_with("second", SERVER), alias_with("second_too", {**SERVER, "CONN_MAX_AGE": 9}):
        assert other_aliases(backup_settings()) == ["second"]


def test_another_path_of_the_same_file_is_no_other_database(tmp_path: Path) -> None:
    (tmp_path / "live.sqlite3").touch()
    (tmp_path / "link.sqlite3").symlink_to("live.sqlite3")
    sqlite = {"ENGINE": "django.db.backends.sqlite3"}

    with (
        alias_with("file", {**sqlite, "NAME": str(tmp_path / "live.sqlite3")}),
        alias_with("link", {**sqlite, "NAME": tmp_path / "link.sqlite3"}),
    ):
        assert other_aliases(BackupSettings(database="file")) == ["default"]


def test_a_replica_is_no_other_database() -> None:
    replica = {**SERVER, "HOST": "replica", "TEST": {"MIRROR": "default"}}

    with alias_with("replica", replica):
        assert messages() == []
        assert other_aliases(backup_settings()) == []


def test_another_schema_of_the_same_database_is_another_database() -> None:
    tenant = {**SERVER, "OPTIONS": {"options": "-c search_path=tenant"}}

    with alias_with("second", SERVER), alias_with("tenant", tenant):
        assert other_aliases(backup_settings()) == ["second", "tenant"]


def test_a_server_tells_its_physical_replicas_from_copies_that_live_on() -> None:
    """A copy that was restored elsewhere has the identifier of the cluster it was made of."""
    primary = Identity(server=("1",), database="edms public", cluster="7")
    replica = replace(primary, server=("2",), is_replica=True)
    copy = replace(primary, server=("3",))

    assert primary.is_same(primary)
    assert primary.is_same(replica)
    assert replica.is_same(primary)
    assert not primary.is_same(copy)
    assert not primary.is_same(replace(replica, database="other public"))
    assert not replace(primary, cluster="").is_same(replace(replica, cluster=""))


@pytest.mark.usefixtures("archived")
def test_a_model_lives_where_any_alias_of_the_database_may_have_its_table() -> None:
    """Routed to an alias that leads to the very database that is backed up, it would be in no
    package."""
    with alias_with("archive", dict(connections.settings["default"])):
        assert lives_in("default", AuditEntry)
        assert lives_in("default", Document)
    with alias_with("archive", SERVER):
        assert not lives_in("default", AuditEntry)
        assert lives_in("archive", AuditEntry)
        assert not lives_in("archive", Document)
