"""The catalogue: which packages there are. The sidecars in the stores are the truth, and the index
in the database is made from them. `read` and `find` need no database.

A store may hold files that others put there. A sidecar that can't be read is reported as broken,
and the other packages are listed all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import connections
from django.db.models import Q

from backup_tasks import moments
from backup_tasks.conf import backup_settings
from backup_tasks.errors import BackupError, Misconfigured, PackageNotFound
from backup_tasks.models import Package
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.strict import is_id
from backup_tasks.package.trust import is_trusted
from backup_tasks.printable import shown
from backup_tasks.storage.file_storages import storage_for
from backup_tasks.storage.store import Store


@dataclass(frozen=True, kw_only=True)
class Found:
    """A package in a store: its sidecar can be read, and its size is what that says."""

    store: str
    """Alias of the store."""

    sidecar: Sidecar

    trusted: bool | None
    """Whether one of the trusted keys signed the sidecar; None where no key is trusted."""

    @property
    def counts(self) -> bool:
        """Whether a trusted key signed it, or no key is trusted."""
        return self.trusted is not False


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A sidecar that can't be read, or whose package is missing or of another size."""

    store: str
    """Alias of the store."""

    file_name: str
    """Of the sidecar, as it can be shown."""

    error: BackupError
    """What is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What the stores hold."""

    found: tuple[Found, ...]
    """Newest first; of one moment, in the order of the stores."""

    broken: tuple[Broken, ...]

    unread: Mapping[str, BackupError]
    """Aliases of the stores that could not be read, and why: what they hold is not known."""

    def raise_unread(self) -> None:
        """Raise the error of the first store that could not be read, if there is one."""
        for error in self.unread.values():
            raise error


def stores(only: str = "") -> list[tuple[str, Store]]:
    """Return the project's stores by alias; the first is the one that is written to. `only`: the
    one with this alias. Raises Misconfigured where there is none."""
    aliases = backup_settings().stores
    if only and only not in aliases:
        raise Misconfigured(
            "no store has this alias", obj=only, hint=f"BACKUP['STORES'] has {', '.join(aliases)}."
        )
    return [
        (alias, Store(storage_for(alias), alias=alias)) for alias in aliases if only in ("", alias)
    ]


def read(only: str = "") -> Contents:
    """Read every store, or one. Needs no database. Raises KeyMissing where a trusted key is no key,
    and what `stores` raises."""
    trusted = backup_settings().trusted_keys
    found: list[Found] = []
    broken: list[Broken] = []
    unread: dict[str, BackupError] = {}
    for alias, store in stores(only):
        try:
            listing = store.listing()
        except BackupError as error:
            unread[alias] = error
            continue
        broken += [
            Broken(store=alias, file_name=odd.file_name, error=odd.error) for odd in listing.broken
        ]
        found += [_found(alias, sidecar, trusted) for sidecar in listing.sidecars]
    found.sort(key=lambda package: package.sidecar.moment, reverse=True)
    return Contents(found=tuple(found), broken=tuple(broken), unread=unread)


def index(contents: Contents) -> None:
    """Make the index say what the stores hold. Of two packages of one name, it has that of the
    first store, which is the one that `find` returns. What a store holds that could not be read is
    left as it was known. Raises DatabaseError."""
    order = {alias: number for number, (alias, _) in enumerate(stores())}
    named: dict[str, Found] = {}
    for package in sorted(contents.found, key=lambda package: order[package.store]):
        named.setdefault(package.sidecar.name, package)
    _record(named.values())
    gone = Package.objects.exclude(name__in=named)
    gone.exclude(Q(store__in=list(contents.unread))).delete()


def refresh() -> tuple[Found, ...]:
    """Read every store and make the index say what is there. Return the packages, newest first.

    What is broken is not among it: it is nothing to count on. Raises what a store that can't be
    read raises.
    """
    contents = read()
    index(contents)
    contents.raise_unread()
    return contents.found


def in_store(alias: str) -> tuple[Found, ...]:
    """Read one store, and leave the index as it is. Return the packages, newest first. Raises what
    a store that can't be read raises, and what `stores` raises."""
    contents = read(alias)
    contents.raise_unread()
    return contents.found


