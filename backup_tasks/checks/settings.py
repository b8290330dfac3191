"""Checks of the settings by themselves; the others are asked only where these find nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error

from backup_tasks.checks.alerts import wrong_alerts
from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.errors import Misconfigured
from backup_tasks.package.facts import LABEL_LIMIT, PROJECT_LIMIT
from backup_tasks.package.names import is_alias
from backup_tasks.package.strict import is_line

_LISTS = (
    "stores",
    "regular_labels",
    "exclude",
    "file_storages",
    "files_exclude",
    "recipients",
    "identities",
    "trusted_keys",
    "checks",
    "alert_mail",
    "alert_webhooks",
    "alert_apprise",
)

_TIMES = (
    *("undo_for", "lease", "retry_night_after"),
    *("warn_after", "critical_after", "proof_within", "recovery_time"),
)

Check = Callable[..., list[CheckMessage]]


def check_settings(**_: Any) -> list[CheckMessage]:
    """E001, E002: settings that can't be read, or have a value of the wrong kind."""
    try:
        settings = backup_settings()
    except Misconfigured as error:
        if error.obj:  # the setting whose value is wrong
            return [Error(error.what, hint=error.hint, id="backup_tasks.E002")]
        return [Error(error.what, hint=error.hint, id="backup_tasks.E001")]
    except (AttributeError, TypeError, ValueError) as error:
        hint = "BACKUP is a dictionary; the settings reference has every key and its kind."
        return [Error(f"settings.BACKUP can't be read: {error}", hint=hint, id="backup_tasks.E001")]
    return [
        Error(f"BACKUP['{name.upper()}'] {problem}", hint=hint, id="backup_tasks.E002")
        for name, problem, hint in _wrong_kinds(settings)
    ]


def _wrong_kinds(settings: BackupSettings) -> Iterator[tuple[str, str, str]]:
    for name in _LISTS:
        value = getattr(settings, name)
        if isinstance(value, str) or not isinstance(value, Sequence):
            yield name, f"is not a list but {value!r}", "Put it in square brackets."
    if not settings.stores:
        yield "stores", "is empty", "Name at least one storage alias; the default is ['backups']."
    for name in ("require_encryption", "four_eyes"):
        required: object = getattr(settings, name)
        if not isinstance(required, bool):
            yield name, f"is neither True nor False but {required!r}", "Write True."
    if not is_line(str(settings.project), PROJECT_LIMIT) or not isinstance(settings.project, str):
        hint = f"Use at most {PROJECT_LIMIT} printable characters."
        yield "project", "can't be the name of a project in a package", hint
    token: object = settings.monitoring_token
    if token is not None and not (isinstance(token, str) and _is_token(token)):
        hint = "Use 16 printable characters of ASCII or more: `openssl rand -hex 32`."
        yield "monitoring_token", "is no token", hint
    natural_keys: object = settings.natural_keys
    if not isinstance(natural_keys, Mapping):
        yield "natural_keys", "is not a dictionary", 'Write {"app.model": ["field"]}.'
    groups: object = settings.column_groups
    if not isinstance(groups, Mapping) or not all(
        isinstance(name, str) and isinstance(names, list | tuple) for name, names in groups.items()
    ):
        yield "column_groups", "is no dictionary of lists", 'Write {"app.Model": ["lft", "rgt"]}.'
    columns: object = settings.key_columns
    if not isinstance(columns, Mapping) or not all(
        isinstance(path, str) and isinstance(target, str | None) for path, target in columns.items()
    ):
        hint = 'Write {"app.Model.column": "app.Target"}.'
        yield "key_columns", "is no dictionary of names", hint
    if not _is_paths_by_alias(settings.undo_files):
        yield "undo_files", "does not name folders", 'Write {"default": "/srv/undo-files"}.'
    yield from _wrong_times_and_numbers(settings)
    yield from wrong_alerts(settings)
    yield from _wrong_aliases(settings)
    yield from _wrong_schedules(settings)


def _wrong_schedules(settings: BackupSettings) -> Iterator[tuple[str, str, str]]:
    for schedule in settings.schedules.values():
        if schedule.label and not is_line(schedule.label, LABEL_LIMIT):
            hint = f"Use at most {LABEL_LIMIT} printable characters."
            yield "schedules", f"has a label that no package can have: {schedule.label!r}", hint
        if schedule.store and schedule.store not in settings.stores:
            hint = f"STORES has: {', '.join(settings.stores)}."
            yield "schedules", f"has {schedule.name!r} with a store of no such alias", hint


def _wrong_aliases(settings: BackupSettings) -> Iterator[tuple[str, str, str]]:
    key = "databases" if settings.databases else "database"
    for alias in settings.databases or [settings.database]:
        if alias not in django_settings.DATABASES:
            hint = f"DATABASES has: {', '.join(django_settings.DATABASES)}."
            yield key, f"names no database: {alias!r}", hint
        elif settings.databases and not is_alias(alias):
            hint = "Packages have a folder for it: use letters, digits, “-” and “_”."
            yield key, f"names {alias!r}, which can't be the name of a folder", hint


def _is_token(text: str) -> bool:
    return len(text) >= 16 and text.isascii() and text.isprintable() and " " not in text


def _is_paths_by_alias(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    return all(isinstance(path, str | Path) and str(path) for path in value.values())


def _wrong_times_and_numbers(settings: BackupSettings) -> Iterator[tuple[str, str, str]]:
    for name in _TIMES:
        value = getattr(settings, name)
        if name in ("retry_night_after", "recovery_time") and value is None:
            continue
        if not isinstance(value, timedelta) or value <= timedelta(0):
            yield name, f"is not a positive timedelta but {value!r}", "Write timedelta(days=7)."
    warn: object = settings.warn_after
    critical: object = settings.critical_after
    if isinstance(warn, timedelta) and isinstance(critical, timedelta) and warn > critical:
        hint = f"CRITICAL_AFTER is {critical!r}: write the shorter time for WARN_AFTER."
        yield "warn_after", "is longer than CRITICAL_AFTER", hint
    for name in ("look_limit", "upload_limit"):
        limit = getattr(settings, name)
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            yield name, f"is no number of bytes but {limit!r}", "Write 4_000_000_000."
    for name in ("max_missing_files", "max_missing_share"):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            yield name, f"is no number from 0 up but {value!r}", "The defaults are 10 and 0.01."


def with_sound_settings(check: Callable[[BackupSettings], Iterator[CheckMessage]]) -> Check:
    """A check that is asked only where the settings themselves are sound."""

    def asked(**_: Any) -> list[CheckMessage]:
        return [] if check_settings() else list(check(backup_settings()))

    asked.__doc__ = check.__doc__
    return asked
