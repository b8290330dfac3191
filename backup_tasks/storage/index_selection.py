"""Reads from the index the few packages that decide what is chosen, however many there are.

`last_good.newest` and `last_good.last_proven` choose the same among these as among all: their rules
are there, and this only leaves out what they would pass over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial

from django.db.models import Q, QuerySet

from backup_tasks import moments
from backup_tasks.conf import backup_settings, regular_labels
from backup_tasks.models import Package, PackageVerdict
from backup_tasks.package.standing import Standing
from backup_tasks.storage import verdicts
from backup_tasks.storage.last_good import HOLDING_FILES, HOLDING_ROWS, Candidate

_FIRST = 100
"""Rows that are read at once; ten times as many where none of them will do."""

_POINTS = (HOLDING_ROWS, HOLDING_FILES)

IsThere = Callable[[Package], bool]


class Deciding:
    """The packages of this project that decide: of rows and of files the newest that counts and the
    newest proven one, all that failed, and those newer than the last good one that do not count.

    `is_there`: whether a store still holds it. `own`: the ids of this installation. Raises
    LEDGER_ERRORS.
    """

    def __init__(self, is_there: IsThere, own: Collection[str]) -> None:
        self.rows: dict[int, Package] = {}
        self._is_there = is_there
        self._own = own
        self._known: dict[str, Standing] = {}
        settings = backup_settings()
        self._ours = Package.objects.filter(project=settings.project)
        self._regular = self._ours.filter(
            label__in=regular_labels(), type__in={*HOLDING_ROWS, *HOLDING_FILES}
        )
        self._look()

    @property
    def candidates(self) -> list[Candidate]:
        """The packages, newest first. Whether one is pinned is not known of them."""
        found = [self._candidate(row) for row in self.rows.values() if self._is_there(row)]
        return sorted(found, key=lambda each: (each.created_at, each.name), reverse=True)

    def _look(self) -> None:
        failed = PackageVerdict.objects.filter(passed=False).values("sha256")
        restored = PackageVerdict.objects.filter(test="restore", passed=True).values("sha256")
        newest = list(_newest_first(self._regular)[:_FIRST])
        self._known = verdicts.entered_on(newest, and_of=failed)
        self._take(newest)
        if len(newest) == _FIRST:  # there are more
            last_good_among_them = [self._has(types) for types in _POINTS]
            for types in _POINTS:
                of_these = self._regular.filter(type__in=types)
                self._search(of_these, partial(self._has, types))
            there = [types for types in _POINTS if self._has(types)]
            proven = self._regular.filter(sha256__in=restored)
            self._search(proven, lambda: all(self._has(types, proven=True) for types in there))
            if not all(last_good_among_them):
                self._take(self._odd())
        failing = {sha256 for sha256, standing in self._known.items() if standing.failure}
        if failing - {row.sha256 for row in self.rows.values()}:
            self._take(row for row in self._ours.filter(sha256__in=failed) if row.sha256 in failing)

    def _search(self, rows: QuerySet[Package], found: Callable[[], bool]) -> None:
        """Read rows, the newest first, until what is looked for is among them, or there are none
        left."""
        start, size = 0, _FIRST
        while not found():
            batch = list(_newest_first(rows)[start : start + size])
            self._known |= verdicts.entered_on(batch)
            self._take(batch)
            if len(batch) < size:
                return
            start, size = start + size, size * 10

    def _take(self, rows: Iterable[Package]) -> None:
        self.rows |= {row.pk: row for row in rows}

    def _has(self, types: Collection[str], *, proven: bool = False) -> bool:
        """Whether the newest that counts is among the rows, or the newest proven one. Another
        installation's counts only where this one has none: that is known when all were read."""
        return any(
            not each.unfit(types=types) and (each.standing.proven or not proven)
            for each in self.candidates
            if not each.installation or each.installation in self._own
        )

    def _odd(self) -> QuerySet[Package]:
        """Return what does not count: it may be newer than the last good backup."""
        future = moments.now() + verdicts.CLOCKS_DIFFER
        return self._regular.filter(Q(trusted=False) | ~Q(incomplete="") | Q(created_at__gt=future))

    def _candidate(self, row: Package) -> Candidate:
        nothing = Standing(sha256=row.sha256)
        return Candidate.of_row(row, self._known.get(row.sha256, nothing))


def _newest_first(rows: QuerySet[Package]) -> QuerySet[Package]:
    return rows.order_by("-created_at", "-name")
