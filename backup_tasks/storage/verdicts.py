"""What is known of packages: enters verdicts and pins in the ledger, and synchronizes them with the
copies that lie beside the packages in the stores.

Rows and copies only ever become newer. So the order in which workers and hosts write them does not
matter, and a copy that could not be written is written by the next `synchronize`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from backup_tasks import moments
from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import STORAGE_HINT, storage_failed, vendor_errors
from backup_tasks.errors import BackupError, PackageDamaged, SignatureInvalid
from backup_tasks.models import Package, PackagePin, PackageVerdict
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.standing import (
    STANDING_LIMIT,
    WHY_LIMIT,
    Pin,
    Standing,
    Test,
    Verdict,
    standing_name,
)
from backup_tasks.printable import printable
from backup_tasks.storage.catalogue import Found
from backup_tasks.storage.file_storages import storage_for

logger = logging.getLogger(__name__)

CLOCKS_DIFFER = timedelta(minutes=15)
"""What is dated later than that from now is in the future; less may be another host's clock."""


def standings(hashes: Iterable[str]) -> dict[str, Standing]:
    """Return what the ledger knows of the packages with these SHA-256s."""
    wanted = set(hashes)
    found = {sha256: Standing(sha256=sha256) for sha256 in wanted}
    _add(found, PackageVerdict.objects.filter(sha256__in=wanted))
    for pin in PackagePin.objects.filter(sha256__in=wanted):
        kept = Pin(pinned=pin.pinned, at=pin.at, by=pin.by, reason=pin.reason)
        found[pin.sha256] = found[pin.sha256].merged([], kept)
    return found


def entered_on(
    packages: Iterable[Package], *, and_of: QuerySet[Any, Any] | None = None
) -> dict[str, Standing]:
    """Return the verdicts on these packages, where there are any, by SHA-256; with one query.
    `and_of`: SHA-256s of others too."""
    wanted = Q(sha256__in={package.sha256 for package in packages})
    found: dict[str, Standing] = {}
    rows = wanted if and_of is None else wanted | Q(sha256__in=and_of)
    _add(found, PackageVerdict.objects.filter(rows))
    return found


def _add(found: dict[str, Standing], rows: Iterable[PackageVerdict]) -> None:
    for row in rows:
        verdict = Verdict(
            test=row.test,  # type: ignore[arg-type]  # one of the three: only `enter` writes it
            passed=row.passed,
            at=row.at,
            run=row.run,
            why=row.why,
        )
        before = found.get(row.sha256) or Standing(sha256=row.sha256)
        found[row.sha256] = before.merged([verdict], None)


def passed(sha256: str, test: Test, *, run: str) -> None:
    """Enter that the package passed a test."""
    _enter_now(sha256, Verdict(test=test, passed=True, at=moments.now(), run=run))


def failed(sha256: str, test: Test, *, run: str, error: BackupError) -> None:
    """Enter that the package failed a test."""
    verdict = Verdict(test=test, passed=False, at=moments.now(), run=run, why=_reason(error))
    _enter_now(sha256, verdict)


def set_pin(sha256: str, *, pinned: bool, by: str = "", reason: str = "") -> None:
    """Enter that somebody wants the package kept, or no longer does."""
    pin = Pin(pinned=pinned, at=moments.now(), by=by, reason=reason)
    _enter(Standing(sha256=sha256, pin=pin))
    _copy(sha256)


class Synchronized(NamedTuple):
    """What ledger and stores know together."""

    standings: dict[str, Standing]
    """By SHA-256."""
    problems: list[str]
    """What could not be read or written, in words."""


def synchronize(found: Sequence[Found], *, write: bool) -> Synchronized:
    """Enter what the stores' copies know and the ledger does not; with `write`, the other way round
    too.

    Where keys are trusted, only what a trusted key
    signed decides anything: of packages and of copies.
    """
    known = standings(package.sidecar.sha256 for package in found)

    def both_ways(storage: Storage, sidecar: Sidecar, there: Standing) -> None:
        here = known[sidecar.sha256]
        known[sidecar.sha256] = both = here.merged(there.verdicts, there.pin)
        if both != here:
            _enter(both)
        if write and both != there and _may_write():
            _write(storage, sidecar.name, both)

    problems = _each_copy(found, both_ways)
    return Synchronized(known, problems)


def copies(found: Sequence[Found]) -> dict[str, Standing]:
    """Return what the stores' copies alone know, by SHA-256: all that is left where the database
    does not answer."""
    hashes = [package.sidecar.sha256 for package in found]
    known = {sha256: Standing(sha256=sha256) for sha256 in hashes}

    def take(storage: Storage, sidecar: Sidecar, there: Standing) -> None:
        known[sidecar.sha256] = known[sidecar.sha256].merged(there.verdicts, there.pin)

    _each_copy(found, take)
    return known


def _each_copy(
    found: Sequence[Found], use: Callable[[Storage, Sidecar, Standing], None]
) -> list[str]:
    """Call `use` with the copy beside each package that counts; return what failed, in words."""
    trusted = backup_settings().trusted_keys
    counted = [package for package in found if package.counts]
    problems: list[str] = []
    for alias in dict.fromkeys(package.store for package in counted):
        storage = storage_for(alias)
        try:
            with suppress(FileNotFoundError):
                present = set(storage.listdir("")[1])
                for sidecar in (each.sidecar for each in counted if each.store == alias):
                    use(storage, sidecar, _read(storage, sidecar, trusted, present))
        except _failing() as raised:
            problem = (
                str(storage_failed(f"the store {alias!r} failed", raised, obj=alias))
                + " What is known of its packages could not be read or written there."
            )
            logger.warning("%s", problem)
            problems.append(problem)
    return problems


