"""Removes the packages that the retention does not keep, and says of every other why it stays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Q

from backup_tasks import moments
from backup_tasks.conf import backup_settings
from backup_tasks.models import Package, Run
from backup_tasks.storage import catalogue, last_good, verdicts
from backup_tasks.storage.installation import own_installations
from backup_tasks.storage.last_good import Candidate
from backup_tasks.storage.retention import DatedPackage, Decision, plan, removable

_NAMED = 5
"""Packages that a warning names."""


def expire(
    *,
    run_id: str,
    dry: bool,
    still_mine: Callable[[], None] = lambda: None,
    deleting: Callable[[Candidate], None] = lambda candidate: None,
) -> dict[str, Any]:
    """Return {"removed": [name], "packages": [{"name", "store", "label", "kept", "why"}],
    "warnings": [text]}; with `dry` nothing is removed.

    Weighed are packages of this project and installation that a trusted key signed, where keys are
    trusted, and that are not dated in the future: all others stay. Packages are weighed by store,
    label and type. `still_mine` is asked before each removal, then `deleting` is told. After it,
    ledger and stores know the same of each package.
    """
    found = catalogue.refresh()
    candidates = last_good.known(found)
    own = own_installations()
    whys = {id(each): why for each in candidates if (why := _aside(each, own))}
    weighed = [each for each in candidates if id(each) not in whys]
    warnings = [*_warnings(candidates, own)]
    gone: list[Candidate] = []
    held = _held(candidates, run_id, own)
    for store in sorted({each.store for each in weighed}):
        here = [each for each in weighed if each.store == store]
        going, told, warning = _weigh(store, here, held)
        gone += going
        whys |= told
        warnings += warning
    if not dry:
        gone, kept = _remove(gone, run_id, still_mine, deleting)
        left = {(each.store, each.name) for each in gone}
        rest = [each for each in found if (each.store, each.sidecar.name) not in left]
        warnings += [*kept, *verdicts.synchronize(rest, write=True).problems]
    explained = [
        {
            "name": each.name,
            "store": each.store,
            "label": each.label,
            "kept": each not in gone,
            "why": whys[id(each)],
        }
        for each in (candidates if dry else gone)
    ]
    removed = [each.name for each in gone]
    return {"removed": removed, "packages": explained, "warnings": warnings}


def _weigh(
    store: str, here: Sequence[Candidate], held: Mapping[str, str]
) -> tuple[list[Candidate], dict[int, str], list[str]]:
    """Return which packages of a store go now, why each goes or stays, and a warning where some
    wait for the next time."""
    policy = backup_settings().retention
    decisions = _decisions(here, held)
    now, later = removable(decisions, policy)
    reasons = {each.package.name: each.why for each in decisions}
    reasons |= {name: f"{reasons[name]}; goes the next time" for name in later}
    by_name = {each.name: each for each in here}
    warning = (
        f"{len(now)} packages of the store {store!r} go, {len(later)} more wait for the next time: "
        f"at most {policy.share:.0%} go at once"
    )
    told = {id(each): reasons[each.name] for each in here}
    return [by_name[name] for name in now], told, [warning] if later else []


def _remove(
    going: Sequence[Candidate],
    run_id: str,
    still_mine: Callable[[], None],
    deleting: Callable[[Candidate], None],
) -> tuple[list[Candidate], list[str]]:
    """Remove packages but those that a run has named since; return which were removed, and what
    became of the others."""
    stores = dict(catalogue.stores())
    gone, kept = [], []
    for each in going:
        still_mine()
        if named := _named([each], run_id):
            kept.append(f"{each.name} stays after all: {named[each.name]}")
            continue
        deleting(each)
        verdicts.remove_copy(each.store, each.name)
        stores[each.store].delete(each.name)
        _forget(each)
        gone.append(each)
    return gone, kept


def _decisions(candidates: Sequence[Candidate], held: Mapping[str, str]) -> list[Decision]:
    groups: dict[tuple[str, str], list[DatedPackage]] = defaultdict(list)
    for each in candidates:
        failure = each.standing.failure
        groups[each.label, each.type].append(
            DatedPackage(
                name=each.name,
                created_at=each.created_at,
                failed_at=failure.at if failure else each.created_at if each.incomplete else None,
                fault="it failed a test" if failure else "it is incomplete",
            )
        )
    settings, now = backup_settings(), moments.now()
    return [
        decision
        for (label, _), group in groups.items()
        for decision in plan(
            group,
            settings.retention_by_label.get(label, settings.retention),
            now=now,
            held=held,
        )
    ]


def _aside(candidate: Candidate, own: set[str]) -> str:
    """Return why a package is not weighed, nothing where it is."""
    if candidate.project != backup_settings().project:
        return f"another project's, {candidate.project}"
    if not candidate.trusted:
        return "no trusted key signed it"
    if candidate.in_future:
        return "dated in the future"
    if candidate.installation and candidate.installation not in own:
        return f"made by another installation, {candidate.installation}"
    return ""


def _held(candidates: Sequence[Candidate], run_id: str, own: set[str]) -> dict[str, str]:
    """Return the packages that stay whatever the policy says, with the reason."""
    held: dict[str, str] = {}
    proven = next((each for each in candidates if each.standing.proven and not each.unfit()), None)
    for chosen, why in (
        (last_good.newest(candidates, own=own), "the last good backup"),
        (last_good.last_proven(candidates, own=own), "the last proven one"),
        (proven, "the last proven one"),
    ):
        if chosen is not None:
            held.setdefault(chosen.name, why)
    held |= {each.name: "pinned" for each in candidates if each.standing.pinned}
    return held | _named(candidates, run_id)


def _named(candidates: Sequence[Candidate], run_id: str) -> dict[str, str]:
    """Return the packages that an active run, or this one, names."""
    held: dict[str, str] = {}
    for run in Run.objects.filter(Q(state__in=Run.ACTIVE) | Q(pk=run_id)):
        for named in (run.package, str(run.params.get("package", ""))):
            for each in candidates:
                if named and named in (each.name, each.id):
                    held[each.name] = "this run's own" if run.pk == run_id else f"{run.pk} needs it"
    return held


def _warnings(candidates: Sequence[Candidate], own: set[str]) -> Iterable[str]:
    """Yield what an owner should know of a store that is not as it should be."""
    ours = [each for each in candidates if each.project == backup_settings().project]
    unsigned = [each for each in ours if not each.trusted]
    if unsigned:
        yield f"packages that no trusted key signed count for nothing: {_names(unsigned)}"
    if ahead := [each for each in ours if each.trusted and each.in_future]:
        yield f"packages are dated in the future and count for nothing until then: {_names(ahead)}"
    others: dict[str, list[Candidate]] = defaultdict(list)
    for each in ours:
        if each.trusted and each.installation and each.installation not in own:
            others[each.installation].append(each)
    for code, theirs in sorted(others.items()):
        yield (
            f"another installation, {code}, makes packages of project {ours[0].project!r} in the "
            f"same store: {_names(theirs)}. They are not removed. Give each its own "
            f"BACKUP['PROJECT']; if it is this system before a disaster: "
            f"manage.py adopt_installation {code}"
        )


def _names(candidates: Sequence[Candidate]) -> str:
    more = len(candidates) - _NAMED
    named = ", ".join(each.name for each in candidates[:_NAMED])
    return f"{named} and {more} more" if more > 0 else named


def _forget(candidate: Candidate) -> None:
    """Remove a package from the index, and what is known of it where no store has it any more."""
    Package.objects.filter(name=candidate.name, store=candidate.store).delete()
    if not Package.objects.filter(sha256=candidate.sha256).exists():
        verdicts.forget(candidate.sha256)
