"""Every setting, with its default, in one place.

A project sets what it wants to change in one dictionary, `settings.BACKUP`; the keys are the names
of the fields below in upper case. Settings are read when they are needed, never at import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings

from backup_tasks.errors import Misconfigured
from backup_tasks.schedules import NIGHTLY, Schedule, schedules_of


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How many packages to keep: the newest of each hour, day, week and month, and never fewer than
    `minimum` in all. At most the `share` of a store's packages goes at a time."""

    hourly: int = 0
    daily: int = 7
    weekly: int = 4
    monthly: int = 12
    minimum: int = 3
    share: float = 0.5

    def problem(self) -> str:
        """Return what is wrong with it, nothing where it can be used."""
        for rule in ("hourly", "daily", "weekly", "monthly", "minimum"):
            number = getattr(self, rule)
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                return f"{rule} is not a whole number from 0 up but {number!r}"
        share: object = self.share
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            return f"share is not a number above 0 and up to 1 but {share!r}"
        if not (self.hourly or self.daily or self.weekly or self.monthly or self.minimum):
            return "it keeps nothing: all of its numbers are 0"
        return ""

    @classmethod
    def of(cls, value: object, *, setting: str = "RETENTION") -> Retention:
        """Return the retention that a project set: one of these, or a mapping with some of the
        fields. Raises Misconfigured, which names the setting."""
        if isinstance(value, Mapping):
            rules = [rule.name for rule in fields(cls)]
            if unknown := [repr(key) for key in value if key not in rules]:
                raise _no_retention(f"unknown key {', '.join(unknown)}", setting, kind=False)
            value = cls(**value)
        if not isinstance(value, Retention):
            raise _no_retention(f"it does not say how many to keep: {value!r}", setting)
        if problem := value.problem():
            raise _no_retention(problem, setting)
        return value


def _by_label(value: object) -> dict[str, Retention]:
    """Return the retention of each label. The share is that of a store, so no label has its own."""
    name = "RETENTION_BY_LABEL"
    if not isinstance(value, Mapping) or not all(isinstance(key, str) and key for key in value):
        raise _no_retention(f"it does not name labels: {value!r}", name)
    found = {label: Retention.of(each, setting=name) for label, each in value.items()}
    for label, each in found.items():
        if each.share != Retention.share:
            raise _no_retention(f"{label!r} has a share; RETENTION has it for all labels", name)
    return found


def _no_retention(problem: str, setting: str, *, kind: bool = True) -> Misconfigured:
    """`kind`: the setting can be read, and has a value of the wrong kind."""
    return Misconfigured(
        f"BACKUP[{setting!r}] can't be used: {problem}",
        obj=setting if kind else "",
        hint='Write {"daily": 7, "weekly": 4, "monthly": 12, "minimum": 3}, or leave it out.',
    )