def remove_copy(alias: str, package: str) -> None:
    """Remove the copy beside a package that is going to be removed. Raises StorageUnavailable,
    StorageRefused."""
    try:
        storage_for(alias).delete(standing_name(package))
    except _failing() as raised:
        what = f"the store {alias!r} failed"
        raise storage_failed(what, raised, obj=package, hint=STORAGE_HINT) from raised


def forget(sha256: str) -> None:
    """Remove what the ledger knows of a package that is nowhere any more."""
    PackageVerdict.objects.filter(sha256=sha256).delete()
    PackagePin.objects.filter(sha256=sha256).delete()


def index(rows: Iterable[Package], known: dict[str, Standing]) -> None:
    """Make the index show what is known of each package."""
    for row in rows:
        standing = known[row.sha256]
        failure = standing.failure
        shown: dict[str, Any] = {
            "verified_at": standing.verified_at,
            "drilled_at": standing.drilled_at,
            "failed_at": failure and failure.at,
            "failure": f"{failure.test}: {failure.why}" if failure else "",
            "pinned": standing.pinned,
        }
        if any(getattr(row, name) != value for name, value in shown.items()):
            Package.objects.filter(pk=row.pk).update(**shown)


def _enter_now(sha256: str, verdict: Verdict) -> None:
    _enter(Standing(sha256=sha256, verdicts=(verdict,)))
    _copy(sha256)


def _enter(standing: Standing) -> None:
    """Write what is newer than the ledger's rows, and show it in the index."""
    for verdict in standing.verdicts:
        which = {"test": verdict.test, "passed": verdict.passed}
        values = {"at": verdict.at, "run": verdict.run, "why": verdict.why}
        _newer(PackageVerdict, {"sha256": standing.sha256, **which}, values)
    if pin := standing.pin:
        values = {"pinned": pin.pinned, "at": pin.at, "by": pin.by, "reason": pin.reason}
        _newer(PackagePin, {"sha256": standing.sha256}, values)
    index(Package.objects.filter(sha256=standing.sha256), standings([standing.sha256]))


def _newer(
    model: type[PackageVerdict] | type[PackagePin], key: dict[str, Any], values: dict[str, Any]
) -> None:
    rows = model.objects.filter(**key)
    if rows.filter(at__lt=values["at"]).update(**values) or rows.exists():
        return
    try:
        with transaction.atomic(using=backup_settings().database):
            model(**key, **values).save(using=backup_settings().database, force_insert=True)
    except IntegrityError:  # another process has inserted it
        rows.filter(at__lt=values["at"]).update(**values)


def _copy(sha256: str) -> None:
    """Write the copies beside the package, wherever the index says it is. The ledger has what is
    known: where a store does not take it, the next `synchronize` does."""
    if not _may_write():
        return
    for row in Package.objects.filter(sha256=sha256):
        storage = storage_for(row.store)
        try:
            _write(storage, row.name, standings([sha256])[sha256])
        except _failing() as raised:
            logger.warning("what is known of %s is not beside it yet: %s", row.name, raised)


def _may_write() -> bool:
    """Whether this host may write copies. Where keys are trusted and it has none to sign with, its
    copies would count for nothing, and would replace some that count."""
    settings = backup_settings()
    return settings.signing_key is not None or not settings.trusted_keys


def _read(
    storage: Storage, sidecar: Sidecar, trusted: Sequence[str], present: set[str]
) -> Standing:
    """Return what the copy beside a package says, nothing where it says nothing that counts."""
    name = standing_name(sidecar.name)
    nothing = Standing(sha256=sidecar.sha256)
    if name not in present or not _is_regular(storage, name):
        return nothing
    try:
        with storage.open(name, "rb") as file:
            standing = Standing.from_json(file.read(STANDING_LIMIT), name, trusted=trusted)
    except FileNotFoundError:
        return nothing
    except (PackageDamaged, SignatureInvalid) as error:
        logger.warning("%s counts for nothing: %s", name, error)
        return nothing
    if standing.sha256 != sidecar.sha256:
        return nothing
    latest = moments.now() + CLOCKS_DIFFER
    return nothing.merged(
        [verdict for verdict in standing.verdicts if verdict.at <= latest],
        standing.pin if standing.pin and standing.pin.at <= latest else None,
    )


def _is_regular(storage: Storage, name: str) -> bool:
    """Whether it can be opened without waiting for somebody at the other end of a pipe."""
    return not isinstance(storage, FileSystemStorage) or Path(storage.path(name)).is_file()


def _write(storage: Storage, package: str, standing: Standing) -> None:
    """Raises OSError, what the storage's library raises, KeyMissing."""
    key = backup_settings().signing_key
    content = standing.to_json(Path(key).read_text() if key else None)
    name = standing_name(package)
    if isinstance(storage, FileSystemStorage):
        # Half a copy counts for nothing, and the next `synchronize` writes it again. So it is
        # written under its own name: a process that is killed leaves no file of another name.
        path = Path(storage.path(name))
        path.unlink(missing_ok=True)
        with path.open("xb") as file:
            file.write(content)
        return
    storage.delete(name)  # a storage that does not overwrite would choose another name
    storage.save(name, ContentFile(content, name))


def _reason(error: BackupError) -> str:
    """Return what failed, as the one line that a copy in the store may hold."""
    text = f"{error.obj}: {error.what}" if error.obj and error.obj not in error.what else error.what
    return printable(text)[:WHY_LIMIT]


def _failing() -> tuple[type[Exception], ...]:
    return (OSError, *vendor_errors())
