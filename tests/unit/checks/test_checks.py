"""Each system check fires when it should, and says what to do; a sound project hears nothing."""

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.files.storage import FileSystemStorage
from django.db import models
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker, Settings

from backup_tasks import checks
from backup_tasks.checks.locations import check_wal
from backup_tasks.checks.names import _listed
from backup_tasks.conf import Retention, backup_settings
from backup_tasks.engines.base import connection_replaced
from backup_tasks.errors import Misconfigured
from backup_tasks.storage.file_storages import alias_and_folder
from tests.s3 import Bucket
from tests.unit.checks.fired import Fired, messages


def test_a_sound_project_hears_nothing() -> None:
    assert messages() == []


def test_an_unknown_setting_is_named(fired: Fired) -> None:
    assert "RETENTOIN" in fired("E001", RETENTOIN={}).msg


def test_a_retention_with_an_unknown_rule_is_named(fired: Fired) -> None:
    assert "yearly" in fired("E001", RETENTION={"yearly": 4}).msg
    assert "yearly" in fired("E001", RETENTION_BY_LABEL={"rows": {"yearly": 4}}).msg


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STORES", "backups"),
        ("STORES", []),
        ("RECIPIENTS", "age1qqq"),
        ("REQUIRE_ENCRYPTION", "yes"),
        ("PROJECT", "two\nlines"),
        ("PROJECT", "x" * 101),
        ("UNDO_FOR", 7),
        ("LEASE", timedelta(0)),
        ("RETRY_NIGHT_AFTER", 3600),
        ("RETENTION", {"daily": -1}),
        ("RETENTION", {"daily": "7"}),
        ("RETENTION", {"daily": True}),
        ("RETENTION", {"share": 0}),
        ("RETENTION", {"share": 1.5}),
        ("RETENTION", {"daily": 0, "weekly": 0, "monthly": 0, "minimum": 0}),
        ("RETENTION", 7),
        ("RETENTION", {"hourly": -1}),
        ("RETENTION_BY_LABEL", {"rows": {"daily": -1}}),
        ("RETENTION_BY_LABEL", {"rows": {"share": 0.9}}),
        ("RETENTION_BY_LABEL", {"": {"daily": 1}}),
        ("RETENTION_BY_LABEL", ["rows"]),
        ("REGULAR_LABELS", "nightly"),
        ("NATURAL_KEYS", ["documents.document"]),
        ("DATABASE", "archive"),
        ("MAX_MISSING_FILES", "10"),
        ("MAX_MISSING_SHARE", -0.5),
        ("LOOK_LIMIT", "4 GB"),
        ("UPLOAD_LIMIT", None),
        ("MONITORING_TOKEN", ""),
        ("MONITORING_TOKEN", "too short"),
        ("MONITORING_TOKEN", "sixteen characters of which some are spaces"),
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error_that_names_the_setting(
    fired: Fired, name: str, value: object
) -> None:
    assert name in fired("E002", **{name: value}).msg


@pytest.mark.parametrize(
    "retention",
    [
        {"yearly": 4},
        {7: 4},
        {"daily": -1},
        {"minimum": None},
        {"share": "half"},
        dict.fromkeys(["daily", "weekly", "monthly", "minimum"], 0),
        Retention(daily=0, weekly=0, monthly=0, minimum=0),
        None,
    ],
)
def test_a_retention_that_can_t_be_used_is_refused_before_anything_is_removed(
    settings: Settings, retention: object
) -> None:
    """A worker is not told by `check`."""
    settings.BACKUP = {**settings.BACKUP, "RETENTION": retention}

    with pytest.raises(Misconfigured, match="RETENTION"):
        backup_settings()


def test_nothing_else_is_asked_while_the_settings_themselves_are_wrong(fired: Fired) -> None:
    fired("E001", UNKNOWN=1, EXCLUDE=["nowhere"])

    assert {message.id for message in messages()} == {"backup_tasks.E001"}