@dataclass(frozen=True, kw_only=True)
class BackupSettings:
    """`settings.BACKUP`, typed."""

    project: str = "project"
    """Name in packages and manifests. Default: the settings module's package."""

    stores: Sequence[str] = ("backups",)
    """Storage aliases where packages live, the first one being written to. An alias that `STORAGES`
    does not define is the folder `backups` beside the database."""

    workspace: Path = Path("backup-workspace")
    """Folder where the steps of a run hand over. All workers of a run must reach it. Default: the
    folder `backup-workspace` beside the database."""

    database: str = "default"
    """Alias of the database that is backed up; the ledger lives in it too."""

    databases: Sequence[str] = ()
    """Aliases of the databases that are backed up together; the ledger lives in the first. Instead
    of `database`, which is the first of them. Default: that one alone."""

    connections: int = 4
    """How many database connections read or load at a time where there are many rows (PostgreSQL),
    each with a process of its own, never more than there are processors; and how many check foreign
    keys. 1: no others."""

    exclude: Sequence[str] = ()
    """App labels or `app.Model` names that are left out. Each is named in the manifest."""

    natural_keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Keys of models whose code can't be changed: `{"app.model": ["field", "fk__field"]}`."""

    clear_fields: Sequence[str] = ()
    """Fields whose decrypted values may be in packages in clear: `app.Model.field`. Others'
    travel as their columns store them only."""

    column_groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Columns whose values mean something only together, over many rows: `{"app.Model": ["lft",
    "rgt"]}`. A merge does not mix them. See `rows.column_groups`."""

    key_columns: Mapping[str, str | None] = field(default_factory=dict)
    """Columns that hold primary keys and are no foreign keys: `{"app.Model.column":
    "app.Target"}`. A merge changes them with the keys. See `rows.key_columns`."""

    file_storages: Sequence[str] = ("default",)
    """Storage aliases whose files belong into a package. Default: `default`, if `STORAGES` has
    it."""

    files_exclude: Sequence[str] = ()
    """Patterns of files that are left out of packages and left alone by restores: `cache/*`,
    `*.key`. See `storage.exclusion`."""

    max_missing_files: int = 10
    max_missing_share: float = 0.01
    """How many of the files that rows refer to, and which share of them, may be missing that the
    last package had. A backup in which both are exceeded fails, and one that misses half of all."""

    follow_links: bool = False
    """Whether links that lead outside the folder of a storage are followed, in backups and
    restores."""

    undo_files: Mapping[str, str | Path] = field(default_factory=dict)
    """Where what a restore replaces lies until the undo expires, of storages on disk: `{alias:
    folder}`, an absolute path on the storage's file system. Default: `.backup_tasks` in the
    storage."""

    recipients: Sequence[str] = ()
    """age public keys (or ssh public keys) that can open new packages. Empty: not encrypted."""

    require_encryption: bool = False
    """Whether packages in clear are refused: none is made, none is restored."""

    identities: Sequence[str | Path] = ()
    """Files with age identities that open packages."""

    signing_key: str | Path | None = None
    """File with the Ed25519 key that signs new packages."""

    trusted_keys: Sequence[str] = ()
    """Public keys whose signature a restore accepts. Empty: signatures are not required."""

    seed: str | None = None
    """Dotted path of a function, called with the alias of a fresh staging, that makes the
    system's defaults."""

    checks: Sequence[str] = ()
    """Dotted paths of functions, called with the alias of a loaded staging. Each returns a list
    of problems; one problem fails the run."""

    retention: Retention = Retention()
    """What `prune` keeps."""

    retention_by_label: Mapping[str, Retention] = field(default_factory=dict)
    """What it keeps of packages with these labels, instead."""

    regular_labels: Sequence[str] = ()
    """Labels of regular backups, beside those of `schedules`. A full package with one of these, or
    with none, can be the newest and the last good one; others, such as `safety`, are taken only
    where they are named."""

    undo_for: timedelta = timedelta(days=7)
    """How long the replaced tables and files stay for `undo_restore`."""

    lease: timedelta = timedelta(seconds=60)
    """How long a step stays claimed without a heartbeat. Heartbeats come four times as often."""

    schedules: Mapping[str, Schedule] = field(default_factory=lambda: schedules_of(NIGHTLY))
    """What beat starts, and when: `{"nightly": {"cron": "30 2 * * *", "drill": True}}`. A project's
    beat has what `celery_defaults.beat.entries` makes of it."""

    retry_night_after: timedelta | None = timedelta(hours=1)
    """How long after a scheduled backup failed it is tried again, until one of its day is good.
    None: not before it is due next."""

    warn_after: timedelta = timedelta(hours=30)
    """Age of the last good backup, of the rows or of the files, at which `backup_status` warns."""

    critical_after: timedelta = timedelta(hours=48)
    """Age of the last good backup at which `backup_status` is critical."""

    proof_within: timedelta = timedelta(days=7)
    """How old the newest package may be that a restore or a drill proved, before `backup_status`
    warns."""

    recovery_time: timedelta | None = None
    """How long a restore may take: the target that reports measure drills by. None: no target."""

    alert_mail: Sequence[str] = ()
    """Addresses that get a mail when an incident begins and when it is over."""

    alert_webhooks: Sequence[str] = ()
    """Addresses that get the same as JSON, signed with ALERT_SECRET."""

    alert_secret: str | None = None
    """Secret of the webhooks: `whsec_` and 24 to 64 bytes in base64."""

    alert_apprise: Sequence[str] = ()
    """Addresses of chat services, as apprise has them."""

    pings: Mapping[str, str] = field(default_factory=dict)
    """Monitors that raise an alarm where no ping comes: `{"backup": url, "drill": url, "status":
    url}`, by kind of run."""

    look_limit: int = 4_000_000_000
    """Bytes, packed or unpacked, of the largest package that the admin's pages look into."""

    upload_limit: int = 10_000_000_000
    """Bytes of the largest package that can be uploaded in the admin."""

    monitoring_token: str | None = None
    """What Prometheus and health checks send to be answered: `Authorization: Bearer TOKEN`."""

    four_eyes: bool = False
    """Whether what would replace live and is started from the admin waits until another person
    approves it."""

    flower_url: str = ""
    """Address of Flower, for links from the admin to a run's tasks. Empty: no links."""


