"""Chooses among packages: the newest, which is the last good one, and the last proven one.

The one place for it: restores and drills without a name, lists, the admin and the retention ask
here. A package counts if it is in a store and sound, of this project and installation, full,
without a label or with one of REGULAR_LABELS, not dated in the future, signed by a trusted key
where keys are trusted, and has failed no test since it last passed one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice

from backup_tasks import moments
from backup_tasks.conf import backup_settings, regular_labels
from backup_tasks.errors import PackageNotFound
from backup_tasks.models import Package
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.standing import Standing
from backup_tasks.storage import catalogue, verdicts
from backup_tasks.storage.catalogue import Found
from backup_tasks.storage.installation import own_installations
from backup_tasks.storage.store import Store

FULL = ("full",)
HOLDING_ROWS = ("full", "database")
HOLDING_FILES = ("full", "files")
"""Types of packages that count for a restore of all, of the rows, of the files."""

_NAMED = 5
"""Packages that a message names."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A package in a store, and what decides whether it counts."""

    store: str
    name: str
    id: str
    project: str
    installation: str
    """Empty for a package of before there were ids."""
    label: str
    type: str
    created_at: datetime
    size: int
    """Bytes."""
    sha256: str
    trusted: bool
    incomplete: str
    """Why it is no good backup, such as which files it lacks; empty where it holds all."""
    standing: Standing

    @classmethod
    def of_found(cls, package: Found, standing: Standing) -> Candidate:
        """Return the package as its store describes it."""
        sidecar = package.sidecar
        return cls(
            store=package.store,
            name=sidecar.name,
            id=sidecar.id,
            project=sidecar.project,
            installation=sidecar.installation or "",
            label=sidecar.label,
            type=sidecar.type,
            created_at=datetime.fromisoformat(sidecar.created_at),
            size=sidecar.size,
            sha256=sidecar.sha256,
            trusted=package.counts,
            incomplete=sidecar.incomplete,
            standing=standing,
        )

    @classmethod
    def of_row(cls, row: Package, standing: Standing) -> Candidate:
        """Return the package as the index knows it."""
        return cls(
            store=row.store,
            name=row.name,
            id=row.package_id,
            project=row.project,
            installation=row.installation,
            label=row.label,
            type=row.type,
            created_at=row.created_at,
            size=row.size,
            sha256=row.sha256,
            trusted=row.trusted,
            incomplete=row.incomplete,
            standing=standing,
        )

    @property
    def in_future(self) -> bool:
        """Whether it is dated later than clocks differ."""
        return self.created_at > moments.now() + verdicts.CLOCKS_DIFFER

    def failing(self) -> str:
        """Return which test it failed and when, nothing where it failed none."""
        failure = self.standing.failure
        if failure is None:
            return ""
        test = {"restore": "a drill", "contents": "a verification"}.get(failure.test, "a scrub")
        return f"it failed {test} at {failure.at:%Y-%m-%d %H:%M} UTC"

    def unfit(self, *, allow_unsigned: bool = False, types: Collection[str] = FULL) -> str:
        """Return why it can be neither the newest nor the last good package of these types, nothing
        where it can. Whose installation made it is not asked here."""
        settings = backup_settings()
        if self.project != settings.project:
            return f"it is of project {self.project!r}"
        if not self.trusted and not allow_unsigned:
            return "no trusted key signed it"
        if self.in_future:
            return f"it is dated in the future, {self.created_at:%Y-%m-%d %H:%M} UTC"
        if self.type not in types:
            return f"it is of type {self.type}"
        if self.label not in regular_labels():
            return f"its label is {self.label!r}"
        if self.incomplete:
            return f"it is incomplete: {self.incomplete}"
        return self.failing()


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The package that was asked for, or chosen."""

    store: Store
    sidecar: Sidecar
    why: str = ""
    """Where nobody named it: why it is this one."""


def survey() -> list[Candidate]:
    """Return every package in the stores, newest first, and make ledger and index say what the
    stores know."""
    return known(catalogue.refresh())


def known(found: Sequence[Found]) -> list[Candidate]:
    """Return the packages of a listing, newest first, with what ledger and stores know of each."""
    standings = verdicts.synchronize(found, write=False).standings
    verdicts.index(Package.objects.filter(sha256__in=standings), standings)
    return _candidates(found, standings)


def known_read_only(found: Sequence[Found]) -> list[Candidate]:
    """Return the packages of a listing, newest first, with what ledger and stores know of each, and
    write nothing."""
    standings = verdicts.standings(package.sidecar.sha256 for package in found)
    for sha256, copy in verdicts.copies(found).items():
        standings[sha256] = standings[sha256].merged(copy.verdicts, copy.pin)
    return _candidates(found, standings)


def known_to_stores(found: Sequence[Found]) -> list[Candidate]:
    """Return the packages of a listing, newest first, with what the stores alone know of each: for
    a database that does not answer."""
    return _candidates(found, verdicts.copies(found))


def _candidates(found: Sequence[Found], standings: Mapping[str, Standing]) -> list[Candidate]:
    candidates = [
        Candidate.of_found(package, standings[package.sidecar.sha256]) for package in found
    ]
    return sorted(candidates, key=lambda each: (each.created_at, each.name), reverse=True)


def newest(
    candidates: Iterable[Candidate],
    *,
    allow_unsigned: bool = False,
    own: Collection[str] | None = None,
    types: Collection[str] = FULL,
) -> Candidate | None:
    """Return the newest package that counts: the last good backup.

    `own` are the ids of this installation; None asks the ledger for them. `types`: of a package
    that counts.

    An installation that has none, such as one that was set up anew after a disaster, takes the
    newest of the one other installation that has some; None where several have.
    """
    unfit = partial(Candidate.unfit, allow_unsigned=allow_unsigned, types=types)
    return next(_of_one_installation(candidates, unfit, own), None)


def last_proven(
    candidates: Iterable[Candidate],
    *,
    own: Collection[str] | None = None,
    types: Collection[str] = FULL,
) -> Candidate | None:
    """Return the newest package that counts and was restored and found equal. `own`, `types`: as
    above."""
    found = _of_one_installation(candidates, partial(Candidate.unfit, types=types), own)
    return next((each for each in found if each.standing.proven), None)


def _of_one_installation(
    candidates: Iterable[Candidate],
    unfit: Callable[[Candidate], str],
    own: Collection[str] | None,
) -> Iterator[Candidate]:
    """Yield those that are fit, each looked at when it is asked for: of this installation, or of
    the one other that has some."""
    own = own_installations() if own is None else own
    ours, others = False, list[Candidate]()
    for each in candidates:
        mine = not each.installation or each.installation in own
        if (ours and not mine) or unfit(each):
            continue
        if mine:
            ours = True
            yield each
        else:
            others.append(each)
    if not ours and len({each.installation for each in others}) == 1:
        yield from others


def find(name: str, *, allow_unsigned: bool = False, store: str = "") -> Choice:
    """Return the package of that name; without a name the newest one that counts. `store`: the
    alias of the only one that is asked; the others need not answer.

    Raises PackageNotFound, naming what was passed over and why; Misconfigured where no store has
    the alias.
    """
    if name:
        holding, sidecar = catalogue.find(name, store=store)
        return Choice(store=holding, sidecar=sidecar)
    found = catalogue.in_store(store) if store else catalogue.refresh()
    choice = _newest_of(found, known(found), own_installations(), allow_unsigned=allow_unsigned)
    return replace(choice, why=f"{choice.why} (in store {store})") if store else choice


def find_in_stores(*, allow_unsigned: bool = False, store: str = "") -> Choice:
    """Return the newest package that counts by what the stores alone know, or one of them: for a
    database that does not answer. Raises PackageNotFound."""
    found = catalogue.read(store).found
    return _newest_of(found, known_to_stores(found), (), allow_unsigned=allow_unsigned)


def _newest_of(
    found: Sequence[Found],
    candidates: Sequence[Candidate],
    own: Collection[str],
    *,
    allow_unsigned: bool,
) -> Choice:
    chosen = newest(candidates, allow_unsigned=allow_unsigned, own=own)
    if chosen is None:
        raise _nothing_suitable(candidates, allow_unsigned=allow_unsigned)
    sidecar = next(
        each.sidecar
        for each in found
        if (each.store, each.sidecar.name) == (chosen.store, chosen.name)
    )
    why = f"the newest full package of project {chosen.project}: {chosen.name}"
    if own and chosen.installation and chosen.installation not in own:
        why += f", made by another installation ({chosen.installation})"
    newer = candidates[: candidates.index(chosen)]
    if passed_over := list(_reasons(newer, allow_unsigned=allow_unsigned)):
        why += f". Newer ones were passed over: {'; '.join(passed_over)}"
    return Choice(store=dict(catalogue.stores())[chosen.store], sidecar=sidecar, why=why)


def _nothing_suitable(candidates: Sequence[Candidate], *, allow_unsigned: bool) -> PackageNotFound:
    stores = ", ".join(backup_settings().stores)
    if not candidates:
        return PackageNotFound(
            "no store holds a package", obj=stores, hint="`create_backup` makes one."
        )
    reasons = "; ".join(_reasons(candidates, allow_unsigned=allow_unsigned))
    return PackageNotFound(
        f"no package can be taken for the newest backup: {reasons}",
        obj=stores,
        hint="Name the one that you want; `list_packages` shows what there is.",
    )


def _reasons(candidates: Sequence[Candidate], *, allow_unsigned: bool) -> Iterator[str]:
    """Yield of the first few why each was not taken."""
    for each in islice(candidates, _NAMED):
        unfit = each.unfit(allow_unsigned=allow_unsigned)
        yield f"{each.name} ({unfit or f'installation {each.installation} made it'})"
    if len(candidates) > _NAMED:
        yield f"and {len(candidates) - _NAMED} more"
