"""The ledger's tables, the index of packages, and what can be undone.

None of these tables is ever in a package or touched by a restore, and none has a foreign key to a
table that is: the record of a restore survives the restore.
"""

from __future__ import annotations

from typing import ClassVar, Self, TypeVar

from django.db import models
from django.db.models import QuerySet

from backup_tasks.conf import backup_settings
from backup_tasks.moments import MomentField

_Row = TypeVar("_Row", bound=models.Model, covariant=True)


class InLedger(models.Manager[_Row]):
    """The rows in the database that is backed up, whatever the project's routers say: a replica
    would show what was true a moment ago."""

    def get_queryset(self) -> QuerySet[_Row]:
        """Return all rows."""
        return super().get_queryset().using(backup_settings().database)


class _LedgerRow(models.Model):
    objects: ClassVar[InLedger[Self]] = InLedger()

    class Meta:
        abstract = True
        base_manager_name = "objects"


class Run(_LedgerRow):
    """One execution of a chain. Written by `backup_tasks.ledger` only."""

    class Kind(models.TextChoices):
        BACKUP = "backup"
        RESTORE = "restore"
        DRILL = "drill"
        CYCLE = "cycle"
        REINIT = "reinit"
        VERIFY = "verify"
        PRUNE = "prune"
        UNDO = "undo"

    class State(models.TextChoices):
        PENDING = "pending"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    ACTIVE: ClassVar[tuple[str, ...]] = (State.PENDING, State.RUNNING)

    id = models.CharField(primary_key=True, max_length=64, help_text="Shown in Flower as run_id.")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    state = models.CharField(
        max_length=16, choices=State.choices, default=State.PENDING, db_index=True
    )
    params = models.JSONField(default=dict, help_text="What was asked for. Never holds a secret.")
    trigger = models.CharField(max_length=16, help_text="command, admin, schedule or run.")
    requested_by = models.CharField(max_length=150, blank=True, help_text="A user name, as text.")
    on_workers = models.BooleanField(
        default=False, help_text="Handed to the Celery workers, not run by the command itself."
    )
    slot = models.CharField(  # noqa: DJ001  # unique unless null
        max_length=128, unique=True, null=True, help_text="Makes a scheduled start happen once."
    )
    live_lock = models.CharField(  # noqa: DJ001  # unique unless null
        max_length=8,
        unique=True,
        null=True,
        help_text="Set while the run is active and may write to live: the database allows one.",
    )
    package = models.CharField(max_length=255, blank=True, help_text="Made or restored by the run.")
    package_sha256 = models.CharField(
        max_length=64, blank=True, help_text="Of the package; empty where nobody knows it yet."
    )
    report = models.JSONField(default=dict, help_text="Counts per model, files, warnings.")
    error = models.JSONField(null=True, help_text="Why it failed: kind, what, object, hint.")
    created_at = MomentField(auto_now_add=True)
    started_at = MomentField(null=True)
    finished_at = MomentField(null=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="backup_run_created")]
        permissions: ClassVar = [
            ("start_backup", "Can start backups, verifications and drills"),
            ("start_restore", "Can start restores, resets and undo"),
        ]

    def __str__(self) -> str:
        return self.id


class Step(_LedgerRow):
    """One Celery task of a run: a durable checkpoint. Written by `backup_tasks.ledger` only."""

    class State(models.TextChoices):
        PENDING = "pending"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=32)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PENDING)
    attempt = models.PositiveIntegerField(
        default=0, help_text="Counts claims; it is the fencing token of the worker that holds it."
    )
    attempts = models.JSONField(default=list, help_text="How each earlier attempt ended.")
    owner = models.CharField(max_length=255, blank=True, help_text="host:pid of the claim.")
    task_id = models.CharField(max_length=64, blank=True, help_text="The Celery task's id.")
    lease_until = MomentField(
        null=True,
        help_text="Running: when the claim runs out. Pending: by when it should be claimed.",
    )
    progress = models.JSONField(default=dict, help_text="done, total, note.")
    result = models.JSONField(default=dict, help_text="What the next steps need to know.")
    error = models.JSONField(null=True)
    started_at = MomentField(null=True)
    finished_at = MomentField(null=True)

    class Meta:
        ordering: ClassVar = ["run", "position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "position"], name="backup_step_once_a_place"),
            models.UniqueConstraint(fields=["run", "name"], name="backup_step_once_a_run"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.name}"


class Package(_LedgerRow):
    """What is known of a package in a store. An index: the sidecars in the store are the truth."""

    name = models.CharField(max_length=255, unique=True)
    store = models.CharField(max_length=64)
    package_id = models.CharField(max_length=64)
    label = models.CharField(max_length=64)
    type = models.CharField(max_length=16)
    size = models.BigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    encrypted = models.BooleanField()
    signed = models.BooleanField()
    rows = models.BigIntegerField()
    files = models.BigIntegerField()
    created_at = MomentField()
    project = models.CharField(max_length=255, default="")
    installation = models.CharField(max_length=16, default="", help_text="That made it; or empty.")
    incomplete = models.TextField(default="", help_text="Which files it lacks; or empty.")
    trusted = models.BooleanField(
        default=False, help_text="A trusted key signed it, or no key is trusted."
    )
    seen_at = MomentField(null=True, help_text="Last time the store was seen to hold it.")
    verified_at = MomentField(null=True, help_text="Last time every byte was read back.")
    drilled_at = MomentField(null=True, help_text="Last time it was restored and proven.")
    failed_at = MomentField(null=True, help_text="Last failure that no success cleared.")
    failure = models.TextField(default="", help_text="What failed: the test and why.")
    pinned = models.BooleanField(default=False, help_text="Kept, whatever the retention says.")

    class Meta:
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="backup_package_created")]
        permissions: ClassVar = [
            ("download_package", "Can download packages"),
            ("upload_package", "Can upload packages"),
        ]

    def __str__(self) -> str:
        return self.name


