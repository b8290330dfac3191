"""What is known of packages: from the stores themselves, or from the index for a page."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage

from backup_tasks.conf import backup_settings, is_regular
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError
from backup_tasks.models import Package
from backup_tasks.status.facts import Disk, Failed, Good, Problem, RecoveryPoint
from backup_tasks.storage import catalogue, last_good
from backup_tasks.storage.disk_space import Need, disks
from backup_tasks.storage.file_storages import storage_for
from backup_tasks.storage.installation import own_installations
from backup_tasks.storage.last_good import HOLDING_FILES, HOLDING_ROWS, Candidate


@dataclass(frozen=True, kw_only=True)
class Looked:
    """The packages that are there, and what was noticed when they were looked for."""

    candidates: Sequence[Candidate]
    """Newest first."""
    own: Collection[str]
    """Ids of this installation; empty where the ledger could not be asked."""
    gone: Sequence[str] = ()
    broken: Sequence[Problem] = ()
    unread: Sequence[Problem] = ()
    unknown: Sequence[Problem] = ()
    read_at: datetime | None = None
    keys: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Primary keys of the index's rows, by store and name."""


def in_stores(*, ledger: bool) -> Looked:
    """Read the stores. Nothing is written, neither there nor to the index. `ledger`: it can be
    asked."""
    contents = catalogue.read()
    candidates, own, gone = last_good.known_to_stores(contents.found), set[str](), list[str]()
    if ledger:
        candidates, own = last_good.known_read_only(contents.found), own_installations()
        there = {package.sidecar.name for package in contents.found}
        rows = Package.objects.filter(store__in=[*dict(catalogue.stores())])
        rows = rows.exclude(store__in=list(contents.unread))
        gone = sorted(set(rows.values_list("name", flat=True)) - there)
    return Looked(
        candidates=candidates,
        own=own,
        gone=gone,
        broken=[_problem(odd.file_name, odd.error) for odd in contents.broken],
        unread=[_problem(alias, error) for alias, error in contents.unread.items()],
    )


def in_index() -> Looked:
    """Return what the index says. Of stores that are folders here, whether it is still there is
    looked up; others are not asked for a page: `read_at` says when they were last read."""
    rows = {row.name: row for row in Package.objects.all()}
    candidates = last_good.of_rows(rows.values())
    there = [each for each in candidates if is_there(each)]
    far = {alias for alias in backup_settings().stores if not _is_folder(alias)}
    seen: dict[str, datetime] = {}
    for row in rows.values():
        if row.store in far and row.seen_at:
            seen[row.store] = max(row.seen_at, seen.get(row.store, row.seen_at))
    near = [alias for alias in backup_settings().stores if _is_folder(alias)]
    unread = [problem for alias in near if (problem := _unreadable(alias))]
    lost = {problem.obj for problem in unread}
    return Looked(
        candidates=there,
        own=own_installations(),
        gone=[e.name for e in candidates if e not in there and e.store not in lost],
        unread=unread,
        read_at=min(seen.values(), default=None),
        keys={(row.store, row.name): row.pk for row in rows.values()},
    )


def is_there(candidate: Candidate) -> bool:
    """Whether a package of a store that is a folder here is still there; True for other stores."""
    storage = storage_for(candidate.store)
    if not isinstance(storage, FileSystemStorage):
        return True
    try:
        return Path(storage.path(candidate.name)).stat().st_size == candidate.size
    except OSError:
        return False


def facts_of(looked: Looked) -> dict[str, Any]:
    """Return the fields of `Facts` that packages decide."""
    points = _points(looked)
    since = min((point.good.created_at for point in points if point.good), default=None)
    if any(point.good is None for point in points):
        since = None
    newest = next((point.good for point in points if point.good), None)
    size = next((each.size for each in looked.candidates if newest and _is(each, newest)), 0)
    return {
        "points": points,
        "failed": list(_failed(looked, since)),
        "passed_over": list(_passed_over(looked, since)),
        "broken": looked.broken,
        "gone": looked.gone,
        "unread": looked.unread,
        "unknown": looked.unknown,
        "read_at": looked.read_at,
        "disks": _disks(size),
    }