@pytest.mark.parametrize("inside", ["store", "workspace"])
def test_what_is_inside_the_folder_of_the_files_is_an_error(
    fired: Fired, settings: Settings, inside: str
) -> None:
    media = Path(settings.MEDIA_ROOT)
    if inside == "store":
        options = {"OPTIONS": {"location": str(media / "backups")}}
        settings.STORAGES = {
            **settings.STORAGES,
            "backups": {**settings.STORAGES["backups"], **options},
        }
        message = fired("E003")
    else:
        message = fired("E003", WORKSPACE=media / "workspace")

    assert inside in message.msg
    assert str(media) in message.msg


@pytest.mark.parametrize("what", ["workspace", "backups", "default"])
def test_what_is_gone_with_the_next_build_is_a_warning(
    fired: Fired, settings: Settings, tmp_path: Path, what: str
) -> None:
    """BASE_DIR of an installed project is in the virtual environment."""
    installed = tmp_path / ".venv/lib/python3.13/site-packages/var"
    if what == "default":
        settings.MEDIA_ROOT = str(installed)
        message = fired("W007")
    elif what == "backups":
        options = {"OPTIONS": {"location": str(installed)}}
        settings.STORAGES = {
            **settings.STORAGES,
            "backups": {**settings.STORAGES["backups"], **options},
        }
        message = fired("W007")
    else:
        message = fired("W007", WORKSPACE=installed)

    assert what in message.msg
    assert str(installed) in message.msg


def test_an_unknown_file_storage_is_named(fired: Fired) -> None:
    assert "'attachments'" in fired("E004", FILE_STORAGES=["attachments"]).msg


@pytest.mark.parametrize(
    "keys",
    [
        {"documents.nothing": ["title"]},
        {"admin.logentry": ["user", "no_such_field"]},
    ],
)
def test_a_natural_key_of_an_unknown_model_or_field_is_named(
    fired: Fired, keys: dict[str, Sequence[str]]
) -> None:
    assert next(iter(keys)) in fired("E005", NATURAL_KEYS=keys).msg


def test_a_natural_key_that_the_model_itself_overrides_is_named(fired: Fired) -> None:
    assert (
        "documents.document " in fired("W005", NATURAL_KEYS={"documents.document": ["title"]}).msg
    )


def test_an_excluded_model_that_is_not_installed_is_named(fired: Fired) -> None:
    assert "'document.Document'" in fired("E006", EXCLUDE=["document.Document"]).msg


@pytest.mark.parametrize("path", ["edms.nowhere.seed", "edms.defaults.sow", "edms.defaults.ROLES"])
@pytest.mark.parametrize("name", ["SEED", "CHECKS"])
def test_a_function_that_can_not_be_called_is_named(fired: Fired, name: str, path: str) -> None:
    assert path in fired("E007", **{name: path if name == "SEED" else [path]}).msg


class Elsewhere(DatabaseWrapper):
    """A database that there is no engine for."""

    vendor = "elsewhere"
    display_name = "Elsewhere"


def test_a_database_without_an_engine_is_an_error(fired: Fired, tmp_path: Path) -> None:
    unsupported = Elsewhere(_sqlite(tmp_path)["default"].settings_dict)
    with connection_replaced("default", unsupported):
        assert "Elsewhere" in fired("E008").msg