class StorageId(_LedgerRow):
    """The id that a storage of files, or the workspace, holds in a file of its own: a worker that
    does not find it there looks at another folder."""

    name = models.CharField(max_length=150, unique=True, help_text="storage ALIAS, or workspace.")
    value = models.CharField(max_length=32)
    host = models.CharField(max_length=255, help_text="Where it was adopted.")
    adopted_at = MomentField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class PackageVerdict(_LedgerRow):
    """How a test of the package with this SHA-256 ended last, by test and outcome. The index of
    packages can be lost and made anew; this is what was found out, and copies are in the store."""

    sha256 = models.CharField(max_length=64, db_index=True)
    test = models.CharField(max_length=16, help_text="bytes, contents or restore.")
    passed = models.BooleanField()
    at = MomentField()
    run = models.CharField(max_length=64, blank=True)
    why = models.TextField(blank=True, help_text="What was wrong.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["sha256", "test", "passed"], name="backup_verdict_last_of_its_kind"
            )
        ]

    def __str__(self) -> str:
        return f"{self.sha256[:8]} {'passed' if self.passed else 'failed'} {self.test}"


class PackagePin(_LedgerRow):
    """Whether somebody wants the package with this SHA-256 kept, whatever the retention says."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    pinned = models.BooleanField()
    at = MomentField()
    by = models.CharField(max_length=150, blank=True)
    reason = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.sha256[:8]} {'pinned' if self.pinned else 'not pinned'}"


class Installation(_LedgerRow):
    """The installations whose packages count as this system's own: itself, and those that it was
    told to take over from."""

    code = models.CharField(primary_key=True, max_length=16, help_text="16 hexadecimal digits.")
    this = models.BooleanField(
        unique=True, null=True, help_text="True for the system itself: the database allows one."
    )
    created_at = MomentField(auto_now_add=True)

    def __str__(self) -> str:
        return self.code


class AuditEntry(_LedgerRow):
    """What somebody did, in a chain of hashes. Written by `evidence.audit` only, and never
    changed."""

    position = models.PositiveBigIntegerField(primary_key=True, help_text="1, 2, 3, …")
    at = MomentField()
    what = models.CharField(max_length=32, help_text="started, confirmed, cancelled, deleted, …")
    by = models.CharField(max_length=150, blank=True, help_text="A user name; empty: the system.")
    through = models.CharField(max_length=16, help_text="command, admin, schedule, code or run.")
    obj = models.CharField(max_length=255, blank=True, help_text="A run, a package, a host.")
    details = models.JSONField(default=dict)
    previous = models.CharField(max_length=64, help_text="Hash of the entry before it.")
    hash = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar = ["-position"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.position} {self.what} {self.obj}"


class ApprovalRequest(_LedgerRow):
    """A run that somebody asked for and that another person has to approve, see
    `BACKUP["FOUR_EYES"]`. Until then it is no run."""

    class State(models.TextChoices):
        WAITING = "waiting"
        APPROVED = "approved"
        REFUSED = "refused"

    kind = models.CharField(max_length=16, choices=Run.Kind.choices)
    params = models.JSONField(default=dict, help_text="What was asked for. Never holds a secret.")
    confirmed = models.CharField(max_length=300, help_text="What was typed to confirm it.")
    requested_by = models.CharField(max_length=150, help_text="A user name, as text.")
    created_at = MomentField(auto_now_add=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    decided_by = models.CharField(max_length=150, blank=True, help_text="Another user name.")
    decided_at = MomentField(null=True)
    run = models.OneToOneField(Run, on_delete=models.SET_NULL, null=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.kind} asked for by {self.requested_by}"


class UndoPoint(_LedgerRow):
    """The state that a promote replaced. Its row is written in the promote's own transaction, so
    it exists exactly when the promote happened; on MariaDB right after it, see
    `engines.Engine.in_doubt`."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, primary_key=True)
    schema = models.CharField(max_length=1024, help_text="A schema or a file with the old tables.")
    tables = models.JSONField(default=list, help_text="The tables that were replaced.")
    apps = models.JSONField(default=list, help_text="Apps whose record of migrations was replaced.")
    undoes = models.CharField(
        max_length=64, blank=True, help_text="The run that was undone, if this replaced it."
    )
    storages = models.JSONField(
        null=True,
        default=None,
        help_text="Aliases of the storages whose files it changed too; null: not recorded.",
    )
    databases = models.JSONField(
        default=list,
        help_text="Further databases that were replaced: see restore/further_databases.py.",
    )
    files_done = models.BooleanField(default=False, help_text="The files are in place too.")
    created_at = MomentField(auto_now_add=True)
    expires_at = MomentField()
    undone_at = MomentField(null=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"before {self.run_id}"