def _points(looked: Looked) -> list[RecoveryPoint]:
    rows = _point("rows", HOLDING_ROWS, looked)
    if not backup_settings().file_storages:
        return [rows]
    files = _point("files", HOLDING_FILES, looked)
    if (rows.good, rows.proven) == (files.good, files.proven):
        return [RecoveryPoint(what="rows and files", good=rows.good, proven=rows.proven)]
    return [rows, files]


def _point(what: str, types: Collection[str], looked: Looked) -> RecoveryPoint:
    # Without a ledger `own` is empty, and then not `None`: that would ask the ledger.
    good = last_good.newest(looked.candidates, own=looked.own, types=types)
    proven = last_good.last_proven(looked.candidates, own=looked.own, types=types)
    return RecoveryPoint(what=what, good=_good(good), proven=_good(proven))


def _good(candidate: Candidate | None) -> Good | None:
    if candidate is None:
        return None
    standing = candidate.standing
    return Good(
        name=candidate.name,
        store=candidate.store,
        created_at=candidate.created_at,
        proven_at=standing.drilled_at if standing.proven else None,
    )


def _is(candidate: Candidate, good: Good) -> bool:
    return (candidate.store, candidate.name) == (good.store, good.name)


def _ours(looked: Looked) -> list[Candidate]:
    settings = backup_settings()
    return [
        each
        for each in looked.candidates
        if each.project == settings.project
        and (not each.installation or not looked.own or each.installation in looked.own)
    ]


def _failed(looked: Looked, since: datetime | None) -> list[Failed]:
    """`since`: when the last good backup was made."""
    return [
        Failed(
            name=each.name,
            why=f"{each.failing()}: {each.standing.failure.why}",
            newer=_is_regular(each) and (since is None or each.created_at > since),
        )
        for each in _ours(looked)
        if each.standing.failure
    ]


def _passed_over(looked: Looked, since: datetime | None) -> list[Problem]:
    found = []
    for each in _ours(looked):
        odd = each.in_future or not each.trusted or each.incomplete
        if odd and _is_regular(each) and (since is None or each.created_at > since):
            why = each.unfit(types=[each.type])
            found.append(Problem(obj=each.name, what=why, remedy=_REMEDY))
    return found


_REMEDY = (
    "If it is a backup of this system, remove the cause and make a new one: `create_backup`. If "
    "not, find out who put it there."
)


def _is_regular(candidate: Candidate) -> bool:
    return is_regular(candidate.label) and candidate.type in {*HOLDING_ROWS, *HOLDING_FILES}


def _disks(size: int) -> list[Disk]:
    """Return the disks of this machine that a backup as large as `size` is written to."""
    settings = backup_settings()
    folders = {"the workspace": settings.workspace}
    storage = storage_for(settings.stores[0])
    if isinstance(storage, FileSystemStorage):
        folders["the store"] = Path(storage.location)
    needs = [Need(what=what, folder=folder, size=size) for what, folder in folders.items()]
    return [
        Disk(
            folder=f"{disk.folder} ({' and '.join(need.what for need in disk.needs)})",
            free=disk.free,
            needed=disk.needed,
        )
        for disk in disks(needs)
    ]


def _is_folder(alias: str) -> bool:
    return isinstance(storage_for(alias), FileSystemStorage)


def _unreadable(alias: str) -> Problem | None:
    folder = Path(storage_for(alias).path(""))
    try:
        next(folder.iterdir(), None)
    except FileNotFoundError:
        return None  # nobody has written to it yet
    except OSError as error:
        return _problem(alias, explain(error))
    return None


def _problem(obj: str, error: BackupError) -> Problem:
    return Problem(obj=obj, what=error.what, remedy=error.hint)