def test_a_project_with_psycopg2_alone_is_told_in_words(
    fired: Fired, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_dict = {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}
    connection = ConnectionHandler({"default": settings_dict})["default"]
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with connection_replaced("default", connection):
        message = fired("E008")
    assert "psycopg2" in message.msg
    assert "psycopg[binary]" in str(message.hint)


def test_sqlite_without_wal_is_a_warning_where_databases_are_asked(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    with django_db_blocker.unblock(), connection_replaced("default", _sqlite(tmp_path)["default"]):
        assert check_wal() == []
        (message,) = check_wal(databases=["default"])

    assert message.id == "backup_tasks.W002"
    assert "'delete'" in message.msg
    assert message.hint is not None
    assert "journal_mode=WAL" in message.hint


def test_sqlite_with_wal_is_fine(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> None:
    options = {"init_command": "PRAGMA journal_mode=WAL"}
    sound = _sqlite(tmp_path, OPTIONS=options)["default"]
    with django_db_blocker.unblock(), connection_replaced("default", sound):
        assert check_wal(databases=["default"]) == []


def test_a_file_field_whose_files_are_in_no_package_is_named(fired: Fired) -> None:
    assert "documents.DocumentVersion.file" in fired("W003", FILE_STORAGES=[]).msg


def test_a_storage_without_a_folder_saves_no_files(fired: Fired, settings: Settings) -> None:
    settings.MEDIA_ROOT = ""

    assert "DocumentVersion" in fired("W003").msg


def test_storages_without_a_default_are_legal(settings: Settings) -> None:
    """Django needs none where no field uses it."""
    settings.STORAGES = {name: s for name, s in settings.STORAGES.items() if name != "default"}
    settings.BACKUP = {k: v for k, v in settings.BACKUP.items() if k != "FILE_STORAGES"}

    assert {message.id for message in messages()} == {"backup_tasks.W003"}


def test_a_storage_of_a_folder_below_the_media_root_is_in_the_package(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = Path(settings.MEDIA_ROOT)
    field = apps.get_model("documents", "documentversion")._meta.get_field("file")
    for storage, place in (
        (FileSystemStorage(location=media / "private"), ("default", "private")),
        (OwnStorage(location=media), ("default", "")),
        (FileSystemStorage(location=media.parent / "elsewhere"), None),
    ):
        monkeypatch.setattr(field, "storage", storage)
        assert alias_and_folder(storage) == place
        assert bool(messages()) is (place is None)


def test_a_storage_that_reads_whole_files_into_memory_is_named(
    fired: Fired, settings: Settings
) -> None:
    far = Bucket(endpoint="http://127.0.0.1:9").storage("x", max_memory_size=0)
    settings.STORAGES = {**settings.STORAGES, "backups": far}

    assert "storage backups" in fired("W006").msg


class OwnStorage(FileSystemStorage):
    """A project's own class of storage, with the same folder."""


@pytest.fixture
def keyless() -> Iterator[str]:
    """A model that nothing but its primary key tells apart."""

    class Remark(models.Model):
        text = models.TextField()

        class Meta:
            app_label = "documents"

        def __str__(self) -> str:
            return self.text

    yield Remark._meta.label
    del apps.all_models["documents"]["remark"]
    apps.clear_cache()


def test_a_model_without_a_natural_key_is_told_but_fails_no_build(
    fired: Fired, keyless: str
) -> None:
    message = fired("I001")

    assert keyless in message.msg
    assert not message.is_serious()
    assert "LogEntry" not in message.msg  # Django's own: nothing that a project could do about


def test_many_models_without_a_natural_key_are_one_short_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"shop.Model{number}" for number in range(500)]
    assert _listed(names).endswith("shop.Model2 and 497 more (all with -v 2)")
    for more in (["-v", "2"], ["-v3"], ["--verbosity=2"]):
        monkeypatch.setattr(sys, "argv", ["manage.py", "check", *more])
        assert _listed(names).endswith("shop.Model499")


def test_encryption_without_signatures_is_told_but_fails_no_build(fired: Fired) -> None:
    assert not fired("I002", RECIPIENTS=["age1qqq"]).is_serious()


def test_every_check_is_in_the_table_of_the_module() -> None:
    folder = Path(str(checks.__file__)).parent
    code = "".join(path.read_text() for path in folder.glob("*.py"))

    used = set(re.findall(r"backup_tasks\.([EWI]\d+)", code))

    assert used == set(re.findall(r"^([EWI]\d+) ", str(checks.__doc__), re.MULTILINE))


def _sqlite(folder: Path, **options: Any) -> ConnectionHandler:
    entry = {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "db.sqlite3", **options}
    return ConnectionHandler({"default": entry})
