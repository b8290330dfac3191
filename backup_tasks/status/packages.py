"""What is known of packages: from the stores themselves, or from the index for a page."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.files.storage import FileSystemStorage
from django.db.models import Count, Max, QuerySet, Sum

from backup_tasks.conf import backup_settings, regular_labels
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError
from backup_tasks.models import Package
from backup_tasks.status.facts import Disk, Failed, Good, Problem, RecoveryPoint
from backup_tasks.storage import catalogue, last_good
from backup_tasks.storage.backup_disks import backup_disks
from backup_tasks.storage.file_storages import storage_for
from backup_tasks.storage.index_selection import Deciding
from backup_tasks.storage.installation import own_installations
from backup_tasks.storage.last_good import HOLDING_FILES, HOLDING_ROWS, Candidate


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a store holds."""

    packages: int = 0
    size: int = 0
    """Bytes of the packages."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """The packages that are there, and what was noticed when they were looked for."""

    candidates: Sequence[Candidate]
    """Newest first: all, or those that decide (`storage.index_selection`)."""
    own: Collection[str]
    """Ids of this installation; empty where the ledger could not be asked."""
    gone: Sequence[str] = ()
    broken: Sequence[Problem] = ()
    unread: Sequence[Problem] = ()
    unknown: Sequence[Problem] = ()
    read_at: datetime | None = None
    held: Mapping[str, Held] = field(default_factory=dict)
    """What each store of the index holds; empty where the stores themselves were read."""
    in_folders: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Names of the index's packages that a folder of this machine has, by store."""
    keys: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Primary keys of the index's rows of the candidates, by store and name."""


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
    """Return what the index says, with the packages that decide alone. Of stores that are folders
    here, whether a package is still there is looked up; others are not asked for a page: `read_at`
    says when they were last read."""
    own = own_installations()
    unread = [problem for alias in backup_settings().stores if (problem := _unreadable(alias))]
    lost = {problem.obj for problem in unread}
    far = [alias for alias in backup_settings().stores if not _is_folder(alias)]
    held = dict[str, Held]()
    there, lacking = dict[str, set[str]](), dict[str, set[str]]()
    for alias, wanted in _by_folder(far).items():
        lacking[alias] = set(wanted) if alias in lost else _lacking(alias, wanted)
        there[alias] = wanted.keys() - lacking[alias]
        held[alias] = Held(
            packages=len(there[alias]), size=sum(wanted[name] for name in there[alias])
        )
    read = []
    for alias, number, size, seen in _totals(far) if far else ():
        held[alias] = Held(packages=number, size=size)
        read += [seen] if seen else []

    def is_there(row: Package) -> bool:
        return row.name not in lacking.get(row.store, ())

    deciding = Deciding(is_there, own)
    return Looked(
        candidates=deciding.candidates,
        own=own,
        gone=sorted(
            name for alias, names in lacking.items() if alias not in lost for name in names
        ),
        unread=unread,
        read_at=min(read, default=None),
        held=held,
        in_folders=there,
        keys={(row.store, row.name): row.pk for row in deciding.rows.values()},
    )


def _totals(far: Collection[str]) -> QuerySet[Package, tuple[str, int, int, datetime | None]]:
    """Return of each of these stores: alias, packages, bytes, when it was last read."""
    groups = Package.objects.filter(store__in=far).order_by().values("store")
    return groups.values_list("store", Count("pk"), Sum("size"), Max("seen_at"))


def _by_folder(far: Collection[str]) -> dict[str, dict[str, int]]:
    """Return the names and sizes of the packages of the index, by store; not of those `far`."""
    found: dict[str, dict[str, int]] = {}
    rows = Package.objects.exclude(store__in=far).order_by()
    for alias, name, size in rows.values_list("store", "name", "size"):
        found.setdefault(alias, {})[name] = size
    return {alias: packages for alias, packages in found.items() if _is_folder(alias)}


def _lacking(alias: str, wanted: Mapping[str, int]) -> set[str]:
    """Return which packages a folder lacks, or has in another size. It is read once for all."""
    lacking = set(wanted)
    with suppress(OSError), os.scandir(storage_for(alias).path("")) as entries:
        for entry in entries:
            if entry.name in lacking and _size(entry) == wanted[entry.name]:
                lacking.remove(entry.name)
    return lacking


def _size(entry: os.DirEntry[str]) -> int | None:
    try:
        return entry.stat().st_size
    except OSError:
        return None


def facts_of(looked: Looked) -> dict[str, Any]:
    """Return the fields of `Facts` that packages decide."""
    points = points_of(looked)
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


def points_of(looked: Looked) -> list[RecoveryPoint]:
    """Return what would be restored of the rows and of the files."""
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
    return candidate.label in regular_labels() and candidate.type in {*HOLDING_ROWS, *HOLDING_FILES}


def _disks(size: int) -> list[Disk]:
    """Return the disks of this machine that a backup as large as `size` is written to."""
    return [
        Disk(folder=called, free=disk.free, needed=disk.needed)
        for called, disk in backup_disks(size).items()
    ]


def _is_folder(alias: str) -> bool:
    return isinstance(storage_for(alias), FileSystemStorage)


def _unreadable(alias: str) -> Problem | None:
    if not _is_folder(alias):
        return None
    try:
        with os.scandir(storage_for(alias).path("")) as entries:
            next(entries, None)
    except FileNotFoundError:
        return None  # nobody has written to it yet
    except OSError as error:
        return _problem(alias, explain(error))
    return None


def _problem(obj: str, error: BackupError) -> Problem:
    return Problem(obj=obj, what=error.what, remedy=error.hint)
