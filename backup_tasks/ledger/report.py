"""Makes a run's report of what its steps returned: counts per model, files, warnings.

A step that did not run, or that has nothing to say about a figure, leaves it None: the report never
invents one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

Results = Mapping[str, Mapping[str, Any]]


class Figures(TypedDict):
    """Rows of one model, or files."""

    before: int | None
    after_reinit: int | None
    after: int | None
    expected: int | None
    digest_equal: bool | None


class Written(TypedDict):
    """Rows of a model that clients changed while a restore was built: either figure may be the
    larger one, or both the same."""

    backed_up: int
    replaced: int


class SecondLook(TypedDict):
    """What the database's own sums say of the restored rows."""

    equal: int
    """Models whose sums are those of the backup."""
    not_compared: list[str]
    """Models that another kind or version of database, or other columns, have other sums for."""


class Report(TypedDict):
    """What `Run.report` holds."""

    models: dict[str, Figures]
    files: Figures
    second_look: SecondLook | None
    """None where the package has no sums, or nothing was validated."""
    added: dict[str, str]
    """Models that were not asked for by name, each with what needs it."""
    concurrent_writes: dict[str, Written]
    """What live was changed by between its backup and its replacement, by model."""
    warnings: list[str]
    package: str | None
    chosen: str | None
    """Where nobody named the package: why it is this one."""
    size: int | None
    sha256: str | None
    promoted: bool | None
    lock_seconds: float | None
    free: dict[str, int] | None
    """Bytes that a backup left free, by disk: see `storage.backup_disks`."""
    merge: dict[str, Any] | None
    """The plan of a merge, or of its rehearsal."""


_COUNTED_BY = {
    "before": ("snapshot", "safety", "dump"),
    "after_reinit": ("reinit",),
    "after": ("validate",),
}
_EXPECTED_BY = ("fetch", "verify")


def build(results: Results) -> Report:
    """Return the report for the results of a run's finished steps, by step name."""
    counts: dict[str, Mapping[str, int]] = {
        moment: _first(results, steps, "counts") or {} for moment, steps in _COUNTED_BY.items()
    }
    expected: Mapping[str, int] = _first(results, _EXPECTED_BY, "expected") or {}
    digests: Mapping[str, bool] = _first(results, ("validate",), "digests_equal") or {}
    labels = sorted({label for moment in (*counts.values(), expected) for label in moment})
    models = {
        label: Figures(
            before=counts["before"].get(label),
            after_reinit=counts["after_reinit"].get(label),
            after=counts["after"].get(label),
            expected=expected.get(label),
            digest_equal=digests.get(label),
        )
        for label in labels
    }
    return Report(
        models=models,
        files=Figures(
            before=_first(results, _COUNTED_BY["before"], "files"),
            after_reinit=_first(results, ("reinit",), "files"),
            after=_first(results, ("validate",), "files"),
            expected=_first(results, _EXPECTED_BY, "expected_files"),
            digest_equal=_first(results, ("validate",), "files_equal"),
        ),
        second_look=_first(results, ("validate",), "second_look"),
        added=dict(_first(results, ("fetch", "snapshot"), "added") or {}),
        concurrent_writes=dict(_first(results, ("promote",), "concurrent_writes") or {}),
        warnings=_warnings(results, models),
        package=package_of(results) or None,
        chosen=_first(results, ("fetch", "verify"), "chosen") or None,
        size=_first(results, ("pack", "verify", "fetch"), "size"),
        sha256=_first(results, ("pack", "verify", "fetch"), "sha256"),
        promoted=_first(results, ("promote",), "promoted"),
        lock_seconds=_first(results, ("promote",), "lock_seconds"),
        free=_first(results, ("prune",), "free"),
        merge=_first(results, ("merge", "rehearse"), "plan"),
    )


def package_of(results: Results) -> str:
    """Return the package that the run made or reads, "" where it is not known yet."""
    return str(_first(results, ("pack", "fetch", "verify"), "package") or "")


def _first(results: Results, steps: tuple[str, ...], key: str) -> Any:
    for step in steps:
        value = results.get(step, {}).get(key)
        if value is not None:
            return value
    return None


def _warnings(results: Results, models: Mapping[str, Figures]) -> list[str]:
    told = [str(line) for result in results.values() for line in result.get("warnings") or ()]
    told += (_first(results, ("merge", "rehearse"), "plan") or {}).get("warnings", ())
    nothing_restored = [
        f"{label}: restored none of {figures['expected']}"
        for label, figures in models.items()
        if figures["expected"] and figures["after"] == 0
    ]
    return list(dict.fromkeys(told + nothing_restored))