def _beside_the_database(alias: str) -> Path:
    database = django_settings.DATABASES.get(alias, {})
    if "sqlite" in database.get("ENGINE", "") and ":memory:" not in str(database.get("NAME")):
        return Path(database["NAME"]).absolute().parent
    return Path(getattr(django_settings, "BASE_DIR", Path.cwd())).absolute()


def regular_labels() -> set[str]:
    """Return the labels of packages that can be the newest and the last good one; "" is none."""
    settings = backup_settings()
    scheduled = (schedule.label for schedule in settings.schedules.values())
    return {"", *settings.regular_labels, *scheduled}


def default_store_folder() -> Path:
    """Where packages go when `STORAGES` does not define the store's alias."""
    return _beside_the_database(backup_settings().database) / "backups"


def _first_database(given: Mapping[str, Any]) -> Any:
    if "databases" not in given:
        return given.get("database", "default")
    aliases = given["databases"]
    if "database" in given:
        raise Misconfigured(
            "BACKUP['DATABASE'] and BACKUP['DATABASES'] are both set",
            obj="DATABASES",
            hint="Set one of them: DATABASES, with the database that has the ledger first.",
        )
    if isinstance(aliases, str) or not isinstance(aliases, Sequence) or not aliases:
        raise Misconfigured(
            f"BACKUP['DATABASES'] is no list of aliases but {aliases!r}",
            obj="DATABASES",
            hint='Write ["default", …]: the database that has the ledger is the first.',
        )
    return aliases[0]


def backup_settings() -> BackupSettings:
    """Return the project's settings. Raises Misconfigured for an unknown key, or a value that can't
    be used."""
    given: dict[str, Any] = {
        key.lower(): value for key, value in getattr(django_settings, "BACKUP", {}).items()
    }
    unknown = sorted(set(given) - {entry.name for entry in fields(BackupSettings)})
    if unknown:
        raise Misconfigured(
            f"unknown key in settings.BACKUP: {', '.join(name.upper() for name in unknown)}",
            hint="The settings reference in the documentation lists every key.",
        )
    module = str(django_settings.SETTINGS_MODULE or "project") if "project" not in given else ""
    given.setdefault("project", module.split(".")[0])
    if "retention" in given:
        given["retention"] = Retention.of(given["retention"])
    if "retention_by_label" in given:
        given["retention_by_label"] = _by_label(given["retention_by_label"])
    if "schedules" in given:
        given["schedules"] = schedules_of(given["schedules"])
    if "default" not in django_settings.STORAGES:
        given.setdefault("file_storages", ())
    alias = given["database"] = _first_database(given)
    given.setdefault("workspace", _beside_the_database(alias) / "backup-workspace")
    given["workspace"] = Path(given["workspace"])
    return BackupSettings(**given)