def find(name: str, *, store: str = "") -> tuple[Store, Sidecar]:
    """Return the store and the sidecar of a package, by its name, with or without suffixes, or by
    its id. Needs no database. `store`: the alias of the only one that is asked.

    Names come first, in all stores; the first store that has it decides. Only what
    has the form of an id is looked for among the ids, so a package whose id is another one's name
    is never taken for it. Where keys are trusted, a package that one of them signed comes
    before any other. Raises PackageNotFound, what is wrong with a sidecar of that name, and what
    `stores` raises.
    """
    candidates, errors = _named(name, store)
    if is_id(name):
        contents = read(store)
        candidates = _one_of(name, candidates, contents.found)
        errors += contents.unread.values()
    if preferred := _preferred(candidates):
        return dict(stores())[preferred.store], preferred.sidecar
    for error in errors:
        raise error
    raise PackageNotFound(
        "no store holds a package of that name",
        obj=shown(name),
        hint="list_packages shows what there is; a path to a file works too.",
    )


def _named(name: str, only: str) -> tuple[list[Found], list[BackupError]]:
    """Return the packages of that name, in the order of the stores, and the errors of the stores
    that could not be read."""
    trusted = backup_settings().trusted_keys
    found: list[Found] = []
    errors: list[BackupError] = []
    for alias, store in stores(only):
        try:
            sidecar = store.sidecar(name)
        except PackageNotFound:
            continue
        except BackupError as error:
            errors.append(error)
        else:
            found.append(_found(alias, sidecar, trusted))
    return found, errors


def _one_of(id: str, named: Sequence[Found], all_found: Sequence[Found]) -> list[Found]:
    """Return the package that has the id. Raises PackageNotFound if several differ."""
    found = [*named, *(other for other in all_found if other.sidecar.id == id)]
    if any(package.trusted for package in found):
        found = [package for package in found if package.trusted]
    if len({package.sidecar.sha256 for package in found}) > 1:
        several = sorted({package.sidecar.name for package in found})
        raise PackageNotFound(
            f"several packages are called that, or have it as their id: {', '.join(several)}",
            obj=id,
            hint="Say the whole name of the one that you mean.",
        )
    return found


def _preferred(packages: Sequence[Found]) -> Found | None:
    return next((one for one in packages if one.trusted), packages[0] if packages else None)


def _found(alias: str, sidecar: Sidecar, keys: Sequence[str]) -> Found:
    return Found(store=alias, sidecar=sidecar, trusted=is_trusted(sidecar, keys) if keys else None)


def record(sidecar: Sidecar, store: str) -> None:
    """Enter a package that a store holds."""
    _record([_found(store, sidecar, backup_settings().trusted_keys)])


def _record(packages: Iterable[Found]) -> None:
    """Insert the packages into the index, or update its rows of these names, as a set."""
    rows = [_row(package) for package in packages]
    # MariaDB's ON DUPLICATE KEY names no columns.
    features = connections[backup_settings().database].features
    of = features.supports_update_conflicts_with_target
    Package.objects.bulk_create(
        rows,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["name"] if of else None,
        update_fields=_OF_SIDECAR,
    )


_OF_SIDECAR = (
    "store",
    "package_id",
    "label",
    "type",
    "size",
    "sha256",
    "encrypted",
    "signed",
    "rows",
    "files",
    "created_at",
    "project",
    "installation",
    "incomplete",
    "trusted",
    "seen_at",
)
"""Columns of the index that say what a store holds; the others say how its tests ended."""


def _row(package: Found) -> Package:
    sidecar = package.sidecar
    return Package(
        name=sidecar.name,
        store=package.store,
        package_id=sidecar.id,
        label=sidecar.label,
        type=sidecar.type,
        size=sidecar.size,
        sha256=sidecar.sha256,
        encrypted=sidecar.encrypted,
        signed=sidecar.signature is not None,
        rows=sidecar.totals.rows,
        files=sidecar.totals.files,
        created_at=sidecar.moment,
        project=sidecar.project,
        installation=sidecar.installation or "",
        incomplete=sidecar.incomplete,
        trusted=package.counts,
        seen_at=moments.now(),
    )
